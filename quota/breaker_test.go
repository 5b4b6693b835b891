package quota_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// serial is a store that takes time for each request, and serves those of a tenant one after
// the other.
type serial struct {
	quota.Store
	mu    sync.Mutex
	turns map[tenant.ID]chan struct{}
}

func (s *serial) turn(id tenant.ID) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turns[id] == nil {
		s.turns[id] = make(chan struct{}, 1)
	}
	return s.turns[id]
}

func (s *serial) Take(ctx context.Context, t quota.Taking) (quota.Taken, error) {
	turn := s.turn(t.Tenant)
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return quota.Taken{}, fmt.Errorf("%w: %w", quota.ErrUnavailable, ctx.Err())
	}
	defer func() { <-turn }()
	time.Sleep(3 * time.Millisecond)
	return s.Store.Take(ctx, t)
}

// TestAFloodIsItsTenantsOwn has a tenant with more requests than the store serves in time:
// the others go on.
func TestAFloodIsItsTenantsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := replicas(t, 1, &serial{Store: quota.NewMemoryStore(time.Now), turns: make(map[tenant.ID]chan struct{})})[0]
		flooding, err := e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: "flood", Plan: "p"}))
		require.NoError(t, err)
		crowd(t, 31, 10*time.Second, func(ctx context.Context, i int) {
			if i > 0 {
				flooding.Take(ctx, e.Ref("lax"), 1)
				return
			}
			assert.NotEqual(t, quota.CauseUnavailable, acmeOf(t, e).Take(ctx, e.Ref("strict"), 1).Cause())
			time.Sleep(20 * time.Millisecond)
		})
		require.NoError(t, e.Close(t.Context()))
	})
}
