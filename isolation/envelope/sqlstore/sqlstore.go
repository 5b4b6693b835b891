package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jmoiron/sqlx"

	"github.com/tenancy-go/tenancy/internal/sqlkit"
	"github.com/tenancy-go/tenancy/isolation/envelope"
)

// Dialect is the SQL that the database speaks.
type Dialect = sqlkit.Dialect

// The dialects.
const (
	Postgres = sqlkit.Postgres // PostgreSQL 14 or later
	SQLite   = sqlkit.SQLite   // SQLite 3.35 or later
)

// versionTable is where Migrate records what it applied.
const versionTable = "tenancy_envelope_version"

//go:embed migrations
var migrations embed.FS

// Store is an [envelope.Store] on a SQL database, and so a journal too. It is safe for
// concurrent use, by any number of processes.
type Store struct {
	db      *sqlx.DB
	dialect Dialect
}

var _ envelope.Store = (*Store)(nil)

// New returns a store on db, which stays the caller's to close. It does not touch the
// database; call [Store.Migrate] before first use.
func New(db *sql.DB, dialect Dialect) (*Store, error) {
	if db == nil {
		return nil, errors.New("sqlstore: want a database, not nil")
	}
	bind, ok := map[Dialect]string{Postgres: "postgres", SQLite: "sqlite3"}[dialect]
	if !ok {
		return nil, fmt.Errorf("sqlstore: unknown dialect %s; want Postgres or SQLite", dialect)
	}
	return &Store{db: sqlx.NewDb(db, bind), dialect: dialect}, nil
}

// Migrate creates the store's tables, or brings them up to date. Any number of
// processes may call it at once, and again.
func (s *Store) Migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations/"+s.dialect.String())
	if err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	return sqlkit.Migrate(ctx, s.db.DB, s.dialect, files, versionTable)
}
