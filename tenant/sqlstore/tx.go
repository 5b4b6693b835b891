package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/tenancy-go/tenancy/internal/sqlkit"
)

// attempts is how often a write is tried when the database asks to try again.
const attempts = 5

// write runs do in a transaction, which is committed unless do fails.
func (s *Store) write(ctx context.Context, do func(tx session) error) error {
	if s.dialect == SQLite {
		return s.writeSQLite(ctx, do)
	}
	var err error
	for range attempts {
		if err = s.writePostgres(ctx, do); !retryable(err) {
			return err
		}
	}
	return err
}

func (s *Store) writePostgres(ctx context.Context, do func(tx session) error) error {
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

// retryable reports whether PostgreSQL ended a transaction that may well succeed
// the next time: a serialization failure or a deadlock.
func retryable(err error) bool {
	var state interface{ SQLState() string }
	return errors.As(err, &state) && slices.Contains([]string{"40001", "40P01"}, state.SQLState())
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
