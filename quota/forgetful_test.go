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
	"github.com/tenancy-go/tenancy/tenant"
)

// silent is a store that does what it is asked, without an answer, or is down.
type silent struct {
	quota.Store
	mode atomic.Int32
}

const (
	answers int32 = iota
	swallows
	down
)

func (s *silent) Take(ctx context.Context, t quota.Taking) (quota.Taken, error) {
	mode := s.mode.Load()
	if mode == down {
		return quota.Taken{}, errDown
	}
	taken, err := s.Store.Take(ctx, t)
	if mode == swallows {
		return quota.Taken{}, errDown
	}
	return taken, err
}

func (s *silent) Renew(ctx context.Context, holder string, ttl time.Duration, held []quota.Held) error {
	if s.mode.Load() != answers {
		return errDown
	}
	return s.Store.Renew(ctx, holder, ttl, held)
}

// customer is a tenant of an Enforcer whose store has outages.
type customer struct {
	*quota.Account
	t *testing.T
	e *quota.Enforcer
}

func (c customer) claim(limit string, n int64) *quota.Grant {
	c.t.Helper()
	g, d := c.Claim(c.t.Context(), quota.Claim{Limit: c.e.Ref(limit), N: n})
	require.NoError(c.t, d.Err())
	return g
}

func (c customer) used(limit string) int64 {
	c.t.Helper()
	for _, u := range usageOf(c.t, c.Account) {
		switch {
		case u.Limit != limit:
		case len(u.Windows) > 0:
			return u.Windows[len(u.Windows)-1].Used
		default:
			return u.Used
		}
	}
	require.Fail(c.t, "no limit "+limit)
	return 0
}

// longOutage lets two tenants do something whose answer is lost, or never sent if the store is
// down from the begin, and compares what is used of a limit after the outage.
func longOutage(t *testing.T, first int32, lasts time.Duration, limit string, want int64, before func(c customer) (during func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := &silent{Store: quota.NewMemoryStore(time.Now)}
		e := replicas(t, 1, store)[0]
		var all []customer
		var during []func()
		for _, id := range []tenant.ID{"acme", "globex"} {
			account, err := e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: id, Plan: "p"}))
			require.NoError(t, err)
			all = append(all, customer{account, t, e})
		}
		for _, c := range all {
			during = append(during, before(c))
		}
		synctest.Wait()
		store.mode.Store(first)
		for _, do := range during {
			do()
			synctest.Wait()
		}
		store.mode.Store(down)
		time.Sleep(lasts)
		store.mode.Store(answers)
		time.Sleep(10 * time.Second)
		for _, c := range all {
			assert.Equal(t, want, c.used(limit), "of %s after %v", limit, lasts)
		}
		require.NoError(t, e.Close(t.Context()))
	})
}

// TestLostAnswersCountOnceAfterLongOutages loses the answer to what was carried out, and
// is down for longer than stores remember answers if nobody asks for more.
func TestLostAnswersCountOnceAfterLongOutages(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, limit string
		want        int64
		before      func(c customer) (during func())
	}{
		{"stock that is kept", "storage", 30, func(c customer) func() { return c.claim("storage", 30).Done }},
		{"stock that is released", "storage", 20, func(c customer) func() {
			c.claim("storage", 30).Done()
			return func() { c.Release(c.t.Context(), c.e.Ref("storage"), 10) }
		}},
		{"a rate that goes back", "requests", 40, func(c customer) func() {
			g := c.claim("requests", 50)
			c.claim("requests", 40)
			return func() { g.Cancel(c.t.Context()) }
		}},
		{"a rate that was more", "requests", 20, func(c customer) func() {
			g := c.claim("requests", 1)
			return func() { g.Settle(c.t.Context(), c.e.Ref("requests"), 20) }
		}},
		{"a rate that was counted", "requests", 5, func(c customer) func() {
			return func() { c.Count(c.t.Context(), quota.Claim{Limit: c.e.Ref("requests"), N: 5}) }
		}},
		{"a rate that was let in", "lax", 10, func(c customer) func() {
			return func() { c.claim("lax", 10) }
		}},
		{"what is held", "streams", 2, func(c customer) func() {
			c.claim("streams", 2)
			return func() {
				_, d := c.Claim(c.t.Context(), quota.Claim{Limit: c.e.Ref("streams"), N: 1})
				assert.Equal(c.t, quota.CauseUnavailable, d.Cause())
			}
		}},
		{"what is not held any more", "streams", 0, func(c customer) func() { return c.claim("streams", 2).Done }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, lasts := range []time.Duration{20 * time.Second, 5 * time.Minute} {
				longOutage(t, swallows, lasts, tt.limit, tt.want, tt.before)
			}
		})
	}
}

