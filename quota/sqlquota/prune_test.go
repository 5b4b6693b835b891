package sqlquota_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
)

// TestNobodyWaitsForOldAnswers takes while a Prune, which is not over yet, has its hands on
// the tenant's old answers.
func TestNobodyWaitsForOldAnswers(t *testing.T) {
	t.Parallel()
	p := postgres(t)
	store, db := p.store(t), p.open(t)
	c := rate("requests", daily(100))
	_, err := store.Take(t.Context(), taking("acme", quota.Charge{Counter: c, N: 1}))
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "UPDATE tenancy_quota_answers SET expires_at = 0")
	require.NoError(t, err)

	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), `SELECT tenancy_quota_prune('{"limit": 100}')`)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = store.Take(ctx, taking("acme", quota.Charge{Counter: c, N: 1}))
	assert.NoError(t, err)
	require.NoError(t, tx.Rollback())
}
