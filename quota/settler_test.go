package quota_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// stuck is a store that does not answer about one tenant.
type stuck struct {
	quota.Store
	tenant tenant.ID
	freed  atomic.Bool
}

func (s *stuck) Take(ctx context.Context, t quota.Taking) (quota.Taken, error) {
	if t.Tenant == s.tenant && !s.freed.Load() {
		<-ctx.Done()
		return quota.Taken{}, ctx.Err()
	}
	return s.Store.Take(ctx, t)
}

// TestCorrectionsDoNotWaitForAnotherTenants has corrections of a tenant about whom the
// store does not answer, before and between those of another.
func TestCorrectionsDoNotWaitForAnotherTenants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &stuck{Store: quota.NewMemoryStore(time.Now), tenant: "stuck"}
		e := replicas(t, 1, store)[0]
		jammed, err := e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: "stuck", Plan: "p"}))
		require.NoError(t, err)
		for range 5 {
			jammed.Count(t.Context(), quota.Claim{Limit: e.Ref("requests"), N: 1})
			jammed.Release(t.Context(), e.Ref("storage"), 1)
			g, d := acmeOf(t, e).Claim(t.Context(), quota.Claim{Limit: e.Ref("requests"), N: 90}, quota.Claim{Limit: e.Ref("storage"), N: 10})
			require.NoError(t, d.Err())
			g.Settle(t.Context(), e.Ref("requests"), 0)
			g.Done()
			time.Sleep(5 * time.Second)
		}
		assert.Zero(t, usedOf(t, e, "requests"))
		assert.EqualValues(t, 50, usedOf(t, e, "storage"))
		store.freed.Store(true)
		require.NoError(t, e.Close(t.Context()))
		levels, err := store.Read(t.Context(), "stuck", []quota.Counter{{Limit: "requests", Terms: &quota.Terms{Kind: quota.Rate, Windows: []quota.Window{{Per: quota.Hour, Limit: 1000, Roll: quota.Rolling}}}}})
		require.NoError(t, err)
		assert.EqualValues(t, 5, levels[0].Windows[0].Used)
	})
}
