package sqlquota

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tenancy-go/tenancy/internal/sqlkit"
	"github.com/tenancy-go/tenancy/quota"
)

// Dialect is the SQL that the database speaks.
type Dialect = sqlkit.Dialect

// The dialects.
const (
	Postgres = sqlkit.Postgres // PostgreSQL 14 or later
	SQLite   = sqlkit.SQLite   // SQLite 3.35 or later
)

// versionTable is where Migrate records what it applied.
const versionTable = "tenancy_quota_version"

//go:embed migrations
var migrations embed.FS

// Store is a [quota.Store] on a SQL database. It is safe for concurrent use, by any
// number of processes.
type Store struct {
	database
	now func() time.Time // nil for the database's clock

	literal  bool        // whether the driver takes two round trips for a query with parameters
	explicit atomic.Bool // whether transactions must ask for their isolation
}

var _ quota.Store = (*Store)(nil)

// Option changes how a [Store] works.
type Option func(*Store) error

// WithClock takes the time from now instead of the database: for tests.
func WithClock(now func() time.Time) Option {
	return func(s *Store) error {
		if now == nil {
			return errors.New("sqlquota: WithClock: want a clock, not nil")
		}
		s.now = now
		return nil
	}
}

// New returns a store on db, which stays the caller's to close. It does not touch the
// database; call [Store.Migrate] before first use.
func New(db *sql.DB, dialect Dialect, opts ...Option) (*Store, error) {
	opened, err := newDatabase(db, dialect)
	if err != nil {
		return nil, err
	}
	s := &Store{database: opened, literal: fmt.Sprintf("%T", db.Driver()) == "*pq.Driver"}
	for _, opt := range opts {
		if err := opt(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// database is what stores and sources have in common.
type database struct {
	db      *sqlx.DB
	dialect Dialect
}

func newDatabase(db *sql.DB, dialect Dialect) (database, error) {
	if db == nil {
		return database{}, errors.New("sqlquota: want a database, not nil")
	}
	bind, ok := map[Dialect]string{Postgres: "postgres", SQLite: "sqlite3"}[dialect]
	if !ok {
		return database{}, fmt.Errorf("sqlquota: unknown dialect %s; want Postgres or SQLite", dialect)
	}
	return database{sqlx.NewDb(db, bind), dialect}, nil
}

// Migrate creates the tables of stores and sources, or brings them up to date. Any
// number of processes may call it at once, and again. It needs the right to create
// tables and, on PostgreSQL, functions.
func (d database) Migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations/"+d.dialect.String())
	if err != nil {
		return fmt.Errorf("sqlquota: %w", err)
	}
	return sqlkit.Migrate(ctx, d.db.DB, d.dialect, files, versionTable)
}
