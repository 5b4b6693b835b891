package sqlkit

import (
	"context"
	"database/sql"
	"errors"
	"hash/fnv"
	"time"

	"github.com/pressly/goose/v3/lock"
)

// lockPoll is how often a waiting process asks for the lock. It asks rather
// than waits in the server: a waiting statement holds a snapshot, which would
// block CREATE INDEX CONCURRENTLY in a migration.
const lockPoll = 100 * time.Millisecond

// sessionLock is a PostgreSQL advisory lock held by a session, so that the
// server lets go of it when the process dies.
type sessionLock struct {
	key int64
}

var _ lock.SessionLocker = sessionLock{}

// advisoryLock returns the lock of everyone who migrates by that version table.
func advisoryLock(table string) sessionLock {
	h := fnv.New64a()
	_, _ = h.Write([]byte("tenancy/sqlkit/" + table)) // a hash.Hash never fails
	return sessionLock{int64(h.Sum64())}              //nolint:gosec // any 64 bits make a key
}

func (l sessionLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	for {
		var locked bool
		if err := conn.QueryRowContext(ctx, "SELECT pg_catalog.pg_try_advisory_lock($1)", l.key).Scan(&locked); err != nil || locked {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}

func (l sessionLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	var unlocked bool
	err := conn.QueryRowContext(ctx, "SELECT pg_catalog.pg_advisory_unlock($1)", l.key).Scan(&unlocked)
	if err == nil && !unlocked {
		return errors.New("the migration lock was lost on the way; is there a transaction pooler in between?")
	}
	return err
}

// WithLock runs work while conn's session holds the lock under which [Migrate]
// brings the version table called table up to date on PostgreSQL.
func WithLock(ctx context.Context, conn *sql.Conn, table string, work func() error) error {
	l := advisoryLock(table)
	if err := l.SessionLock(ctx, conn); err != nil {
		return err
	}
	if err := work(); err != nil {
		// The lock must go, but what ended the work may have ended the session too.
		_ = l.SessionUnlock(context.WithoutCancel(ctx), conn)
		return err
	}
	return l.SessionUnlock(context.WithoutCancel(ctx), conn)
}
