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

// leasingBy is leasing by limits of its own. Each Enforcer has one of stores.
func leasingBy(t *testing.T, limits string, n int, stores []quota.Store, opts ...quota.Option) ([]*quota.Enforcer, *quota.MemorySource) {
	t.Helper()
	source := quota.NewMemorySource(parse(t, `{"version": 1, "plans": {"p": {"limits": {`+limits+`}}}}`))
	all := make([]*quota.Enforcer, n)
	for i := range all {
		e, err := quota.New(source, append([]quota.Option{quota.WithLeasePatience(time.Second), quota.WithStore(stores[i%len(stores)], n), quota.WithClock(time.Now)}, opts...)...)
		require.NoError(t, err)
		all[i] = e
	}
	return all, source
}

// claimed reports whether e lets n units of limit in, and waits until what goes on behind
// that is over.
func claimed(t *testing.T, e *quota.Enforcer, limit string, n int64) bool {
	t.Helper()
	_, d := acmeOf(t, e).Claim(t.Context(), quota.Claim{Limit: e.Ref(limit), N: n})
	synctest.Wait()
	return d.OK
}

// countedBy is what store has counted of a limit of acme's, also what is ahead.
func countedBy(t *testing.T, store quota.Store, e *quota.Enforcer, limit string) int64 {
	t.Helper()
	l := acmeOf(t, e).Plan().Limits[limit]
	terms := &quota.Terms{Kind: l.Kind, Windows: l.Windows, Max: l.Max, Zone: time.UTC}
	levels, err := store.Read(t.Context(), "acme", []quota.Counter{{Limit: limit, Terms: terms}})
	require.NoError(t, err)
	if l.Kind == quota.Rate {
		return levels[0].Windows[0].Used
	}
	return levels[0].Used
}

// TestLeaseLosesItsAnswer loses the answer to a refill that was granted in part: no more
// goes back than was granted.
func TestLeaseLosesItsAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Store: quota.NewMemoryStore(time.Now)}
		all, _ := leasingBy(t, `"x": {"windows": {"hour": 1000}, "outage": "close", "lease": 50}`, 2, []quota.Store{store})
		a, b := all[0], all[1]
		granted := int64(200)
		for range granted {
			require.True(t, claimed(t, b, "x", 1))
		}
		most := 1000 - 3 - countedBy(t, store.Store, a, "x")
		require.True(t, claimed(t, a, "x", most))
		granted += most
		for store.loses.Store(1); store.loses.Load() == 1; granted++ {
			require.True(t, claimed(t, b, "x", 1))
		}
		time.Sleep(3 * time.Second)
		for claimed(t, a, "x", 1) {
			granted++
		}
		assert.LessOrEqual(t, granted, int64(1000))
		closeAll(t, all)
	})
}

// TestLeaseGivesUpWhatIsFree holds one after the other in one process: however often, it
// keeps no more than its lease from the others. Nor does it when many are free at once.
func TestLeaseGivesUpWhatIsFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := quota.NewMemoryStore(time.Now)
		all, _ := leasingBy(t, `"x": {"kind": "concurrent", "max": 200, "lease": 10}`, 2, []quota.Store{store})
		e := all[0]
		hold := func() *quota.Grant {
			g, d := acmeOf(t, e).Claim(t.Context(), quota.Claim{Limit: e.Ref("x"), N: 1})
			require.NoError(t, d.Err())
			return g
		}
		for range 5000 {
			g := hold()
			time.Sleep(time.Millisecond)
			g.Done()
		}
		assert.LessOrEqual(t, countedBy(t, store, e, "x"), int64(20))
		grants := make([]*quota.Grant, 150)
		for i := range grants {
			grants[i] = hold()
			synctest.Wait()
		}
		for _, g := range grants {
			g.Done()
		}
		for range 10 {
			hold().Done()
			time.Sleep(100 * time.Millisecond)
		}
		assert.LessOrEqual(t, countedBy(t, store, e, "x"), int64(20))
		closeAll(t, all)
	})
}

// TestLeaseKeepsToTheBurst cancels all of a burst, again and again: what is ahead is no
// more than half of it.
func TestLeaseKeepsToTheBurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all, _ := leasingBy(t, `"x": {"windows": {"hour": 36000}, "burst": 40, "lease": 100}`, 1, []quota.Store{quota.NewMemoryStore(time.Now)})
		e, n := all[0], int64(40)
		for range 6 {
			g, d := acmeOf(t, e).Claim(t.Context(), quota.Claim{Limit: e.Ref("x"), N: n})
			require.NoError(t, d.Err())
			g.Cancel(t.Context())
			n = 1
			time.Sleep(900 * time.Millisecond)
		}
		burst := 0
		for claimed(t, e, "x", 1) {
			burst++
		}
		assert.LessOrEqual(t, burst, 60)
		closeAll(t, all)
	})
}

