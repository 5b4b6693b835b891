package pghome

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// With opens one connection, runs work on it and closes it.
func With(ctx context.Context, connector driver.Connector, work func(context.Context, *sql.Conn) error) (err error) {
	db := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeConn(conn)) }()
	return work(ctx, conn)
}

// closeConn closes conn. A connection that died under its work, whose error
// says so already, is closed well enough.
func closeConn(conn *sql.Conn) error {
	if err := conn.Close(); err != nil && !errors.Is(err, driver.ErrBadConn) && !errors.Is(err, sql.ErrConnDone) {
		return err
	}
	return nil
}

// ExecAll runs statements one after the other.
func ExecAll(ctx context.Context, db Execer, statements ...string) error {
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// Execer is a *sql.DB, *sql.Conn or *sql.Tx.
type Execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// InTx runs work in a transaction.
func InTx(ctx context.Context, conn *sql.Conn, work func(*sql.Tx) error) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := work(tx); err != nil {
		if undo := tx.Rollback(); undo != nil && !errors.Is(undo, sql.ErrTxDone) && !errors.Is(undo, driver.ErrBadConn) {
			return errors.Join(err, undo)
		}
		return err
	}
	return tx.Commit()
}

// Texts returns the single text column of query's rows.
func Texts(ctx context.Context, conn *sql.Conn, query string, args ...any) ([]string, error) {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // rows.Err tells
	var texts []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, rows.Err()
}

// State returns the SQLSTATE of the database's error in err, or "".
func State(err error) string {
	var e interface{ SQLState() string }
	if errors.As(err, &e) {
		return e.SQLState()
	}
	return ""
}

// Describe names where connector leads, if it can tell.
func Describe(connector driver.Connector) string {
	if s, ok := connector.(fmt.Stringer); ok {
		return s.String()
	}
	return fmt.Sprintf("%T", connector)
}
