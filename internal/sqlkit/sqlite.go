package sqlkit

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// lockWaitMillis bounds the wait for another process's migration on SQLite.
const lockWaitMillis = 60_000

// migrateSQLite runs all migrations in one transaction that holds SQLite's
// write lock from its start, which no second process can have. A lock of goose's
// own would not do: SQLite has none that outlives a transaction and ends with
// the process.
func migrateSQLite(ctx context.Context, db *sql.DB, fsys fs.FS, table string) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()

	restore, err := raiseBusyTimeout(ctx, conn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restore()) }()

	if err := BeginImmediate(ctx, conn); err != nil {
		return fmt.Errorf("wait for the write lock: %w", err)
	}
	if err := conn.Raw(func(raw any) error { return upWithin(ctx, raw, fsys, table) }); err != nil {
		Rollback(ctx, conn)
		return err
	}
	return Commit(ctx, conn)
}

func raiseBusyTimeout(ctx context.Context, conn *sql.Conn) (restore func() error, err error) {
	var before int
	if err := conn.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&before); err != nil {
		return nil, err
	}
	set := func(ctx context.Context, millis int) error {
		_, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", millis))
		return err
	}
	if err := set(ctx, max(before, lockWaitMillis)); err != nil {
		return nil, err
	}
	return func() error { return set(context.WithoutCancel(ctx), before) }, nil
}

// upWithin lets goose work on one driver connection, inside the transaction
// that is open on it.
func upWithin(ctx context.Context, raw any, fsys fs.FS, table string) error {
	conn, ok := raw.(sqliteConn)
	if !ok {
		return fmt.Errorf("driver connection %T lacks the context methods of database/sql/driver", raw)
	}
	db := sql.OpenDB(within{conn})
	db.SetMaxOpenConns(1)
	return errors.Join(up(ctx, db, goose.DialectSQLite3, fsys, table), db.Close())
}

// sqliteConn is what SQLite's drivers offer.
type sqliteConn interface {
	driver.Conn
	driver.ExecerContext
	driver.QueryerContext
}

// within is a connector to, and a connection on, a connection with an open
// transaction. Transactions within are savepoints.
type within struct {
	sqliteConn
}

const savepoint = "tenancy_migration"

func (w within) Connect(context.Context) (driver.Conn, error) { return w, nil }

func (w within) Driver() driver.Driver { return w }

func (w within) Open(string) (driver.Conn, error) { return w, nil }

// Close leaves the connection to its owner.
func (w within) Close() error { return nil }

func (w within) Begin() (driver.Tx, error) {
	return w.BeginTx(context.Background(), driver.TxOptions{})
}

func (w within) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	_, err := w.ExecContext(ctx, "SAVEPOINT "+savepoint, nil)
	return nested{w}, err
}

type nested struct {
	conn within
}

func (n nested) Commit() error { return n.exec("RELEASE " + savepoint) }

func (n nested) Rollback() error {
	if err := n.exec("ROLLBACK TO " + savepoint); err != nil {
		return err
	}
	return n.exec("RELEASE " + savepoint)
}

func (n nested) exec(query string) error {
	_, err := n.conn.ExecContext(context.Background(), query, nil)
	return err
}
