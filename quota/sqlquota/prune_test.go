package sqlquota_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/sqlquota"
)

// TestPruneLeavesAnswers has one that is to be remembered for a day, until another Taking
// lets go of it.
func TestPruneLeavesAnswers(t *testing.T) {
	onEach(t, func(t *testing.T, p place) {
		now := time.Date(2027, 3, 1, 10, 0, 0, 0, time.UTC)
		store := p.store(t, sqlquota.WithClock(func() time.Time { return now }))
		take := func(request quota.Taking) string {
			_, err := store.Take(t.Context(), request)
			require.NoError(t, err)
			return request.ID
		}
		prunes := func(want int64) {
			deleted, err := store.Prune(t.Context(), 10)
			require.NoError(t, err)
			assert.Equal(t, want, deleted, "at %v", now)
		}
		day := taking("acme")
		day.Remember = 24 * time.Hour
		id := take(day)
		take(taking("acme"))
		now = now.Add(23 * time.Hour)
		prunes(1)
		lets := taking("acme")
		lets.Forget = id
		take(lets)
		now = now.Add(time.Minute - time.Millisecond)
		prunes(0)
		now = now.Add(time.Millisecond)
		prunes(2)
	})
}

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
