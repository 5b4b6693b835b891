package quota_test

import (
	"fmt"
	"math/rand/v2"
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

const leasedPlans = `{"version": 1, "plans": {"p": {"limits": {
	"requests": {"windows": {"minute": 100, "hour": 1000}, "warn": 0.5, "lease": 20},
	"users": {"per": "key", "windows": {"minute": 10}, "lease": 5},
	"strict": {"windows": {"hour": {"limit": 40, "roll": "strict"}}, "outage": "close", "lease": 10},
	"lax": {"windows": {"hour": 40}, "outage": "open", "lease": 10},
	"spread": {"windows": {"minute": 600}, "burst": 40, "lease": 100},
	"streams": {"kind": "concurrent", "max": 30, "lease": 4},
	"storage": {"kind": "stock", "max": 500, "lease": 50},
	"exact": {"windows": {"hour": 40}},
	"vast": {"windows": {"hour": 1000000}, "lease": 100}
}}}}`

// leasing returns Enforcers with leases over one store, on the clock of a bubble.
func leasing(t *testing.T, n int, store quota.Store, opts ...quota.Option) []*quota.Enforcer {
	t.Helper()
	source := quota.NewMemorySource(parse(t, leasedPlans))
	all := make([]*quota.Enforcer, n)
	for i := range all {
		e, err := quota.New(source, append([]quota.Option{quota.WithLeasePatience(time.Second), quota.WithStore(store, n), quota.WithClock(time.Now)}, opts...)...)
		require.NoError(t, err)
		all[i] = e
	}
	return all
}

func closeAll(t *testing.T, all []*quota.Enforcer) {
	t.Helper()
	for _, e := range all {
		require.NoError(t, e.Close(t.Context()))
	}
	time.Sleep(time.Minute) // nobody waits any more
}

// TestLeasesShareLimits lets eight replicas take all they can, of all kinds, for two
// tenants at once: what is admitted never exceeds a limit, and falls short by no more than
// what a replica may have ahead.
func TestLeasesShareLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Store: quota.NewMemoryStore(time.Now)}
		all := leasing(t, 8, store)
		limits := []string{"requests", "users", "strict", "spread", "streams", "storage", "exact"}
		most := []int64{100, 10, 40, 40 + 20, 30, 500, 40}
		least := []int64{100, 10, 40, 40, 30, 500 - 8*2, 40}
		var granted [2][7]atomic.Int64
		var wg sync.WaitGroup
		for who, id := range []tenant.ID{"acme", "globex"} {
			for _, e := range all {
				wg.Go(func() {
					account, err := e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: id, Plan: "p"}))
					if !assert.NoError(t, err) {
						return
					}
					for range 40 {
						for i, limit := range limits {
							c := quota.Claim{Limit: e.Ref(limit), N: 1}
							switch limit {
							case "users":
								c.Key = "ann"
							case "storage":
								c.N = 3
							}
							if g, d := account.Claim(t.Context(), c); d.OK {
								granted[who][i].Add(c.N)
								if limit == "storage" {
									g.Done()
								}
							}
						}
						time.Sleep(20 * time.Millisecond) // so that a refusal is not believed any more
					}
				})
			}
		}
		wg.Wait()
		for who := range granted {
			for i, limit := range limits {
				got := granted[who][i].Load()
				assert.LessOrEqual(t, got, most[i], limit)
				assert.GreaterOrEqual(t, got, least[i], limit)
			}
		}
		closeAll(t, all)
		one := leasing(t, 1, store)[0]
		assert.Equal(t, granted[0][0].Load(), usedOf(t, one, "requests"), "what nobody used went back")
		assert.Equal(t, granted[0][5].Load(), usedOf(t, one, "storage"))
		assert.Zero(t, usedOf(t, one, "streams"))
	})
}