// TestLeaseEndsWithItsTerms changes limits while units are ahead, held and on their way:
// none is let in by another limit, and each goes back to the windows that it was counted in.
func TestLeaseEndsWithItsTerms(t *testing.T) {
	t.Parallel()
	const held, rate = `"x": {"kind": "concurrent", "max": 5, "lease": 2}`, `"x": {"windows": {"hour": 100000}, "lease": 100}`
	tests := map[string]struct {
		before, after string
		slow          time.Duration
		most          int
	}{
		"a window more": {before: rate, after: `"x": {"windows": {"minute": 100, "hour": 100000}, "lease": 10}`, most: 100},
		"from rate":     {before: rate, after: held, most: 5},
		"on their way":  {before: rate, after: held, slow: 200 * time.Millisecond, most: 5},
		"to rate":       {before: `"x": {"kind": "concurrent", "max": 1000, "lease": 20}`, after: `"x": {"windows": {"hour": 10}, "lease": 5}`, most: 10},
		"of keys":       {before: `"x": {"per": "key", "windows": {"hour": 1000}, "lease": 20}`, after: `"x": {"per": "key", "kind": "concurrent", "max": 5, "lease": 5}`, most: 5},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &flaky{Store: quota.NewMemoryStore(time.Now)}
				all, source := leasingBy(t, tt.before, 1, []quota.Store{store}, quota.WithRefresh(100*time.Millisecond), quota.WithStoreTimeout(time.Second))
				e := all[0]
				claim := func() (*quota.Grant, bool) {
					g, d := acmeOf(t, e).Claim(t.Context(), quota.Claim{Limit: e.Ref("x"), Key: "ann", N: 1})
					synctest.Wait()
					return g, d.OK
				}
				time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)))
				grants := make([]*quota.Grant, 200)
				for i := range grants {
					var ok bool
					grants[i], ok = claim()
					require.True(t, ok)
				}
				store.slow.Store(int64(tt.slow))
				for range 80 {
					grant, _ := claim()
					grants = append(grants, grant)
				}
				require.NoError(t, source.SetCatalog(parse(t, `{"version": 2, "plans": {"p": {"limits": {`+tt.after+`}}}}`)))
				time.Sleep(110 * time.Millisecond)
				acmeOf(t, e)
				synctest.Wait()
				for _, g := range grants {
					g.Done()
				}
				time.Sleep(tt.slow)
				store.slow.Store(0)
				granted := 0
				for range 2000 {
					if _, ok := claim(); ok {
						granted++
					}
					time.Sleep(10 * time.Millisecond)
				}
				assert.Equal(t, tt.most, granted)
				time.Sleep(time.Minute)
				kept := int64(0)
				for _, key := range []string{"", "ann"} {
					levels, err := store.Read(t.Context(), "acme", []quota.Counter{{Limit: "x", Key: key, Terms: &quota.Terms{Kind: quota.Concurrent, Max: 5, Zone: time.UTC}}})
					require.NoError(t, err)
					kept += levels[0].Used
				}
				if tt.most == 5 {
					assert.Equal(t, int64(5), kept)
				} else {
					assert.Zero(t, kept)
				}
				closeAll(t, all)
			})
		})
	}
}

// TestLeaseBelievesItsLimit has a refusal come when a larger limit is there: that decides
// by itself.
func TestLeaseBelievesItsLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Store: quota.NewMemoryStore(time.Now)}
		all, source := leasingBy(t, `"x": {"windows": {"hour": 5}, "lease": 100}`, 1, []quota.Store{store}, quota.WithRefresh(100*time.Millisecond), quota.WithStoreTimeout(time.Second))
		e := all[0]
		for range 5 {
			require.True(t, claimed(t, e, "x", 1))
		}
		time.Sleep(3 * time.Second)
		store.slow.Store(int64(300 * time.Millisecond))
		account := acmeOf(t, e)
		go account.Take(t.Context(), e.Ref("x"), 1)
		require.NoError(t, source.SetCatalog(parse(t, `{"version": 2, "plans": {"p": {"limits": {"x": {"windows": {"hour": 1000}, "lease": 10}}}}}`)))
		time.Sleep(110 * time.Millisecond)
		acmeOf(t, e)
		synctest.Wait()
		store.slow.Store(0)
		time.Sleep(250 * time.Millisecond)
		assert.True(t, claimed(t, e, "x", 1))
		closeAll(t, all)
	})
}

// batcher is a Store that takes several Takings in one call, each of which takes a while.
type batcher struct {
	*quota.MemoryStore
	each time.Duration
}

func (b batcher) TakeBatch(ctx context.Context, takings []quota.Taking) []quota.Answer {
	time.Sleep(time.Duration(len(takings)) * b.each)
	return b.MemoryStore.TakeBatch(ctx, takings)
}

