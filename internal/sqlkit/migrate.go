package sqlkit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/pressly/goose/v3"
)

// Dialect is the SQL that a database speaks.
type Dialect int

// The dialects.
const (
	Postgres Dialect = iota + 1
	SQLite
)

// String returns the dialect's name.
func (d Dialect) String() string {
	switch d {
	case Postgres:
		return "postgres"
	case SQLite:
		return "sqlite"
	default:
		return fmt.Sprintf("Dialect(%d)", int(d))
	}
}

// versionTable is what goose writes into SQL as it stands, so it has to be
// plain: a table, or a schema and a table.
var versionTable = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?$`)

// Migrate applies the migrations of fsys that db lacks, in order, and records
// them in table: a lower-case name, which may have a schema before it. Files
// are named 00001_name.sql, lie at the root of fsys, and hold statements after
// a line "-- +goose Up".
//
// One process migrates at a time; the others wait for as long as ctx allows. On
// PostgreSQL each migration is a transaction. On SQLite all of them are one:
// they apply together, or not at all.
func Migrate(ctx context.Context, db *sql.DB, d Dialect, fsys fs.FS, table string) error {
	if db == nil || fsys == nil {
		return errors.New("sqlkit: migrate: want a database and migrations, not nil")
	}
	if !versionTable.MatchString(table) {
		return fmt.Errorf("sqlkit: migrate: version table %q: want a lower-case name, with a schema at most", table)
	}
	var err error
	switch d {
	case Postgres:
		err = up(ctx, db, goose.DialectPostgres, fsys, table, goose.WithSessionLocker(advisoryLock(table)))
	case SQLite:
		err = migrateSQLite(ctx, db, fsys, table)
	default:
		err = fmt.Errorf("unknown dialect %s", d)
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func up(ctx context.Context, db *sql.DB, d goose.Dialect, fsys fs.FS, table string, opts ...goose.ProviderOption) error {
	opts = append(opts,
		goose.WithTableName(table),
		goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()))
	provider, err := goose.NewProvider(d, db, fsys, opts...)
	if errors.Is(err, goose.ErrNoMigrations) {
		return fmt.Errorf("%w: want files such as 00001_name.sql at the root of the file system; fs.Sub takes a folder of it", err)
	}
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}