// TestLeasesSpareCalls counts how often the store is asked.
func TestLeasesSpareCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Store: quota.NewMemoryStore(time.Now)}
		e := leasing(t, 1, store)[0]
		account, ctx := acmeOf(t, e), t.Context()
		for range 10_000 {
			require.True(t, account.Take(ctx, e.Ref("vast"), 1).OK)
			synctest.Wait() // what is fetched early is there
		}
		assert.Less(t, store.calls.Load(), int64(250))
		assert.Equal(t, int64(10_000), usedOf(t, e, "vast"), "what this process has ahead is not used")
		time.Sleep(3 * time.Second)
		assert.Equal(t, int64(10_000), storeUsed(t, store, "vast"), "what is not used goes back")
		for range 100 {
			_, d := account.Claim(ctx, quota.Claim{Limit: e.Ref("strict"), N: 10}, quota.Claim{Limit: e.Ref("requests"), N: 1})
			_ = d
		}
		before := store.calls.Load()
		for range 1000 {
			assert.Equal(t, quota.CauseLimit, account.Take(ctx, e.Ref("strict"), 1).Cause())
		}
		assert.LessOrEqual(t, store.calls.Load()-before, int64(1), "a refusal is believed for a second")
		d := account.Take(ctx, e.Ref("strict"), 1)
		assert.Positive(t, d.RetryAfter())
		window, ok := d.Window()
		assert.True(t, ok)
		assert.Equal(t, quota.Hour, window.Per)
		closeAll(t, []*quota.Enforcer{e})
	})
}

// storeUsed is what the store has counted of a limit of acme's, in its longest window.
func storeUsed(t *testing.T, store quota.Store, limit string) int64 {
	t.Helper()
	source := quota.NewMemorySource(parse(t, leasedPlans))
	e, err := quota.New(source, quota.WithStore(store, 1), quota.WithClock(time.Now))
	require.NoError(t, err)
	return usedOf(t, e, limit)
}

// TestLeasesInEveryWindow draws at random for days, on four replicas, with pauses and
// bursts about the edges of windows: no strict window, wherever one lays it, and no
// calendar hour has more than its limit.
func TestLeasesInEveryWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := leasing(t, 4, quota.NewMemoryStore(time.Now))
		random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
		type admitted struct {
			at time.Time
			n  int64
		}
		var strict []admitted
		total := int64(0)
		for range runs(5_000, 20_000) {
			e := all[random.IntN(len(all))]
			c := quota.Claim{Limit: e.Ref("strict"), N: 1 + random.Int64N(3)}
			g, d := acmeOf(t, e).Claim(t.Context(), c)
			if d.OK {
				switch random.IntN(10) {
				case 0:
					g.Cancel(t.Context())
				case 1:
					g.Settle(t.Context(), c.Limit, c.N-1)
					c.N--
					fallthrough
				default:
					strict = append(strict, admitted{time.Now(), c.N})
					total += c.N
				}
			}
			switch random.IntN(40) {
			case 0:
				time.Sleep(time.Duration(random.Int64N(int64(20 * time.Minute))))
			case 1:
				time.Sleep(time.Until(time.Now().Truncate(time.Hour / 8).Add(time.Hour/8 - time.Millisecond)))
			default:
				time.Sleep(time.Duration(random.Int64N(int64(time.Second))))
			}
		}
		sum, from := int64(0), 0
		for _, a := range strict {
			for sum += a.n; a.at.Sub(strict[from].at) >= time.Hour; from++ {
				sum -= strict[from].n
			}
			require.LessOrEqual(t, sum, int64(40), "in the hour until %v", a.at)
		}
		hours := int64(strict[len(strict)-1].at.Sub(strict[0].at) / time.Hour)
		assert.Greater(t, total, hours*40*6/10, "what is ahead does not starve the others")
		closeAll(t, all)
	})
}

// TestLeasedHolds holds what is concurrent from leases: what is released serves the next
// without a call, goes back when nobody wants it, and dies with its process.
func TestLeasedHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Store: quota.NewMemoryStore(time.Now)}
		all := leasing(t, 2, store)
		e, ctx := all[0], t.Context()
		account := acmeOf(t, e)
		hold := func() *quota.Grant {
			g, d := account.Claim(ctx, quota.Claim{Limit: e.Ref("streams"), N: 1})
			require.NoError(t, d.Err())
			return g
		}
		grants := []*quota.Grant{hold(), hold(), hold(), hold()}
		before := store.calls.Load()
		for range 100 {
			hold().Done()
		}
		assert.LessOrEqual(t, store.calls.Load()-before, int64(4))
		time.Sleep(3 * time.Second)
		assert.Equal(t, int64(4), storeUsed(t, store, "streams"), "what is free is given back, what is held stays")
		time.Sleep(10 * time.Minute)
		assert.Equal(t, int64(4), storeUsed(t, store, "streams"))
		for _, g := range grants {
			g.Done()
		}
		time.Sleep(3 * time.Second)
		assert.Zero(t, storeUsed(t, store, "streams"))

		hold().Done()
		hold().Done() // some ahead
		store.down.Store(true)
		time.Sleep(40 * time.Second)
		_, d := account.Claim(ctx, quota.Claim{Limit: e.Ref("streams"), N: 1})
		assert.ErrorIs(t, d.Err(), quota.ErrUnavailable, "the store has given away by now what was ahead")
		assert.Zero(t, storeUsed(t, store.Store, "streams"))
		store.down.Store(false)
		time.Sleep(3 * time.Second)
		hold().Done()
		closeAll(t, all)
		assert.Zero(t, storeUsed(t, store, "streams"))
	})
}

