package quota_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
)

// TestReconcileWaitsForCorrections measures what the store has not heard of yet: it counts
// once.
func TestReconcileWaitsForCorrections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Store: quota.NewMemoryStore(time.Now)}
		e := replicas(t, 1, store)[0]
		account, storage := acmeOf(t, e), e.Ref("storage")
		g, d := account.Claim(t.Context(), quota.Claim{Limit: storage, N: 30})
		require.NoError(t, d.Err())
		store.down.Store(true)
		g.Done() // the file is there
		time.Sleep(20 * time.Second)
		_, err := account.Reconcile(t.Context(), storage, 30)
		require.ErrorIs(t, err, quota.ErrUnavailable)
		store.down.Store(false)
		drift, err := account.Reconcile(t.Context(), storage, 30) // and was measured
		require.NoError(t, err)
		assert.Zero(t, drift)
		require.NoError(t, e.Close(t.Context()))
		assert.Equal(t, int64(30), usedOf(t, e, "storage"))
	})
}

// TestCloseGivesUp closes while the store is down: nobody goes on trying.
func TestCloseGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Store: quota.NewMemoryStore(time.Now)}
		e := replicas(t, 1, store)[0]
		account := acmeOf(t, e)
		_, d := account.Claim(t.Context(), quota.Claim{Limit: e.Ref("streams"), N: 1})
		require.NoError(t, d.Err())
		store.down.Store(true)
		account.Count(t.Context(), quota.Claim{Limit: e.Ref("requests"), N: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, e.Close(ctx), quota.ErrUnavailable)
		time.Sleep(time.Minute)
		before := store.calls.Load()
		time.Sleep(time.Minute)
		assert.Equal(t, before, store.calls.Load(), "calls after Close has failed")
	})
}

// TestTooManyClaims asks for more limits at once than a store would carry out in one step.
func TestTooManyClaims(t *testing.T) {
	t.Parallel()
	e := replicas(t, 1, quota.NewMemoryStore(nil))[0]
	claims := make([]quota.Claim, 201)
	for i := range claims {
		claims[i] = quota.Claim{Limit: e.Ref("users"), Key: fmt.Sprint(i), N: 1}
	}
	_, d := acmeOf(t, e).Claim(t.Context(), claims...)
	assert.ErrorIs(t, d.Err(), quota.ErrInvalid)
	_, d = acmeOf(t, e).Claim(t.Context(), claims[1:]...)
	assert.NoError(t, d.Err())
}
