package quota_test

import (
	"context"
	"fmt"
	"slices"
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

// distant is a store that takes time to answer.
type distant struct {
	quota.Store
	latency time.Duration
}

func (s distant) Take(ctx context.Context, t quota.Taking) (quota.Taken, error) {
	time.Sleep(s.latency)
	return s.Store.Take(ctx, t)
}

func (s distant) Renew(ctx context.Context, holder string, ttl time.Duration, held []quota.Held) error {
	time.Sleep(s.latency)
	return s.Store.Renew(ctx, holder, ttl, held)
}

const twoHeld = `{"version": 1, "plans": {"p": {"limits": {
	"streams": {"kind": "concurrent", "max": 5}, "jobs": {"kind": "concurrent", "max": 5}
}}}}`

func distantEnforcer(t *testing.T) *quota.Enforcer {
	t.Helper()
	store := distant{quota.NewMemoryStore(time.Now), 5 * time.Millisecond}
	e, err := quota.New(quota.NewMemorySource(parse(t, twoHeld)), quota.WithStore(store, 1), quota.WithClock(time.Now))
	require.NoError(t, err)
	return e
}

// crowd runs ask in n goroutines, out of step and without a pause, for some time.
func crowd(t *testing.T, n int, lasts time.Duration, ask func(ctx context.Context, i int)) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), lasts)
	defer stop()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			time.Sleep(time.Duration(i) * 1300 * time.Microsecond)
			for ctx.Err() == nil {
				ask(t.Context(), i)
				time.Sleep(time.Millisecond)
			}
		})
	}
	wg.Wait()
}

// TestACrowdDoesNotKeepWhatIsHeldFromBeingRenewed has clients that ask for more all the
// time: what they hold does not run out.
func TestACrowdDoesNotKeepWhatIsHeldFromBeingRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := distantEnforcer(t)
		var held atomic.Int64
		crowd(t, 4, 45*time.Second, func(ctx context.Context, _ int) {
			if _, d := acmeOf(t, e).Claim(ctx, quota.Claim{Limit: e.Ref("streams"), N: 1}); d.OK {
				held.Add(1)
			}
		})
		assert.EqualValues(t, 5, held.Load())
		require.NoError(t, e.Close(t.Context()))
	})
}

// TestACrowdGetsWhatIsReleased has clients that come back at once: what one releases,
// another gets, also of two limits in whatever order and of one twice.
func TestACrowdGetsWhatIsReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := distantEnforcer(t)
		var served, unavailable atomic.Int64
		streams, jobs := quota.Claim{Limit: e.Ref("streams"), N: 1}, quota.Claim{Limit: e.Ref("jobs"), N: 1}
		orders := [][]quota.Claim{{streams, jobs}, {jobs, streams}, {streams}, {jobs, jobs}}
		crowd(t, 8, 20*time.Second, func(ctx context.Context, i int) {
			g, d := acmeOf(t, e).Claim(ctx, orders[i%len(orders)]...)
			if d.OK {
				time.Sleep(20 * time.Millisecond)
				g.Done()
				served.Add(1)
			} else if d.Cause() == quota.CauseUnavailable {
				unavailable.Add(1)
			}
		})
		assert.Greater(t, served.Load(), int64(500))
		assert.Zero(t, unavailable.Load())
		require.NoError(t, e.Close(t.Context()))
	})
}

// troubled is a store that does not answer when it is asked of one tenant, or of many
// counters.
type troubled struct {
	quota.Store
	tenant tenant.ID
	most   int
	healed atomic.Bool
}

func (s *troubled) Renew(ctx context.Context, holder string, ttl time.Duration, held []quota.Held) error {
	troubles := func(h quota.Held) bool { return h.Tenant == s.tenant }
	if !s.healed.Load() && (len(held) > s.most || slices.ContainsFunc(held, troubles)) {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Store.Renew(ctx, holder, ttl, held)
}

// TestOneTenantsTroubleIsNotTheOthers holds streams of a thousand tenants, while the store
// answers nothing about one of them. Theirs do not run out.
func TestOneTenantsTroubleIsNotTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &troubled{Store: quota.NewMemoryStore(time.Now), tenant: "tenant-7", most: 50}
		e, err := quota.New(quota.NewMemorySource(parse(t, twoHeld)), quota.WithStore(store, 1), quota.WithClock(time.Now))
		require.NoError(t, err)
		id := func(i int) tenant.ID { return tenant.ID(fmt.Sprintf("tenant-%d", i)) }
		for i := range 1000 {
			account, err := e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: id(i), Plan: "p"}))
			require.NoError(t, err)
			_, d := account.Claim(t.Context(), quota.Claim{Limit: e.Ref("streams"), N: 2}, quota.Claim{Limit: e.Ref("jobs"), N: 1})
			require.NoError(t, d.Err())
		}
		for range 10 {
			time.Sleep(time.Minute)
			for i := range 1000 {
				levels, err := store.Read(t.Context(), id(i), []quota.Counter{{Limit: "streams", Terms: &quota.Terms{Kind: quota.Concurrent, Max: 5}}})
				require.NoError(t, err)
				if i != 7 {
					require.EqualValues(t, 2, levels[0].Used, "tenant %d", i)
				}
			}
		}
		store.healed.Store(true)
		require.NoError(t, e.Close(t.Context()))
	})
}
