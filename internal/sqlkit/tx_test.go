package sqlkit_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/sqlkit"
)

// However a transaction ends, its connection is fit for the next one: also if it is
// canceled while it begins or commits, and an error means that nothing was committed.
func TestTransactionsLeaveNothing(t *testing.T) {
	t.Parallel()
	db := openSQLite(t, filepath.Join(t.TempDir(), "notes.db"))
	db.SetMaxOpenConns(1)
	_, err := db.ExecContext(t.Context(), "CREATE TABLE notes (body TEXT)")
	require.NoError(t, err)
	committed := 0
	for i := range 400 {
		ctx, cancel := context.WithCancel(t.Context())
		conn, err := db.Conn(t.Context())
		require.NoError(t, err)
		var group sync.WaitGroup
		group.Go(cancel)
		err = sqlkit.BeginImmediate(ctx, conn)
		if err == nil {
			_, err = conn.ExecContext(ctx, "INSERT INTO notes VALUES ('one')")
			if err != nil || i%2 == 0 {
				sqlkit.Rollback(ctx, conn)
			} else {
				require.NoError(t, sqlkit.Commit(ctx, conn), "what has come so far is kept")
				committed++
			}
		}
		group.Wait()
		require.NoError(t, conn.Close())
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
		}
	}
	assert.Equal(t, committed, count(t, db))
	require.NoError(t, db.PingContext(t.Context()))
}

// A connection that SQLite left without a transaction is kept: it may be all there is
// of a database in memory.
func TestRollbackKeepsTheConnection(t *testing.T) {
	t.Parallel()
	db := openSQLite(t, ":memory:")
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	_, err = conn.ExecContext(t.Context(), "CREATE TABLE notes (body TEXT)")
	require.NoError(t, err)
	sqlkit.Rollback(t.Context(), conn)
	require.NoError(t, sqlkit.BeginImmediate(t.Context(), conn))
	_, err = conn.ExecContext(t.Context(), "INSERT OR ROLLBACK INTO notes SELECT 1 FROM none")
	require.Error(t, err)
	sqlkit.Rollback(t.Context(), conn)
	require.NoError(t, conn.Close())
	assert.Zero(t, count(t, db))
}
