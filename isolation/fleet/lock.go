package fleet

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
)

const (
	lockKey = 0x666c_6565_7421 // any number that nobody else uses
	// lockPoll is how often a waiting runner asks. It asks rather than waits in the
	// server: a waiting statement holds a snapshot.
	lockPoll = 200 * time.Millisecond
)

// runnerLock is held by the one runner of a ledger, through a session of the
// database: it goes when the process dies.
type runnerLock struct {
	check   func(context.Context) error
	release func() error
}

// lock returns ErrRunning while another holds the lock, unless wait says to ask
// again until ctx ends.
func (l *Ledger) lock(ctx context.Context, wait bool) (*runnerLock, error) {
	for {
		held, err := l.tryLock(ctx)
		if err == nil || !wait || !errors.Is(err, ErrRunning) {
			return held, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

func (l *Ledger) tryLock(ctx context.Context) (*runnerLock, error) {
	if l.dialect == OnPostgres {
		return l.lockPostgres(ctx)
	}
	return l.lockSQLite(ctx)
}

func (l *Ledger) lockPostgres(ctx context.Context) (*runnerLock, error) {
	if l.db.Stats().MaxOpenConnections == 1 {
		return nil, errors.New("fleet: the control database needs two connections, one of them for the lock; see SetMaxOpenConns")
	}
	conn, err := l.db.DB.Conn(ctx)
	if err != nil {
		return nil, failed(ctx, "lock", err)
	}
	var locked bool
	err = conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", int64(lockKey)).Scan(&locked)
	if err == nil && locked {
		return &runnerLock{
			check: func(ctx context.Context) error { return stillLocked(ctx, conn) },
			release: func() error {
				_, err := conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(lockKey))
				return errors.Join(err, conn.Close())
			},
		}, nil
	}
	if err == nil {
		err = ErrRunning
	}
	return nil, errors.Join(failed(ctx, "lock", err), conn.Close())
}

// stillLocked finds out that the session, and the lock with it, is gone.
func stillLocked(ctx context.Context, conn *sql.Conn) error {
	if err := conn.PingContext(ctx); err != nil {
		return failed(ctx, "the runner's lock was lost with its connection; run again", err)
	}
	return nil
}

// lockSQLite holds the write lock of an empty database beside the ledger's own. The
// ledger's own has to stay free for writes.
func (l *Ledger) lockSQLite(ctx context.Context) (*runnerLock, error) {
	var file string
	err := l.db.QueryRowContext(ctx, "SELECT COALESCE(file, '') FROM pragma_database_list WHERE name = 'main'").Scan(&file)
	if err != nil {
		return nil, failed(ctx, "lock", err)
	}
	if file == "" { // in memory: nobody else can have it
		if !l.runner.TryLock() {
			return nil, ErrRunning
		}
		return &runnerLock{check: noCheck, release: func() error { l.runner.Unlock(); return nil }}, nil
	}
	db := sql.OpenDB(lockFile{driver: l.db.Driver(), name: file + "-fleet-lock"})
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err == nil {
		_, err = conn.ExecContext(ctx, "PRAGMA busy_timeout = 0")
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, "BEGIN IMMEDIATE")
		if isBusy(err) {
			err = ErrRunning
		}
	}
	if err != nil {
		return nil, errors.Join(failed(ctx, "lock "+file+"-fleet-lock", err), db.Close())
	}
	return &runnerLock{check: noCheck, release: func() error {
		_, err := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return errors.Join(err, conn.Close(), db.Close())
	}}, nil
}

func noCheck(context.Context) error { return nil }

// lockFile opens a file by the ledger's own driver, whichever that is.
type lockFile struct {
	driver driver.Driver
	name   string
}

func (f lockFile) Connect(context.Context) (driver.Conn, error) { return f.driver.Open(f.name) }
func (f lockFile) Driver() driver.Driver                        { return f.driver }

// String names the file.
func (f lockFile) String() string { return fmt.Sprintf("file %s", f.name) }