// TestLeasesOfOneTenant floods the store with the refills of many keys of one tenant: the
// other's is answered in time.
func TestLeasesOfOneTenant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := batcher{quota.NewMemoryStore(time.Now), 200 * time.Microsecond}
		limits := `"x": {"windows": {"hour": 100}, "lease": 10, "outage": "close"}, "keys": {"per": "key", "windows": {"hour": 100}, "lease": 10}`
		all, _ := leasingBy(t, limits, 1, []quota.Store{store}, quota.WithLeasePatience(40*time.Millisecond))
		e := all[0]
		quiet, err := e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: "globex", Plan: "p"}))
		require.NoError(t, err)
		noisy := acmeOf(t, e)
		var wg sync.WaitGroup
		for key := range 1500 {
			wg.Go(func() { noisy.Claim(t.Context(), quota.Claim{Limit: e.Ref("keys"), Key: fmt.Sprint(key), N: 1}) })
		}
		time.Sleep(45 * time.Millisecond) // the noisy have lost their patience
		assert.NoError(t, quiet.Take(t.Context(), e.Ref("x"), 1).Err())
		wg.Wait()
		closeAll(t, all)
	})
}

// TestLeaseAfterItsTime keeps the store from one process until it has given away what that
// held: when it is back, nobody is let in by what this was.
func TestLeaseAfterItsTime(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bool{"ended before": true, "ended after": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := quota.NewMemoryStore(time.Now)
				mine := &flaky{Store: store}
				all, _ := leasingBy(t, `"x": {"kind": "concurrent", "max": 30, "lease": 20}`, 2, []quota.Store{mine, store})
				a, b := all[0], all[1]
				grants := make([]*quota.Grant, 20)
				for i := range grants {
					var d quota.Decision
					grants[i], d = acmeOf(t, a).Claim(t.Context(), quota.Claim{Limit: a.Ref("x"), N: 1})
					require.NoError(t, d.Err())
					synctest.Wait()
				}
				end := func() {
					for _, g := range grants {
						g.Done()
					}
				}
				mine.down.Store(true)
				time.Sleep(45 * time.Second)
				for range 30 {
					require.True(t, claimed(t, b, "x", 1))
				}
				if before {
					end()
				}
				mine.down.Store(false)
				for range 100 {
					time.Sleep(20 * time.Millisecond)
					assert.False(t, claimed(t, a, "x", 1))
				}
				end()
				for range 100 {
					assert.False(t, claimed(t, a, "x", 1))
					time.Sleep(20 * time.Millisecond)
				}
				closeAll(t, all)
			})
		})
	}
}

// TestCloseWaitsForRefills closes while some are on their way, as after the last of many
// requests: the store knows at once what was used, and that nothing is held.
func TestCloseWaitsForRefills(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Store: quota.NewMemoryStore(time.Now)}
		all, _ := leasingBy(t, `"x": {"windows": {"hour": 36000}, "lease": 100}, "y": {"kind": "concurrent", "max": 1000, "lease": 100}`, 1, []quota.Store{store})
		e := all[0]
		store.slow.Store(int64(2 * time.Millisecond))
		account := acmeOf(t, e)
		var grants []*quota.Grant
		for range 400 {
			require.True(t, account.Take(t.Context(), e.Ref("x"), 1).OK)
			g, d := account.Claim(t.Context(), quota.Claim{Limit: e.Ref("y"), N: 1})
			require.NoError(t, d.Err())
			grants = append(grants, g)
		}
		start := time.Now()
		require.NoError(t, e.Close(t.Context()))
		assert.Less(t, time.Since(start), time.Second)
		assert.Equal(t, int64(400), countedBy(t, store, e, "x"))
		assert.Zero(t, countedBy(t, store, e, "y"))
		for _, g := range grants {
			g.Done() // late
		}
		time.Sleep(time.Minute)
		assert.Zero(t, countedBy(t, store, e, "y"))
	})
}

// TestLeaseWarns takes a unit at a time, fetched before the last are gone: soft limits are
// watched all the same.
func TestLeaseWarns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		limits := `"x": {"windows": {"hour": 1000}, "warn": 0.5, "lease": 100}`
		all, _ := leasingBy(t, limits, 1, []quota.Store{quota.NewMemoryStore(time.Now)}, quota.WithEvents(r.event))
		for range 900 {
			require.True(t, acmeOf(t, all[0]).Take(t.Context(), all[0].Ref("x"), 1).OK)
			synctest.Wait()
			time.Sleep(10 * time.Millisecond)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		require.Len(t, r.events, 1)
		assert.Equal(t, quota.Warned, r.events[0].Kind)
		closeAll(t, all)
	})
}