// TestTheStoreIsNotAskedTooLate has the store in time to say what became of a request, and
// too late: then its units are what the store has of it.
func TestTheStoreIsNotAskedTooLate(t *testing.T) {
	t.Parallel()
	letIn := func(c customer) func() { return func() { c.claim("lax", 10) } }
	refused := func(c customer) func() {
		return func() {
			_, d := c.Claim(c.t.Context(), quota.Claim{Limit: c.e.Ref("strict"), N: 10})
			assert.Equal(c.t, quota.CauseUnavailable, d.Cause())
		}
	}
	const soon, late = 40 * time.Second, time.Minute
	longOutage(t, down, soon, "lax", 10, letIn)
	longOutage(t, down, late, "lax", 0, letIn)
	longOutage(t, swallows, soon, "strict", 0, refused)
	longOutage(t, swallows, late, "strict", 10, refused)
	longOutage(t, down, late, "strict", 0, refused)
}

// TestALeaseDoesNotHoldWhatItHandsBack has the answer to a refill lost with which a few
// units were to go back.
func TestALeaseDoesNotHoldWhatItHandsBack(t *testing.T) {
	t.Parallel()
	for _, mode := range []int32{swallows, down} {
		synctest.Test(t, func(t *testing.T) {
			store := &silent{Store: quota.NewMemoryStore(time.Now)}
			e := leasing(t, 1, store)[0]
			c := customer{acmeOf(t, e), t, e}
			c.claim("storage", 3).Cancel(t.Context())
			synctest.Wait()
			require.Positive(t, storeUsed(t, store.Store, "storage"), "ahead")
			store.mode.Store(mode)
			_, d := c.Claim(t.Context(), quota.Claim{Limit: e.Ref("storage"), N: 20})
			require.Equal(t, quota.CauseUnavailable, d.Cause())
			store.mode.Store(answers)
			time.Sleep(10 * time.Second)
			assert.Zero(t, storeUsed(t, store.Store, "storage"))
			require.NoError(t, e.Close(t.Context()))
		})
	}
}

// listening takes down the Takings that it hears of.
type listening struct {
	quota.Store
	mu    sync.Mutex
	heard []quota.Taking
}

func (l *listening) Take(ctx context.Context, t quota.Taking) (quota.Taken, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, t)
	return l.Store.Take(ctx, t)
}

// TestCorrectionsLetGoOfThoseBefore finds one answer for each tenant that is to be
// remembered for long.
func TestCorrectionsLetGoOfThoseBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &listening{Store: quota.NewMemoryStore(time.Now)}
		e := replicas(t, 1, store)[0]
		ids := []tenant.ID{"acme", "globex"}
		for i := range 10 {
			account, err := e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: ids[i%2], Plan: "p"}))
			require.NoError(t, err)
			c := customer{account, t, e}
			c.claim("storage", 1).Done()
			synctest.Wait()
		}
		require.NoError(t, e.Close(t.Context()))
		last, corrections := make(map[tenant.ID]string), 0
		for _, taking := range store.heard {
			if len(taking.Returns) == 0 {
				assert.Zero(t, taking.Remember)
				continue
			}
			corrections++
			assert.Equal(t, 24*time.Hour, taking.Remember)
			assert.Equal(t, last[taking.Tenant], taking.Forget)
			last[taking.Tenant] = taking.ID
		}
		assert.Equal(t, 10, corrections)
	})
}

// delayed is a store to which a request comes when nobody waits for its answer any more.
type delayed struct {
	quota.Store
	next atomic.Bool
}

func (d *delayed) Take(ctx context.Context, t quota.Taking) (quota.Taken, error) {
	if d.next.Swap(false) {
		go func() {
			time.Sleep(30 * time.Second)
			_, _ = d.Store.Take(context.WithoutCancel(ctx), t)
		}()
		<-ctx.Done()
		return quota.Taken{}, ctx.Err()
	}
	return d.Store.Take(ctx, t)
}

// TestALateCopyCountsOnce repeats a correction, and sends others, before the first copy
// arrives.
func TestALateCopyCountsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &delayed{Store: quota.NewMemoryStore(time.Now)}
		e := replicas(t, 1, store)[0]
		c := customer{acmeOf(t, e), t, e}
		g := c.claim("storage", 30)
		store.next.Store(true)
		g.Done()
		for range 3 {
			time.Sleep(5 * time.Second)
			c.claim("storage", 1).Done()
		}
		time.Sleep(time.Minute)
		assert.EqualValues(t, 33, c.used("storage"))
		require.NoError(t, e.Close(t.Context()))
	})
}
