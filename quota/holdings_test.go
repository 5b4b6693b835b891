package quota_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
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
		crowd(t, 4, 2*time.Minute, func(ctx context.Context, _ int) {
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
