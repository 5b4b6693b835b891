package quota_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
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
