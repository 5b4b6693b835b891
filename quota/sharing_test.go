package quota_test

import (
	"context"
	"errors"
	"fmt"
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

// flaky is a store that fails, loses answers or hangs when it is told to.
type flaky struct {
	quota.Store
	down  atomic.Bool  // fails at once
	hangs atomic.Bool  // answers when the context ends
	slow  atomic.Int64 // answers after so many nanoseconds
	loses atomic.Int64 // so many answers, after doing what was asked
	calls atomic.Int64
}

var errDown = errors.New("store is down")

func (f *flaky) fault(ctx context.Context) error {
	f.calls.Add(1)
	if f.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if f.down.Load() {
		return errDown
	}
	select {
	case <-time.After(time.Duration(f.slow.Load())):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *flaky) Take(ctx context.Context, t quota.Taking) (quota.Taken, error) {
	if err := f.fault(ctx); err != nil {
		return quota.Taken{}, err
	}
	taken, err := f.Store.Take(ctx, t)
	if f.loses.Load() > 0 && f.loses.Add(-1) >= 0 {
		return quota.Taken{}, errDown
	}
	return taken, err
}

func (f *flaky) Renew(ctx context.Context, holder string, ttl time.Duration, held []quota.Held) error {
	if err := f.fault(ctx); err != nil {
		return err
	}
	return f.Store.Renew(ctx, holder, ttl, held)
}

const sharedPlans = `{"version": 1, "plans": {"p": {"limits": {
	"requests": {"windows": {"minute": 100, "hour": 1000}, "warn": 0.5},
	"users": {"per": "key", "windows": {"minute": 10}},
	"strict": {"windows": {"hour": 40}, "outage": "close"},
	"lax": {"windows": {"hour": 40}, "outage": "open"},
	"streams": {"kind": "concurrent", "max": 5},
	"storage": {"kind": "stock", "max": 100},
	"trial": {"windows": {"hour": 2}, "shadow": true},
	"free": {"windows": {}}
}}}}`

// replicas returns Enforcers over one store, on the real clock of a bubble.
func replicas(t *testing.T, n int, store quota.Store, opts ...quota.Option) []*quota.Enforcer {
	t.Helper()
	source := quota.NewMemorySource(parse(t, sharedPlans))
	all := make([]*quota.Enforcer, n)
	for i := range all {
		e, err := quota.New(source, append(opts, quota.WithStore(store, n), quota.WithClock(time.Now))...)
		require.NoError(t, err)
		all[i] = e
	}
	return all
}

func acmeOf(t *testing.T, e *quota.Enforcer) *quota.Account {
	t.Helper()
	account, err := e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme", Plan: "p"}))
	require.NoError(t, err)
	return account
}

func usedOf(t *testing.T, e *quota.Enforcer, limit string) int64 {
	t.Helper()
	for _, u := range usageOf(t, acmeOf(t, e)) {
		if u.Limit == limit {
			if len(u.Windows) > 0 {
				return u.Windows[len(u.Windows)-1].Used
			}
			return u.Used
		}
	}
	require.Fail(t, "no limit "+limit)
	return 0
}

// TestReplicasShareLimits lets eight replicas take all they can, of all kinds, for two
// tenants at once.
func TestReplicasShareLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := replicas(t, 8, quota.NewMemoryStore(time.Now))
		var granted [2][5]atomic.Int64
		var wg sync.WaitGroup
		for who, id := range []tenant.ID{"acme", "globex"} {
			for _, e := range all {
				wg.Go(func() {
					account, err := e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: id, Plan: "p"}))
					if !assert.NoError(t, err) {
						return
					}
					for range 30 {
						for i, c := range []quota.Claim{
							{Limit: e.Ref("requests"), N: 1}, {Limit: e.Ref("users"), Key: "ann", N: 1}, {Limit: e.Ref("strict"), N: 2},
							{Limit: e.Ref("streams"), N: 1}, {Limit: e.Ref("storage"), N: 7},
						} {
							if g, d := account.Claim(t.Context(), c); d.OK {
								granted[who][i].Add(c.N)
								if i == 4 {
									g.Done()
								}
							}
						}
					}
				})
			}
		}
		wg.Wait()
		for who := range granted {
			for i, want := range []int64{100, 10, 40, 5, 98} {
				assert.Equal(t, want, granted[who][i].Load(), "limit %d", i)
			}
		}
		for _, e := range all {
			require.NoError(t, e.Close(t.Context()))
		}
		assert.Equal(t, int64(98), usedOf(t, all[0], "storage"))
		assert.Zero(t, usedOf(t, all[0], "streams"))
	})
}

