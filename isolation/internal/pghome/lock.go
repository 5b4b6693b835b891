package pghome

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// lockPoll is how often a waiting process asks for a lock. It asks rather than
// waits in the server: a waiting statement holds a snapshot, which would block
// CREATE INDEX CONCURRENTLY in a migration.
const lockPoll = 20 * time.Millisecond

// Mode is how a lock is held.
type Mode int

// Shared locks exclude exclusive ones only.
const (
	Exclusive Mode = iota
	Shared
)

func (m Mode) suffix() string {
	if m == Shared {
		return "_shared"
	}
	return ""
}

// WithLock runs work while conn's session holds the advisory lock called name.
// The server lets go of it when the process or the session dies. It must not be
// called inside a transaction.
func WithLock(ctx context.Context, conn *sql.Conn, mode Mode, name string, work func() error) (err error) {
	key := lockKey(name)
	if err := lock(ctx, conn, mode, key); err != nil {
		return fmt.Errorf("lock %s: %w", name, err)
	}
	defer func() {
		// The lock must go even when ctx has ended. If it cannot, it goes with the
		// session, and the caller has an error already that ended the session.
		query := "SELECT pg_catalog.pg_advisory_unlock" + mode.suffix() + "($1)"
		if _, unlockErr := conn.ExecContext(context.WithoutCancel(ctx), query, key); err == nil && unlockErr != nil {
			err = fmt.Errorf("unlock %s: %w", name, unlockErr)
		}
	}()
	return work()
}

func lock(ctx context.Context, conn *sql.Conn, mode Mode, key int64) error {
	query := "SELECT pg_catalog.pg_try_advisory_lock" + mode.suffix() + "($1)"
	for {
		var locked bool
		if err := conn.QueryRowContext(ctx, query, key).Scan(&locked); err != nil || locked {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(errors.New("another process holds it"), ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// lockKey maps a name to one of 2^64 keys, so that two never meet by chance.
func lockKey(name string) int64 {
	sum := sha256.Sum256([]byte("tenancy/isolation/" + name))
	return int64(binary.BigEndian.Uint64(sum[:])) //nolint:gosec // any 64 bits make a key
}