// TestLeasedOutage lets the store fail and hang: what is ahead is used up, then each limit
// does what its Outage says, and the store hears of all of it.
func TestLeasedOutage(t *testing.T) {
	t.Parallel()
	for name, fail := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { leasedOutage(t, fail) })
		})
	}
}

func leasedOutage(t *testing.T, fail func(f *flaky, on bool)) {
	r := &recorder{}
	store := &flaky{Store: quota.NewMemoryStore(time.Now)}
	e := leasing(t, 4, store, quota.WithEvents(r.event), quota.WithLeasePatience(20*time.Millisecond))[0]
	account, ctx := acmeOf(t, e), t.Context()
	take := func(limit string) quota.Decision { return account.Take(ctx, e.Ref(limit), 1) }
	for range 5 {
		require.True(t, take("requests").OK)
		synctest.Wait()
	}
	fail(store, true)
	granted := int64(5)
	ahead := 0
	for range 200 {
		d := take("requests")
		if d.OK {
			granted++
		}
		if d.OK && !d.Degraded() {
			ahead++
		}
	}
	assert.Positive(t, ahead, "what was taken ahead is let in as ever")
	assert.Equal(t, int64(25), granted, "a quarter of 100, with what was ahead")
	assert.Equal(t, quota.CauseUnavailable, take("strict").Cause())
	for range 50 {
		assert.True(t, take("lax").OK)
	}
	_, d := account.Claim(ctx, quota.Claim{Limit: e.Ref("requests"), N: 1}, quota.Claim{Limit: e.Ref("strict"), N: 1})
	assert.ErrorIs(t, d.Err(), quota.ErrUnavailable)
	time.Sleep(time.Second)
	assert.Equal(t, quota.CauseUnavailable, take("strict").Cause())

	fail(store, false)
	require.Eventually(t, func() bool { take("strict"); time.Sleep(100 * time.Millisecond); return take("strict").OK }, 10*time.Second, time.Millisecond)
	time.Sleep(3 * time.Second)
	require.False(t, take("lax").OK, "50 of 40 were let in, and the store knows by now")
	assert.Equal(t, granted, storeUsed(t, store, "requests"))
	assert.Equal(t, int64(50), storeUsed(t, store, "lax"))
	assert.Contains(t, kinds(r), quota.StoreDown)
	assert.Contains(t, kinds(r), quota.StoreUp)
	degraded := int64(0)
	for _, e := range r.events {
		if e.Kind == quota.Degraded && e.Limit == "lax" {
			degraded += e.N
		}
	}
	assert.Equal(t, int64(50), degraded)
	closeAll(t, []*quota.Enforcer{e})
}

