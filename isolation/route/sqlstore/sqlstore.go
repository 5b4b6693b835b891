package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tenancy-go/tenancy/internal/sqlkit"
	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/tenant"
)

// Dialect is the SQL that the database speaks.
type Dialect = sqlkit.Dialect

// The dialects.
const (
	Postgres = sqlkit.Postgres // PostgreSQL 14 or later
	SQLite   = sqlkit.SQLite   // SQLite 3.35 or later
)

// versionTable is where Migrate records what it applied.
const versionTable = "tenancy_placements_version"

//go:embed migrations
var migrations embed.FS

// nextVersion is the SQL of a version that was never used. The second counts on the
// triggers, which add one to the sequence with each change.
var nextVersion = map[Dialect]string{
	Postgres: "nextval('tenancy_placement_versions')",
	SQLite:   "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'tenancy_placement_changes'), 0) + 1",
}

// Store is a route.Store and tenant.Watcher on a SQL database. It is safe for
// concurrent use, by any number of processes.
type Store struct {
	db      *sqlx.DB
	dialect Dialect
	next    string
	dsn     string
	poll    time.Duration
}

var (
	_ route.Store    = (*Store)(nil)
	_ tenant.Watcher = (*Store)(nil)
)

// Option changes how a [Store] works.
type Option func(*Store)

// WithListener tells [Store.Watch] how to reach the PostgreSQL server: a URL or
// connection string as github.com/lib/pq takes it. Watch needs it there.
func WithListener(dsn string) Option { return func(s *Store) { s.dsn = dsn } }

// WithPollInterval sets how often [Store.Watch] looks for changes on SQLite. The
// default is 1 second.
func WithPollInterval(d time.Duration) Option { return func(s *Store) { s.poll = d } }

// New returns a store on db, which stays the caller's to close. It does not touch the
// database; call [Store.Migrate] before first use.
func New(db *sql.DB, dialect Dialect, opts ...Option) (*Store, error) {
	if db == nil {
		return nil, errors.New("route/sqlstore: want a database, not nil")
	}
	bind, ok := map[Dialect]string{Postgres: "postgres", SQLite: "sqlite3"}[dialect]
	if !ok {
		return nil, fmt.Errorf("route/sqlstore: unknown dialect %s; want Postgres or SQLite", dialect)
	}
	s := &Store{db: sqlx.NewDb(db, bind), dialect: dialect, next: nextVersion[dialect], poll: time.Second}
	for _, opt := range opts {
		opt(s)
	}
	if s.poll <= 0 {
		return nil, fmt.Errorf("route/sqlstore: want a poll interval above 0, got %s", s.poll)
	}
	return s, nil
}

// Migrate creates the store's tables, or brings them up to date. Any number of
// processes may call it at once, and again. It needs the right to create tables and, on
// PostgreSQL, functions.
func (s *Store) Migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations/"+s.dialect.String())
	if err != nil {
		return fmt.Errorf("route/sqlstore: %w", err)
	}
	return sqlkit.Migrate(ctx, s.db.DB, s.dialect, files, versionTable)
}
