package sqlstore

import (
	"context"
	"database/sql"

	"github.com/tenancy-go/tenancy/internal/sqlkit"
)

// session is what *sqlx.DB, *sqlx.Tx and *sqlx.Conn have in common.
type session interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	GetContext(ctx context.Context, dest any, query string, args ...any) error
}

// exec runs a statement and returns how many rows it concerned.
func (s *Store) exec(ctx context.Context, db session, what, query string, args ...any) (int64, error) {
	result, err := db.ExecContext(ctx, s.db.Rebind(query), args...)
	if err != nil {
		return 0, failed(ctx, what, err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, failed(ctx, what, err)
	}
	return n, nil
}

// write runs do in a transaction, which is committed unless do fails. No two of them
// wait for each other: each locks one tenant's row, first of all.
func (s *Store) write(ctx context.Context, do func(tx session) error) error {
	if s.dialect == SQLite {
		return s.writeSQLite(ctx, do)
	}
	// Each statement has to see what the locks before it waited for.
	tx, err := s.db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return failed(ctx, "begin", err)
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback() // the error that counts is err
		return err
	}
	if err := tx.Commit(); err != nil {
		return failed(ctx, "commit", err)
	}
	return nil
}

// writeSQLite takes the write lock at once.
func (s *Store) writeSQLite(ctx context.Context, do func(tx session) error) error {
	conn, err := s.db.Connx(ctx)
	if err != nil {
		return failed(ctx, "connect", err)
	}
	defer conn.Close() // gives the connection back; what counts is the commit

	if err := sqlkit.BeginImmediate(ctx, conn.Conn); err != nil {
		return failed(ctx, "begin", err)
	}
	if err := do(conn); err != nil {
		sqlkit.Rollback(ctx, conn.Conn)
		return err
	}
	if err := sqlkit.Commit(ctx, conn.Conn); err != nil {
		return failed(ctx, "commit", err)
	}
	return nil
}