// TestLeasedPlansChange lowers a limit, and takes the lease away: what was ahead under the
// old plan is no longer let in, and goes back.
func TestLeasedPlansChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Store: quota.NewMemoryStore(time.Now)}
		source := quota.NewMemorySource(parse(t, leasedPlans))
		e, err := quota.New(source, quota.WithStore(store, 1), quota.WithClock(time.Now), quota.WithLeasePatience(time.Second))
		require.NoError(t, err)
		take := func() bool { return acmeOf(t, e).Take(t.Context(), e.Ref("vast"), 1).OK }
		for range 300 {
			require.True(t, take())
			synctest.Wait()
		}
		used := int64(300)
		follow := func(version int, limit string) {
			text := `{"version": %d, "plans": {"p": {"limits": {"vast": %s}}}}`
			require.NoError(t, source.SetCatalog(parse(t, fmt.Sprintf(text, version, limit))))
			time.Sleep(11 * time.Second)
			if take() { // by the old plan, if that is quicker: the new one is only asked for now
				used++
			}
			synctest.Wait()
		}
		follow(2, `{"windows": {"hour": 300}, "lease": 100}`)
		require.False(t, take(), "some were ahead, of the old plan")
		time.Sleep(3 * time.Second)
		assert.Equal(t, used, storeUsed(t, store, "vast"))
		follow(3, `{"windows": {"hour": 302}}`)
		for take() {
			used++
		}
		assert.Equal(t, int64(302), used)
		assert.Equal(t, used, storeUsed(t, store, "vast"))
		text := `{"version": 4, "plans": {"p": {"limits": {"vast": {"windows": {"hour": 400}, "lease": 10}}}}}`
		require.NoError(t, source.SetCatalog(parse(t, text)))
		time.Sleep(11 * time.Second)
		for range 3 {
			take()
			synctest.Wait()
		}
		require.NoError(t, source.SetCatalog(parse(t, `{"version": 5, "plans": {"p": {"limits": {"other": {"windows": {"hour": 1}}}}}}`)))
		time.Sleep(11 * time.Second)
		take()
		synctest.Wait()
		d := acmeOf(t, e).Take(t.Context(), e.Ref("vast"), 1)
		assert.Equal(t, quota.CauseNotInPlan, d.Cause(), "a limit that is no longer in the plan has no lease")
		closeAll(t, []*quota.Enforcer{e})
	})
}

// TestLeasesOfKeys floods a limit per key: those who come late share a few counters, also
// in the store, and what nobody uses is forgotten.
func TestLeasesOfKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := leasing(t, 1, quota.NewMemoryStore(time.Now), quota.WithMaxKeys(100))
		e := all[0]
		account, late := acmeOf(t, e), 0
		for key := range 1000 {
			granted := 0
			for range 11 {
				if _, d := account.Claim(t.Context(), quota.Claim{Limit: e.Ref("users"), Key: fmt.Sprint(key), N: 1}); d.OK {
					granted++
				}
			}
			if key < 100 {
				require.Equal(t, 10, granted)
			} else {
				late += granted
			}
		}
		assert.Positive(t, late)
		assert.LessOrEqual(t, late, 64*10)
		closeAll(t, all)
	})
}

// TestLeasesUnderFire runs two tenants on three replicas through everything at once, with
// answers that are lost: nothing is admitted beyond the limits, and when all is over the
// store has counted no less than was admitted, and holds nothing.
func TestLeasesUnderFire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Store: quota.NewMemoryStore(time.Now)}
		all := leasing(t, 3, store, quota.WithLeasePatience(time.Minute))
		ids := []tenant.ID{"acme", "globex"}
		var kept, streams [2]atomic.Int64
		var wg sync.WaitGroup
		for worker := range 12 {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(uint64(worker), 7)) //nolint:gosec // no secret
				e, who := all[worker%3], worker/3%2
				ctx := tenant.NewContext(t.Context(), tenant.Tenant{ID: ids[who], Plan: "p"})
				for range 400 {
					account, err := e.Account(ctx)
					if !assert.NoError(t, err) {
						return
					}
					if random.IntN(50) == 0 {
						store.loses.Store(1)
					}
					n := 1 + random.Int64N(5)
					g, d := account.Claim(ctx, quota.Claim{Limit: e.Ref("streams"), N: 1}, quota.Claim{Limit: e.Ref("storage"), N: n}, quota.Claim{Limit: e.Ref("vast"), N: 1})
					time.Sleep(time.Duration(random.Int64N(int64(100 * time.Millisecond))))
					if !d.OK {
						continue
					}
					assert.LessOrEqual(t, streams[who].Add(1), int64(30))
					time.Sleep(time.Duration(random.Int64N(int64(50 * time.Millisecond))))
					streams[who].Add(-1)
					if random.IntN(2) == 0 {
						g.Cancel(ctx)
						continue
					}
					assert.LessOrEqual(t, kept[who].Add(n), int64(500))
					g.Done()
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute)
		assert.Equal(t, kept[0].Load(), storeUsed(t, store, "storage"))
		assert.Zero(t, storeUsed(t, store, "streams"))
		closeAll(t, all)
		assert.Equal(t, kept[0].Load(), storeUsed(t, store, "storage"))
	})
}

