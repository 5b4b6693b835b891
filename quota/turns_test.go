package quota_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// counted is a store that takes time, and counts who asks it together.
type counted struct {
	quota.Store
	asking, most atomic.Int64
}

func (c *counted) Take(ctx context.Context, t quota.Taking) (quota.Taken, error) {
	if n := c.asking.Add(1); n > c.most.Load() {
		c.most.Store(n)
	}
	defer c.asking.Add(-1)
	time.Sleep(time.Millisecond)
	return c.Store.Take(ctx, t)
}

// TestATenantAsksEightAtATime has a hundred requests of one tenant at once: no more than
// eight of them ask the store together, and all are decided by it.
func TestATenantAsksEightAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &counted{Store: quota.NewMemoryStore(time.Now)}
		e := replicas(t, 1, store)[0]
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				d := acmeOf(t, e).Take(t.Context(), e.Ref("requests"), 1)
				assert.True(t, d.OK)
				assert.False(t, d.Degraded())
			})
		}
		wg.Wait()
		assert.EqualValues(t, 8, store.most.Load())
		require.NoError(t, e.Close(t.Context()))
	})
}

// TestWithoutPatience lets nobody wait: what is not ahead is as if the store were silent.
func TestWithoutPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Store: quota.NewMemoryStore(time.Now)}
		store.slow.Store(int64(10 * time.Millisecond))
		e := leasing(t, 1, store, quota.WithLeasePatience(0))[0]
		account, start := acmeOf(t, e), time.Now()
		assert.Equal(t, quota.CauseUnavailable, account.Take(t.Context(), e.Ref("strict"), 1).Cause())
		assert.True(t, account.Take(t.Context(), e.Ref("vast"), 1).Degraded())
		assert.Equal(t, start, time.Now())
		time.Sleep(20 * time.Millisecond) // both have some ahead by now
		assert.False(t, account.Take(t.Context(), e.Ref("vast"), 1).Degraded())
		require.NoError(t, account.Take(t.Context(), e.Ref("strict"), 1).Err())
		closeAll(t, []*quota.Enforcer{e})
	})
}

// TestBoundsOfSharing holds options to what stores take.
func TestBoundsOfSharing(t *testing.T) {
	t.Parallel()
	source, store := quota.NewMemorySource(parse(t, sharedPlans)), quota.NewMemoryStore(nil)
	for _, opt := range []quota.Option{
		quota.WithStoreTTL(401 * 24 * time.Hour), quota.WithStoreTTL(time.Millisecond), quota.WithLeasePatience(-1),
	} {
		_, err := quota.New(source, quota.WithStore(store, 1), opt)
		assert.Error(t, err)
	}
	err := store.Renew(t.Context(), "process-1", 401*24*time.Hour, nil)
	assert.ErrorIs(t, err, quota.ErrInvalid)
}

func TestStatusOfErrors(t *testing.T) {
	t.Parallel()
	assert.Equal(t, http.StatusOK, quota.StatusOf(nil))
	assert.Equal(t, http.StatusBadRequest, quota.StatusOf(tenant.ErrNoTenant))
	assert.Equal(t, http.StatusForbidden, quota.StatusOf(quota.ErrNotInPlan))
	assert.Equal(t, http.StatusServiceUnavailable, quota.StatusOf(errors.New("anything else")))
}
