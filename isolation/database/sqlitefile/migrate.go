package sqlitefile

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"

	"modernc.org/sqlite"

	"github.com/tenancy-go/tenancy/internal/sqlkit"
)

const versionTable = "tenancy_version"

// migrate brings the file at path to the current schema.
func (s *Strategy) migrate(ctx context.Context, path string) (err error) {
	db := s.openMigrator(path)
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.PingContext(ctx); err != nil || s.migrations == nil {
		return err
	}
	return sqlkit.Migrate(ctx, db, sqlkit.SQLite, s.migrations, versionTable)
}

// openMigrator returns one connection, as migrations need it, to the file at path.
func (s *Strategy) openMigrator(path string) *sql.DB {
	db := sql.OpenDB(migrationConnector{plainConnector{driver: s.driver, dsn: dsn(path, migrationQuery())}})
	db.SetMaxOpenConns(1)
	return db
}

type migrationConnector struct {
	plainConnector
}

func (c migrationConnector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.plainConnector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	sc, ok := inner.(sqliteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("driver's connection %T has no authorizer", inner), inner.Close())
	}
	if err := sc.RegisterAuthorizer(authorizeMigration); err != nil {
		return nil, errors.Join(fmt.Errorf("install authorizer: %w", err), inner.Close())
	}
	return &migrator{sqliteConn: sc}, nil
}

// migrator is a connection without foreign keys that commits only if all
// references hold.
type migrator struct {
	sqliteConn
	before driver.Value // changes of the connection, when the transaction began
}

func (m *migrator) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	var err error
	switch verb, _, _ := strings.Cut(query, " "); strings.ToUpper(verb) {
	case "BEGIN":
		m.before, err = m.changes(ctx)
	case "COMMIT":
		err = m.checkReferences(ctx)
	}
	if err != nil {
		return nil, err
	}
	return m.sqliteConn.ExecContext(ctx, query, args)
}

// BeginTx begins a transaction of database/sql's, which commits under the same
// condition.
func (m *migrator) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	before, err := m.changes(ctx)
	if err != nil {
		return nil, err
	}
	tx, err := m.sqliteConn.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	m.before = before
	return migratorTx{Tx: tx, migrator: m}, nil
}

// Begin begins a transaction without a context.
func (m *migrator) Begin() (driver.Tx, error) {
	return m.BeginTx(context.Background(), driver.TxOptions{})
}

type migratorTx struct {
	driver.Tx
	migrator *migrator
}

// Commit rolls back instead if a reference is to nothing.
func (t migratorTx) Commit() error {
	if err := t.migrator.checkReferences(context.Background()); err != nil {
		return errors.Join(err, t.Rollback())
	}
	return t.Tx.Commit()
}

// checkReferences looks for references to nothing, if anything was changed.
func (m *migrator) checkReferences(ctx context.Context) error {
	now, err := m.changes(ctx)
	if err != nil || now == m.before {
		return err
	}
	row, err := m.first(ctx, "PRAGMA foreign_key_check")
	if err != nil || row == nil {
		return err
	}
	return fmt.Errorf("row %v of table %v refers to a row of %v that is not there; "+
		"nothing was migrated (see PRAGMA foreign_key_check)", row[1], row[0], row[2])
}

func (m *migrator) changes(ctx context.Context) (driver.Value, error) {
	row, err := m.first(ctx, "SELECT total_changes()")
	if err != nil || row == nil {
		return nil, err
	}
	return row[0], nil
}

// first returns a query's first row, or nil if there is none.
func (m *migrator) first(ctx context.Context, query string) (row []driver.Value, err error) {
	result, err := m.QueryContext(ctx, query, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, result.Close()) }()
	row = make([]driver.Value, len(result.Columns()))
	if err := result.Next(row); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return row, nil
}

var _ sqlite.AuthorizerRegisterer = (*migrator)(nil)