func TestSharedGrants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := replicas(t, 2, quota.NewMemoryStore(time.Now))
		here, there := all[0], all[1]
		claim := func(n int64, limits ...string) (*quota.Grant, quota.Decision) {
			var claims []quota.Claim
			for _, limit := range limits {
				claims = append(claims, quota.Claim{Limit: here.Ref(limit), N: n})
			}
			return acmeOf(t, here).Claim(t.Context(), claims...)
		}
		g, d := claim(5, "requests", "streams", "storage", "free")
		require.NoError(t, d.Err())
		assert.Zero(t, d.Remaining(), "the streams are closest")
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		assert.ErrorIs(t, acmeOf(t, here).Take(ended, here.Ref("requests"), 1).Err(), quota.ErrUnavailable, "not counted alone")
		assert.Equal(t, int64(5), usedOf(t, there, "streams"))
		_, d = claim(5, "requests", "streams")
		assert.Equal(t, quota.CauseBusy, d.Cause())
		assert.Equal(t, int64(5), usedOf(t, there, "requests"), "refused as a whole")

		g.Settle(t.Context(), here.Ref("requests"), 60)
		g.Settle(t.Context(), here.Ref("storage"), 30)
		g.Done()
		synctest.Wait()
		assert.Equal(t, int64(60), usedOf(t, there, "requests"))
		assert.Equal(t, int64(30), usedOf(t, there, "storage"))
		assert.Zero(t, usedOf(t, there, "streams"))
		g.Cancel(t.Context())

		g, d = claim(40, "requests", "storage")
		require.NoError(t, d.Err())
		g.Cancel(t.Context())
		acmeOf(t, there).Release(t.Context(), there.Ref("storage"), 10)
		acmeOf(t, there).Count(t.Context(), quota.Claim{Limit: there.Ref("requests"), N: 100})
		synctest.Wait()
		assert.Equal(t, int64(160), usedOf(t, here, "requests"))
		assert.Equal(t, int64(20), usedOf(t, here, "storage"))
		drift, err := acmeOf(t, here).Reconcile(t.Context(), here.Ref("storage"), 50)
		require.NoError(t, err)
		assert.Equal(t, int64(-30), drift)
		_, d = claim(1, "requests")
		assert.Equal(t, quota.CauseLimit, d.Cause())
		window, _ := d.Window()
		assert.Equal(t, quota.Minute, window.Per)
		for range 3 {
			_, d = claim(1, "trial")
			assert.True(t, d.OK)
		}
		assert.Equal(t, int64(2), usedOf(t, here, "trial"))
		require.NoError(t, here.Close(t.Context()))
		require.NoError(t, there.Close(t.Context()))
	})
}

// TestCancelFreesTheEstimate settles a reservation to less, and cancels it then: all that
// was reserved is free, not only what it was settled to.
func TestCancelFreesTheEstimate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := replicas(t, 2, quota.NewMemoryStore(time.Now))
		g, d := acmeOf(t, all[0]).Claim(t.Context(), quota.Claim{Limit: all[0].Ref("storage"), N: 70})
		require.NoError(t, d.Err())
		g.Settle(t.Context(), all[0].Ref("storage"), 50)
		g.Cancel(t.Context())
		synctest.Wait()
		assert.Zero(t, usedOf(t, all[1], "storage"))
		_, d = acmeOf(t, all[1]).Claim(t.Context(), quota.Claim{Limit: all[1].Ref("storage"), N: 100})
		assert.NoError(t, d.Err())
		require.NoError(t, all[1].Close(t.Context()))
	})
}

