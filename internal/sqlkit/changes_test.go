package sqlkit_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/sqlkit"
)

// What is trimmed before it was seen may have been anybody's.
func TestFollowChanges(t *testing.T) {
	t.Parallel()
	db := openSQLite(t, filepath.Join(t.TempDir(), "changes.db")+"?_pragma=busy_timeout(10000)")
	exec := func(query string) {
		t.Helper()
		_, err := db.ExecContext(t.Context(), query)
		require.NoError(t, err)
	}
	require.Error(t, sqlkit.FollowChanges(t.Context(), db, "changes", time.Millisecond, func(string) { t.Error("called") }), "there is no table")
	exec("CREATE TABLE changes (seq INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL); INSERT INTO changes VALUES (7, 'before')")

	ctx, stop := context.WithCancel(t.Context())
	told, ended := make(chan string, 10), make(chan error, 1)
	go func() {
		ended <- sqlkit.FollowChanges(ctx, db, "changes", time.Millisecond, func(id string) { told <- id })
	}()
	assert.Empty(t, <-told, "at the beginning")
	exec("INSERT INTO changes VALUES (8, 'a'), (9, 'b')")
	assert.Equal(t, "a", <-told)
	assert.Equal(t, "b", <-told)
	exec("INSERT INTO changes VALUES (11, 'c')")
	assert.Empty(t, <-told, "10 is missing")
	assert.Equal(t, "c", <-told)
	stop()
	require.ErrorIs(t, <-ended, context.Canceled)
}
