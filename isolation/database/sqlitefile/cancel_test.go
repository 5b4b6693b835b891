package sqlitefile_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
)

// endless has no end and no first row.
const endless = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n`

// stuck has a first row, and no end after it.
const stuck = `SELECT 1 UNION ALL SELECT * FROM (` + endless + `)`

func TestCancelledStatement(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	provision(t, s, acme)
	db, pool := pooled(t, s, isolation.MaxConns(1))
	runs := map[string]func(ctx context.Context) error{
		"query":    func(ctx context.Context) error { return db.QueryRowContext(ctx, endless).Scan(new(int)) },
		"exec":     func(ctx context.Context) error { _, err := db.ExecContext(ctx, endless); return err },
		"next row": func(ctx context.Context) error { return readAll(ctx, db, stuck) },
		"prepared": func(ctx context.Context) error {
			stmt, err := db.PrepareContext(ctx, stuck)
			if err != nil {
				return err
			}
			defer func() { assert.NoError(t, stmt.Close()) }()
			rows, err := stmt.QueryContext(ctx)
			if err != nil {
				return err
			}
			defer func() { assert.NoError(t, rows.Close()) }()
			for more := true; more; {
				more = rows.Next()
			}
			return rows.Err()
		},
		"transaction": func(ctx context.Context) error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback() }() // database/sql has done so
			_, err = tx.ExecContext(ctx, `INSERT INTO customer (name) VALUES ('gone')`)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, endless)
			return err
		},
	}
	for name, run := range runs {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(in(t, acme), 20*time.Millisecond)
			defer cancel()
			require.ErrorIs(t, run(ctx), context.DeadlineExceeded)
			assert.Equal(t, 0, count(t, db, acme, `SELECT count(*) FROM customer`), "the next statement finds all well")
			assert.LessOrEqual(t, pool.Stats().Open, 1)
		})
	}
}

func TestCancelledWaitForAWriter(t *testing.T) {
	t.Parallel()
	s, _ := open(t, sqlitefile.BusyTimeout(time.Hour))
	provision(t, s, acme)
	db, _ := pooled(t, s)
	tx, err := db.BeginTx(in(t, acme), nil)
	require.NoError(t, err)
	defer func() { assert.NoError(t, tx.Rollback()) }()

	ctx, cancel := context.WithTimeout(in(t, acme), 20*time.Millisecond)
	defer cancel()
	_, err = db.ExecContext(ctx, `INSERT INTO customer (name) VALUES ('waits')`)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	reader, err := db.BeginTx(in(t, acme), &sql.TxOptions{ReadOnly: true})
	require.NoError(t, err, "readers do not wait")
	assert.NoError(t, reader.Commit())
}

// TestAbort ends a statement whose context has no end, as Pool.Shutdown does.
func TestAbort(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	provision(t, s, acme)
	for name, query := range map[string]string{"before the first row": endless, "after the first row": stuck} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := direct(t, s)
			ended := make(chan error, 1)
			go func() {
				rows, err := conn.(driver.QueryerContext).QueryContext(context.WithoutCancel(t.Context()), query, nil)
				if err == nil {
					err = drain(rows)
				}
				ended <- err
			}()
			abort := time.NewTicker(time.Millisecond) // the statement may not have begun yet
			defer abort.Stop()
			for {
				select {
				case err := <-ended:
					require.Error(t, err)
					assert.False(t, conn.(driver.Validator).IsValid())
					require.ErrorIs(t, conn.(driver.SessionResetter).ResetSession(t.Context()), driver.ErrBadConn)
					_, err = conn.(driver.ExecerContext).ExecContext(t.Context(), `SELECT 1`, nil)
					require.ErrorIs(t, err, driver.ErrBadConn)
					return
				case <-abort.C:
					require.NoError(t, conn.(interface{ Abort() error }).Abort())
				}
			}
		})
	}
}

func TestShutdownEndsRunningWork(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	provision(t, s, acme)
	pool, err := isolation.New(s)
	require.NoError(t, err)
	db := sql.OpenDB(pool)
	ended := make(chan error, 1)
	go func() { ended <- readAll(in(t, acme), db, stuck) }()
	require.Eventually(t, func() bool { return pool.Stats().InUse == 1 }, 10*time.Second, time.Millisecond)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, pool.Shutdown(ctx), context.DeadlineExceeded)
	assert.Error(t, <-ended)
}

func TestInterruptAfterCloseIsHarmless(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	provision(t, s, acme)
	conn := direct(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, `SELECT 1`, nil)
	require.NoError(t, err)
	require.NoError(t, rows.Close())
	cancel()
	assert.Equal(t, int64(2), firstInt(t, conn, `SELECT 2`))
	require.NoError(t, conn.Close())
	assert.NoError(t, conn.(interface{ Abort() error }).Abort())
}