// TestGrantsThatOutliveClose ends grants after the enforcer has let go of everything.
func TestGrantsThatOutliveClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := replicas(t, 1, quota.NewMemoryStore(time.Now))[0]
		g, d := acmeOf(t, e).Claim(t.Context(), quota.Claim{Limit: e.Ref("streams"), N: 2})
		require.NoError(t, d.Err())
		require.NoError(t, e.Close(t.Context()))
		assert.Zero(t, usedOf(t, e, "streams"))
		g.Done()
		synctest.Wait()
		g, d = acmeOf(t, e).Claim(t.Context(), quota.Claim{Limit: e.Ref("streams"), N: 5})
		require.NoError(t, d.Err())
		assert.Equal(t, int64(5), usedOf(t, e, "streams"))
		g.Done()
		require.NoError(t, e.Close(t.Context()))
	})
}

// TestHolderDies takes streams and never says anything again.
func TestHolderDies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lost := &flaky{Store: quota.NewMemoryStore(time.Now)}
		dies := replicas(t, 2, lost)[0]
		lives := replicas(t, 2, lost.Store)[0]
		_, d := acmeOf(t, dies).Claim(t.Context(), quota.Claim{Limit: dies.Ref("streams"), N: 3}, quota.Claim{Limit: dies.Ref("storage"), N: 50})
		require.NoError(t, d.Err())
		g, d := acmeOf(t, lives).Claim(t.Context(), quota.Claim{Limit: lives.Ref("streams"), N: 2})
		require.NoError(t, d.Err())

		time.Sleep(5 * time.Minute)
		assert.Equal(t, int64(5), usedOf(t, lives, "streams"), "whoever lives says so from time to time")
		lost.down.Store(true) // as if it were dead
		time.Sleep(time.Minute)
		assert.Equal(t, int64(2), usedOf(t, lives, "streams"))
		assert.Zero(t, usedOf(t, lives, "storage"))
		g.Done()
		synctest.Wait()
		assert.Zero(t, usedOf(t, lives, "streams"))
		lost.down.Store(false)
		require.NoError(t, dies.Close(t.Context()))
		time.Sleep(time.Minute)
	})
}

// failures are how a store can be of no use.
var failures = map[string]func(f *flaky, on bool){
	"down":  func(f *flaky, on bool) { f.down.Store(on) },
	"hangs": func(f *flaky, on bool) { f.hangs.Store(on) },
}

// TestOutage lets the store fail in three ways, and looks at what each limit does.
func TestOutage(t *testing.T) {
	t.Parallel()
	for name, fail := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { outage(t, fail) })
		})
	}
}

func outage(t *testing.T, fail func(f *flaky, on bool)) {
	r := &recorder{}
	store := &flaky{Store: quota.NewMemoryStore(time.Now)}
	e := replicas(t, 4, store, quota.WithEvents(r.event))[0]
	account := acmeOf(t, e)
	take := func(limit string) quota.Decision { return account.Take(t.Context(), e.Ref(limit), 1) }
	require.True(t, take("requests").OK)

	fail(store, true)
	start := time.Now()
	granted := 0
	for range 200 {
		if d := take("requests"); d.OK {
			granted++
			assert.True(t, d.Degraded())
		}
	}
	assert.Equal(t, 24, granted, "a quarter of 100, of which one was used")
	assert.LessOrEqual(t, time.Since(start), 3*50*time.Millisecond, "nobody waits after three failures")
	assert.Equal(t, quota.CauseUnavailable, take("strict").Cause())
	for range 50 {
		assert.True(t, take("lax").OK)
	}
	_, d := account.Claim(t.Context(), quota.Claim{Limit: e.Ref("streams"), N: 1})
	assert.ErrorIs(t, d.Err(), quota.ErrUnavailable, "what is held is not let in unseen, unless the plan says so")
	_, d = account.Claim(t.Context(), quota.Claim{Limit: e.Ref("requests"), N: 0}, quota.Claim{Limit: e.Ref("strict"), N: 1})
	assert.ErrorIs(t, d.Err(), quota.ErrUnavailable)
	assert.Equal(t, quota.StoreDown, kinds(r)[0])

	fail(store, false)
	time.Sleep(3 * time.Second)
	require.False(t, take("lax").OK, "50 of 40 were let in, and the store knows by now")
	assert.Equal(t, int64(25), usedOf(t, e, "requests"))
	assert.Equal(t, int64(50), usedOf(t, e, "lax"))
	assert.Contains(t, kinds(r), quota.StoreUp)
	require.NoError(t, e.Close(t.Context()))
}

