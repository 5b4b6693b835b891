package sqlkit

import (
	"context"
	"database/sql"
	"database/sql/driver"
)

// BeginImmediate begins a transaction on a connection to SQLite that holds the write
// lock from its start: one that reads first and writes later fails if another wrote in
// between. database/sql has no way to say so that all drivers heed.
//
// An error leaves no transaction on conn. A driver may well report that ctx was canceled
// after the transaction has begun.
func BeginImmediate(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	if err != nil {
		Rollback(ctx, conn)
	}
	return err
}

// Commit ends the transaction that [BeginImmediate] began. From here on it does not heed
// the cancellation of ctx, so that an error means that nothing was committed. An error
// leaves no transaction on conn.
func Commit(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(context.WithoutCancel(ctx), "COMMIT")
	if err != nil {
		Rollback(ctx, conn)
	}
	return err
}

// Rollback leaves conn without a transaction, whether there is one or not, or closes it
// for good. SQLite ends some transactions by itself, after which ROLLBACK fails.
func Rollback(ctx context.Context, conn *sql.Conn) {
	ctx = context.WithoutCancel(ctx)
	_, err := conn.ExecContext(ctx, "ROLLBACK")
	if err == nil {
		return
	}
	// With a transaction still open, another cannot begin.
	if _, err = conn.ExecContext(ctx, "BEGIN"); err == nil {
		_, err = conn.ExecContext(ctx, "ROLLBACK")
	}
	if err != nil {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
}