// TestLeaseLetsInAllThereIs claims more than is ahead, and as much as there is in all.
func TestLeaseLetsInAllThereIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := leasing(t, 1, quota.NewMemoryStore(time.Now))
		e := all[0]
		for _, limit := range []string{"storage", "requests", "streams"} {
			claim := func(n int64) bool {
				g, d := acmeOf(t, e).Claim(t.Context(), quota.Claim{Limit: e.Ref(limit), N: n})
				g.Done()
				synctest.Wait()
				return d.OK
			}
			switch limit {
			case "storage":
				for range 460 {
					require.True(t, claim(1))
				}
				assert.True(t, claim(40))
				assert.False(t, claim(1))
			case "requests":
				for range 85 {
					require.True(t, claim(1))
				}
				assert.True(t, claim(15))
				assert.False(t, claim(1))
			default:
				assert.True(t, claim(2))
				assert.True(t, claim(3))
				assert.True(t, claim(4))
				assert.False(t, claim(31))
			}
		}
		closeAll(t, all)
	})
}

// TestSlowStore lets the store take its time: within a decision's patience, beyond it, and
// beyond what a call may take. Each limit does what its Outage says where nobody could
// say, and the store hears of what was let in.
func TestSlowStore(t *testing.T) {
	t.Parallel()
	tests := []struct {
		slow             time.Duration
		exact            time.Duration // how long a decision without a lease takes
		first, later     bool          // whether decisions with one are degraded, or refused with Close
		waits, laterWait time.Duration // at most
	}{
		{slow: 15 * time.Millisecond, exact: 15 * time.Millisecond, waits: 15 * time.Millisecond},
		{slow: 30 * time.Millisecond, exact: 30 * time.Millisecond, first: true, waits: 20 * time.Millisecond},
		{slow: 80 * time.Millisecond, exact: 50 * time.Millisecond, first: true, later: true, waits: 20 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.slow.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &flaky{Store: quota.NewMemoryStore(time.Now)}
				e := leasing(t, 2, store, quota.WithLeasePatience(20*time.Millisecond))[0]
				account := acmeOf(t, e)
				timed := func(limit string) (quota.Decision, time.Duration) {
					start := time.Now()
					d := account.Take(t.Context(), e.Ref(limit), 1)
					return d, time.Since(start)
				}
				store.slow.Store(int64(tt.slow))
				_, wait := timed("exact")
				assert.Equal(t, tt.exact, wait)
				time.Sleep(time.Second)
				granted := int64(0)
				for _, want := range []bool{tt.first, tt.later} {
					for _, limit := range []string{"requests", "strict"} {
						d, wait := timed(limit)
						assert.LessOrEqual(t, wait, tt.waits)
						switch {
						case limit == "strict":
							assert.Equal(t, want, d.Cause() == quota.CauseUnavailable, "%v", d.Err())
						case assert.True(t, d.OK):
							granted++
							assert.Equal(t, want, d.Degraded())
						}
						time.Sleep(100 * time.Millisecond)
					}
				}
				store.slow.Store(0)
				time.Sleep(5 * time.Second)
				assert.Equal(t, granted, storeUsed(t, store, "requests"))
				closeAll(t, []*quota.Enforcer{e})
			})
		})
	}
}

// BenchmarkTakeLeased decides by leases of 1,000 units over a store in this process.
func BenchmarkTakeLeased(b *testing.B) {
	catalog, err := quota.ParseCatalog([]byte(`{"version": 1, "plans": {"p": {"limits": {
		"requests": {"windows": {"minute": 1000000000000, "hour": 1000000000000000, "day": 1000000000000000}, "lease": 1000},
		"none": {"windows": {"hour": 0}, "lease": 1000},
		"streams": {"kind": "concurrent", "max": 1000, "lease": 100}
	}}}}`))
	require.NoError(b, err)
	e, err := quota.New(quota.NewMemorySource(catalog), quota.WithStore(quota.NewMemoryStore(nil), 1))
	require.NoError(b, err)
	ctx := tenant.NewContext(b.Context(), tenant.Tenant{ID: "acme", Plan: "p"})
	account, err := e.Account(ctx)
	require.NoError(b, err)
	requests, none, streams := e.Ref("requests"), e.Ref("none"), e.Ref("streams")
	for name, op := range map[string]func(){
		"let in":  func() { account.Take(ctx, requests, 1) },
		"refused": func() { account.Take(ctx, none, 1) },
		"held": func() {
			g, _ := account.Claim(ctx, quota.Claim{Limit: streams, N: 1})
			g.Done()
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				op()
			}
		})
	}
	require.NoError(b, e.Close(ctx))
}