func kinds(r *recorder) []quota.EventKind {
	r.mu.Lock()
	defer r.mu.Unlock()
	var kinds []quota.EventKind
	for _, e := range r.events {
		if e.Kind == quota.StoreDown || e.Kind == quota.StoreUp {
			kinds = append(kinds, e.Kind)
		}
	}
	return append(kinds, "")
}

// TestLostAnswers loses answers of all calls, now and then: what is held is what the
// store says, and nothing is counted twice by corrections.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Store: quota.NewMemoryStore(time.Now)}
		e := replicas(t, 1, store)[0]
		account := acmeOf(t, e)
		for i := range 30 {
			if i%3 == 0 {
				store.loses.Store(1)
			}
			g, d := account.Claim(t.Context(), quota.Claim{Limit: e.Ref("streams"), N: 1}, quota.Claim{Limit: e.Ref("storage"), N: 1})
			if d.OK {
				if i%2 == 0 {
					store.loses.Store(1)
				}
				g.Done()
			}
			time.Sleep(100 * time.Millisecond)
		}
		kept := int64(0)
		time.Sleep(time.Minute)
		kept = usedOf(t, e, "storage")
		assert.Equal(t, int64(20), kept, "20 of 30 were granted, and are kept once")
		assert.Zero(t, usedOf(t, e, "streams"))
		require.NoError(t, e.Close(t.Context()))
	})
}

func TestSharedSoftLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		e := replicas(t, 2, quota.NewMemoryStore(time.Now), quota.WithEvents(r.event))[0]
		gate, err := quota.NewGate(e)
		require.NoError(t, err)
		h := gate.Middleware(http.HandlerFunc(ok))
		for i := range 60 {
			w := serve(t, h, "acme")
			require.Equal(t, http.StatusOK, w.Code)
			assert.Equal(t, fmt.Sprintf(`"requests-minute";r=%d;t=`, 99-i), w.Header().Get("RateLimit")[:len(fmt.Sprintf(`"requests-minute";r=%d;t=`, 99-i))])
			if warned := w.Header().Get("Quota-Warning") != ""; i <= 50 || i > 53 { // it is looked at once a second
				assert.Equal(t, i > 53, warned, "request %d", i)
			}
			synctest.Wait()
			time.Sleep(500 * time.Millisecond)
		}
		require.Len(t, r.events, 1)
		assert.Equal(t, quota.Warned, r.events[0].Kind)
		assert.Equal(t, quota.Minute, r.events[0].Window)
		require.NoError(t, e.Close(t.Context()))
	})
}

// TestLongOutage lets in a hundred thousand while the store is down: what is owed takes
// little memory, and is told whole, in few calls.
func TestLongOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Store: quota.NewMemoryStore(time.Now)}
		e := replicas(t, 1, store)[0]
		account := acmeOf(t, e)
		store.down.Store(true)
		const n = 100_000
		for range n {
			require.True(t, account.Take(t.Context(), e.Ref("lax"), 1).OK)
		}
		g, d := account.Claim(t.Context(), quota.Claim{Limit: e.Ref("lax"), N: 500})
		require.True(t, d.OK)
		g.Cancel(t.Context())
		before := store.calls.Load()
		store.down.Store(false)
		require.NoError(t, e.Close(t.Context()))
		assert.Less(t, store.calls.Load()-before, int64(20))
		assert.Equal(t, int64(n), usedOf(t, e, "lax"))
	})
}
