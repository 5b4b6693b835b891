package quota_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// platform is an Enforcer with what it asks.
type platform struct {
	version int64 // of the last record that on made
	*quota.Enforcer
	clock  *testClock
	source *quota.MemorySource
}

func newPlatform(t testing.TB, document string, opts ...quota.Option) *platform {
	t.Helper()
	p := &platform{clock: newTestClock(noon), source: quota.NewMemorySource(parse(t, document))}
	e, err := quota.New(p.source, append([]quota.Option{quota.WithClock(p.clock.Now)}, opts...)...)
	require.NoError(t, err)
	p.Enforcer = e
	return p
}

func (p *platform) account(t testing.TB, record tenant.Tenant) *quota.Account {
	t.Helper()
	account, err := p.Account(tenant.NewContext(t.Context(), record))
	require.NoError(t, err)
	return account
}

// usageOf returns what was used of all limits.
func usageOf(t testing.TB, account *quota.Account) []quota.Usage {
	t.Helper()
	usage, err := account.Usage(t.Context())
	require.NoError(t, err)
	return usage
}

// takeAll takes single units until one is refused.
func takeAll(t testing.TB, account *quota.Account, limit quota.Ref) (taken int64) {
	t.Helper()
	for account.Take(t.Context(), limit, 1).OK {
		taken++
	}
	return taken
}

func TestNoTenantIsRefused(t *testing.T) {
	t.Parallel()
	asked := &countingSource{Source: quota.NewMemorySource(parse(t, tiers))}
	e, err := quota.New(asked)
	require.NoError(t, err)
	_, err = e.Account(t.Context())
	assert.ErrorIs(t, err, tenant.ErrNoTenant)
	_, err = e.Account(tenant.System(t.Context(), "maintenance"))
	assert.ErrorIs(t, err, tenant.ErrSystem)
	assert.Zero(t, asked.calls.Load(), "refused before anything is asked")
}

// TestTwoTenants counts for two tenants at once, with limits of all kinds, and the
// same keys.
func TestTwoTenants(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, `{"version": 1, "plans": {"p": {"limits": {
		"requests": {"windows": {"minute": 1000, "day": 1000}},
		"users": {"per": "key", "windows": {"minute": 300}},
		"streams": {"kind": "concurrent", "max": 50},
		"storage": {"kind": "stock", "max": 700}
	}}}}`)
	var wg sync.WaitGroup
	for _, id := range []tenant.ID{"acme", "globex"} {
		account := p.account(t, tenant.Tenant{ID: id, Plan: "p"})
		var requests, users, streams, storage atomic.Int64
		var inner sync.WaitGroup
		for range 8 {
			inner.Go(func() {
				for range 400 {
					if account.Take(t.Context(), p.Ref("requests"), 1).OK {
						requests.Add(1)
					}
					if _, d := account.Claim(t.Context(), quota.Claim{Limit: p.Ref("users"), Key: "ann", N: 1}); d.OK {
						users.Add(1)
					}
					if g, d := account.Claim(t.Context(), quota.Claim{Limit: p.Ref("streams"), N: 1}); d.OK && streams.Add(1) > 25 {
						g.Done()
						streams.Add(-1)
					}
					if g, d := account.Claim(t.Context(), quota.Claim{Limit: p.Ref("storage"), N: 1}); d.OK {
						storage.Add(1)
						g.Done()
					}
				}
			})
		}
		wg.Go(func() {
			inner.Wait()
			assert.Equal(t, int64(1000), requests.Load(), id)
			assert.Equal(t, int64(300), users.Load(), id)
			assert.Equal(t, int64(700), storage.Load(), id)
			usage := usageOf(t, account)
			for _, u := range usage {
				switch u.Limit {
				case "streams":
					assert.Equal(t, streams.Load(), u.Used, id)
				case "storage":
					assert.Equal(t, int64(700), u.Used, id)
				}
			}
		})
	}
	wg.Wait()
}

// TestAllOrNone checks that a claim of several limits counts nowhere when one of
// them refuses.
func TestAllOrNone(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, `{"version": 1, "plans": {"p": {"limits": {
		"requests": {"windows": {"minute": 10, "hour": 1000}},
		"tokens": {"windows": {"hour": 25}},
		"streams": {"kind": "concurrent", "max": 2}
	}}}}`)
	account := p.account(t, tenant.Tenant{ID: "acme", Plan: "p"})
	claims := []quota.Claim{{Limit: p.Ref("requests"), N: 1}, {Limit: p.Ref("streams"), N: 1}, {Limit: p.Ref("tokens"), N: 10}}
	first, d := account.Claim(t.Context(), claims...)
	require.NoError(t, d.Err())
	second, d := account.Claim(t.Context(), claims...)
	require.NoError(t, d.Err())

	_, d = account.Claim(t.Context(), claims...)
	assert.Equal(t, "streams", d.Limit())
	assert.Equal(t, quota.CauseBusy, d.Cause())
	second.Done()
	_, d = account.Claim(t.Context(), claims...)
	assert.Equal(t, "tokens", d.Limit())
	window, ok := d.Window()
	assert.True(t, ok)
	assert.Equal(t, quota.Hour, window.Per)
	first.Cancel(t.Context())

	used := make(map[string]int64)
	for _, u := range usageOf(t, account) {
		used[u.Limit] = u.Used
		for _, w := range u.Windows {
			used[u.Limit+" "+string(w.Per)] = w.Used
		}
	}
	assert.Equal(t, map[string]int64{
		"requests": 0, "requests minute": 1, "requests hour": 1, "streams": 0, "tokens": 0, "tokens hour": 10,
	}, used)
	first.Done()
	second.Done()
	second.Cancel(t.Context()) // both had ended: nothing happens
	assert.Equal(t, int64(9), takeAll(t, account, p.Ref("requests")))
}

// TestAllOrNoneTogether lets many claim two limits of which one is the scarcer, each
// in another order: whoever is refused must leave no trace.
func TestAllOrNoneTogether(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, `{"version": 1, "plans": {"p": {"limits": {
		"a": {"windows": {"hour": 500}}, "b": {"windows": {"hour": 300}}
	}}}}`)
	account := p.account(t, tenant.Tenant{ID: "acme", Plan: "p"})
	var granted atomic.Int64
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			claims := []quota.Claim{{Limit: p.Ref("a"), N: 1}, {Limit: p.Ref("b"), N: 1}}
			if worker%2 == 0 {
				claims[0], claims[1] = claims[1], claims[0]
			}
			for range 200 {
				if _, d := account.Claim(t.Context(), claims...); d.OK {
					granted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, int64(300), granted.Load())
	assert.Equal(t, int64(200), takeAll(t, account, p.Ref("a")))
}

func TestWhatNoPlanHas(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, tiers)
	account := p.account(t, tenant.Tenant{ID: "acme"})
	for _, d := range []quota.Decision{
		account.Take(t.Context(), p.Ref("unheard-of"), 1),
		account.Take(t.Context(), p.Ref("archive"), 1), // the other plan has it
		account.Take(t.Context(), quota.Ref{}, 1),
	} {
		assert.ErrorIs(t, d.Err(), quota.ErrNotInPlan)
	}
	assert.ErrorIs(t, account.Take(t.Context(), p.Ref("requests"), -1).Err(), quota.ErrInvalid)
	assert.ErrorIs(t, account.Take(t.Context(), p.Ref("streams"), 1).Err(), quota.ErrInvalid, "what is held needs a Grant")
	d := account.Take(t.Context(), p.Ref("requests"), 61)
	assert.Equal(t, quota.CauseTooLarge, d.Cause())
	assert.Zero(t, d.RetryAfter())
}

func TestResources(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, tiers)
	models := p.Ref("models")
	pro, free := p.account(t, tenant.Tenant{ID: "acme", Plan: "pro"}), p.account(t, tenant.Tenant{ID: "globex", Plan: "free"})
	assert.True(t, pro.Allows(models, "large-2"))
	assert.False(t, pro.Allows(models, "large-2-preview"))
	assert.False(t, free.Allows(models, "large-2"))
	for i := range 6 {
		_, d := pro.Claim(t.Context(), quota.Claim{Limit: models, Key: fmt.Sprintf("large-%d", i%2), N: 1})
		assert.Equal(t, i < 5, d.OK, "what a pattern fits shares its limit")
		if i == 5 {
			assert.Equal(t, "models/large-*", d.Limit())
		}
	}
	_, d := pro.Claim(t.Context(), quota.Claim{Limit: models, Key: "small-1", N: 1})
	assert.True(t, d.OK)
	_, d = free.Claim(t.Context(), quota.Claim{Limit: models, Key: "large-1", N: 1})
	assert.ErrorIs(t, d.Err(), quota.ErrNotInPlan)
	assert.Equal(t, "models/large-1", d.Limit())
	_, d = free.Claim(t.Context(), quota.Claim{Limit: models, N: 1})
	assert.ErrorIs(t, d.Err(), quota.ErrInvalid, "without a key")
}

func TestFeatures(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, tiers)
	pro, free := p.account(t, tenant.Tenant{ID: "acme", Plan: "pro"}), p.account(t, tenant.Tenant{ID: "globex", Plan: "free"})
	assert.True(t, pro.Enabled(p.Ref("sso")))
	assert.False(t, free.Enabled(p.Ref("sso")))
	assert.False(t, free.Enabled(p.Ref("beta")), "not in the plan")
	assert.Equal(t, int64(10), pro.Value(p.Ref("max_upload")))
	assert.Equal(t, "plain", pro.Value(p.Ref("theme")))
	assert.Nil(t, free.Value(p.Ref("beta")))
}

// TestRollOut checks that a percentage of tenants, and of a tenant's people, gets a
// feature, that who had it keeps it when the percentage grows, and that features are
// rolled out to different ones.
func TestRollOut(t *testing.T) {
	t.Parallel()
	document := func(percent int) string {
		return fmt.Sprintf(`{"version": 1, "plans": {"p": {"features": {
			"a": {"value": 2, "percent": %d, "otherwise": 1}, "b": {"value": true, "percent": %[1]d}}}}}`, percent)
	}
	const n = 4000
	had := make(map[int]bool)
	for _, percent := range []int{0, 10, 50, 100} {
		p := newPlatform(t, document(percent))
		people := p.account(t, tenant.Tenant{ID: "acme", Plan: "p"})
		tenants, both, persons := 0, 0, 0
		for i := range n {
			account := p.account(t, tenant.Tenant{ID: tenant.ID(fmt.Sprintf("t%d", i)), Plan: "p"})
			a := account.Value(p.Ref("a")) == int64(2)
			if a {
				tenants++
				if account.Enabled(p.Ref("b")) {
					both++
				}
			}
			assert.False(t, had[i] && !a, "who had it keeps it")
			had[i] = a
			if people.ValueFor(p.Ref("a"), fmt.Sprint(i)) == int64(2) {
				persons++
			}
		}
		share := float64(percent) / 100
		assert.InDelta(t, share, float64(tenants)/n, 0.03)
		assert.InDelta(t, share, float64(persons)/n, 0.03)
		assert.InDelta(t, share*share, float64(both)/n, 0.03)
	}
}

// TestPlanChangesKeepWhatIsSpent moves a tenant between plans, and plans between
// versions.
func TestPlanChangesKeepWhatIsSpent(t *testing.T) {
	t.Parallel()
	document := func(version, minute, day int) string {
		return fmt.Sprintf(`{"version": %d, "plans": {
			"small": {"limits": {"units": {"windows": {"minute": %d, "day": %d}}, "users": {"per": "key", "windows": {"day": %[3]d}}}},
			"big": {"limits": {"units": {"windows": {"minute": 1000, "day": {"limit": 5000, "roll": "calendar"}}}}},
			"strict": {"limits": {"units": {"windows": {"hour": {"limit": 50, "roll": "strict"}}}}},
			"none": {}, "all": {"limits": {"units": {"windows": {}}}}
		}}`, version, minute, day)
	}
	p := newPlatform(t, document(1, 10, 40))
	units := p.Ref("units")
	acme := tenant.Tenant{ID: "acme", Plan: "small", Version: 1}
	change := func(plan string) *quota.Account {
		acme.Plan = plan
		acme.Version++
		return p.account(t, acme)
	}
	assert.Equal(t, int64(10), takeAll(t, p.account(t, acme), units))
	assert.Equal(t, int64(990), takeAll(t, change("big"), units), "what was used in the minute counts on")
	assert.Zero(t, takeAll(t, change("small"), units))
	assert.False(t, change("none").Take(t.Context(), units, 1).OK)
	assert.True(t, change("all").Take(t.Context(), units, 1_000_000).OK)
	assert.Zero(t, takeAll(t, change("small"), units), "neither taking the limit away nor lifting it forgets")

	p.clock.Advance(2 * time.Minute) // the minute is free again; 1000 of the day are used
	assert.Zero(t, takeAll(t, change("small"), units))
	assert.Equal(t, int64(50), takeAll(t, change("strict"), units))
	assert.Equal(t, int64(950), takeAll(t, change("big"), units), "a window that is new counts what is known")
	assert.Zero(t, takeAll(t, change("strict"), units), "a window that comes back has counted on")

	_, d := change("small").Claim(t.Context(), quota.Claim{Limit: p.Ref("users"), Key: "ann", N: 40})
	require.True(t, d.OK)
	require.NoError(t, p.source.SetCatalog(parse(t, document(2, 10, 5000))))
	p.clock.Advance(2 * time.Minute)
	account := p.account(t, acme)
	assert.Equal(t, int64(10), takeAll(t, account, units), "a new version of the plan has effect")
	_, d = account.Claim(t.Context(), quota.Claim{Limit: p.Ref("users"), Key: "ann", N: 4961})
	assert.False(t, d.OK, "counts per key go on too")
	_, d = account.Claim(t.Context(), quota.Claim{Limit: p.Ref("users"), Key: "ann", N: 4960})
	assert.True(t, d.OK)
}

// TestPlanChangesUnderLoad changes plans while many count: no unit more than the
// larger limit is let in, and nobody is left behind.
func TestPlanChangesUnderLoad(t *testing.T) {
	t.Parallel()
	document := func(version int64, limit int) string {
		return fmt.Sprintf(`{"version": %d, "plans": {"p": {"limits": {
			"units": {"windows": {"hour": %d}}, "users": {"per": "key", "windows": {"hour": %[2]d}}}}}}`, version, limit)
	}
	p := newPlatform(t, document(1, 20_000), quota.WithRefresh(time.Second))
	acme := tenant.Tenant{ID: "acme", Plan: "p"}
	var units, users atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 15_000 {
				account, err := p.Account(tenant.NewContext(t.Context(), acme))
				if !assert.NoError(t, err) {
					return
				}
				if account.Take(t.Context(), p.Ref("units"), 1).OK {
					units.Add(1)
				}
				if _, d := account.Claim(t.Context(), quota.Claim{Limit: p.Ref("users"), Key: "ann", N: 1}); d.OK {
					users.Add(1)
				}
			}
		})
	}
	wg.Go(func() {
		for version := int64(2); version < 60; version++ {
			limit := 20_000 - int(version%2)*10_000
			assert.NoError(t, p.source.SetCatalog(parse(t, document(version, limit))))
			p.clock.Advance(3 * time.Second)
			p.account(t, acme)
		}
		assert.NoError(t, p.source.SetCatalog(parse(t, document(60, 20_000))))
		p.clock.Advance(3 * time.Second)
	})
	wg.Wait()
	account := p.account(t, acme)
	assert.Equal(t, int64(20_000), units.Load()+takeAll(t, account, p.Ref("units")))
	for {
		if _, d := account.Claim(t.Context(), quota.Claim{Limit: p.Ref("users"), Key: "ann", N: 1}); !d.OK {
			break
		}
		users.Add(1)
	}
	assert.Equal(t, int64(20_000), users.Load())
}

// TestTimeZonesBringNothingBack lets a tenant travel with the midnight.
func TestTimeZonesBringNothingBack(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, `{"version": 1, "plans": {"p": {"limits": {"units": {"windows": {"day": {"limit": 5, "roll": "calendar"}}}}}}}`)
	acme := tenant.Tenant{ID: "acme", Plan: "p"}
	var taken int64
	for hour := range 48 {
		zone := fmt.Sprintf("Etc/GMT%+d", (hour+12)%24-11)
		acme.Settings, acme.Version = map[string]string{"timezone": zone}, acme.Version+1
		taken += takeAll(t, p.account(t, acme), p.Ref("units"))
		p.clock.Advance(time.Hour)
	}
	assert.LessOrEqual(t, taken, int64(3*5), "two days, and the one that began before")
	acme.Settings, acme.Version = map[string]string{"timezone": "Nowhere/Else"}, acme.Version+1
	_, err := p.Account(tenant.NewContext(t.Context(), acme))
	assert.ErrorIs(t, err, quota.ErrInvalid)
}

// countingSource counts questions, and fails when it is told to.
type countingSource struct {
	quota.Source
	calls atomic.Int64
	fails atomic.Bool
}

var errSource = errors.New("source is down")

func (s *countingSource) Overrides(ctx context.Context, id tenant.ID) ([]quota.Override, error) {
	s.calls.Add(1)
	if s.fails.Load() {
		return nil, errSource
	}
	return s.Source.Overrides(ctx, id)
}

// TestSourceFails goes on with plans that are known for a while, and lets in nobody
// whose plan is not.
func TestSourceFails(t *testing.T) {
	t.Parallel()
	source, clock := &countingSource{Source: quota.NewMemorySource(parse(t, tiers))}, newTestClock(noon)
	e, err := quota.New(source, quota.WithClock(clock.Now), quota.WithRefresh(10*time.Second), quota.WithStale(time.Minute))
	require.NoError(t, err)
	acme := tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme", Plan: "pro"})
	_, err = e.Account(acme)
	require.NoError(t, err)

	source.fails.Store(true)
	clock.Advance(50 * time.Second)
	account, err := e.Account(acme)
	require.NoError(t, err)
	assert.True(t, account.Take(acme, e.Ref("requests"), 1).OK)
	before := source.calls.Load()
	for range 10 {
		_, err = e.Account(acme)
		require.NoError(t, err)
	}
	assert.Equal(t, before, source.calls.Load(), "a source that fails is not asked again at once")

	_, err = e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: "globex", Plan: "pro"}))
	assert.ErrorIs(t, err, quota.ErrUnavailable)
	assert.ErrorIs(t, err, errSource)
	_, err = e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme", Plan: "free", Version: 1}))
	assert.ErrorIs(t, err, quota.ErrUnavailable, "another plan is not the one that is known")
	clock.Advance(time.Minute)
	_, err = e.Account(acme)
	assert.ErrorIs(t, err, quota.ErrUnavailable, "too old")

	source.fails.Store(false)
	_, err = e.Account(acme)
	assert.NoError(t, err)
}

func TestOverridesEndInTime(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, tiers, quota.WithRefresh(time.Hour))
	require.NoError(t, p.source.SetOverride(quota.Override{
		Tenant: "acme", ID: "launch", Reason: "launch", Expires: noon.Add(time.Minute),
		Patch: quota.Document{"features": map[string]any{"sso": true}},
	}))
	acme := tenant.Tenant{ID: "acme", Plan: "free"}
	assert.True(t, p.account(t, acme).Enabled(p.Ref("sso")))
	p.clock.Advance(time.Minute)
	assert.False(t, p.account(t, acme).Enabled(p.Ref("sso")), "to the instant, whatever WithRefresh says")
}

// recorder keeps what observers are told.
type recorder struct {
	mu     sync.Mutex
	used   map[string]int64
	events []quota.Event
}

func (r *recorder) Used(_ context.Context, id tenant.ID, limit string, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.used == nil {
		r.used = make(map[string]int64)
	}
	r.used[fmt.Sprintf("%s %s", id, limit)] += n
}

func (r *recorder) event(_ context.Context, e quota.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func TestObservers(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	p := newPlatform(t, `{"version": 1, "plans": {"p": {"limits": {
		"requests": {"windows": {"minute": 10, "day": 1000}, "warn": 0.8},
		"storage": {"kind": "stock", "max": 100, "warn": 0.5, "grace": 0.1},
		"trial": {"windows": {"minute": 2}, "shadow": true}
	}}}}`, quota.WithObserver(r), quota.WithEvents(r.event))
	account := p.account(t, tenant.Tenant{ID: "acme", Plan: "p"})
	assert.Equal(t, int64(10), takeAll(t, account, p.Ref("requests")))
	g, d := account.Claim(t.Context(), quota.Claim{Limit: p.Ref("storage"), N: 60})
	require.True(t, d.OK)
	g.Settle(t.Context(), p.Ref("storage"), 105)
	g.Done()
	_, d = account.Claim(t.Context(), quota.Claim{Limit: p.Ref("storage"), N: 6})
	assert.ErrorIs(t, d.Err(), quota.ErrExceeded, "beyond the grace")
	g, d = account.Claim(t.Context(), quota.Claim{Limit: p.Ref("storage"), N: 5})
	assert.True(t, d.OK, "within the grace")
	g.Done()
	account.Release(t.Context(), p.Ref("storage"), 30)
	drift, err := account.Reconcile(t.Context(), p.Ref("storage"), 90)
	require.NoError(t, err)
	assert.Equal(t, int64(-10), drift)
	for range 3 {
		assert.True(t, account.Take(t.Context(), p.Ref("trial"), 1).OK, "a limit that is only looked at refuses nothing")
	}
	assert.Equal(t, map[string]int64{"acme requests": 10, "acme storage": 90, "acme trial": 2}, r.used)
	assert.Equal(t, []quota.Event{
		{Kind: quota.Warned, Tenant: "acme", Limit: "requests", Window: quota.Minute, N: 1},
		{Kind: quota.Refused, Tenant: "acme", Limit: "requests", Window: quota.Minute, N: 1},
		{Kind: quota.Warned, Tenant: "acme", Limit: "storage", N: 60},
		{Kind: quota.Refused, Tenant: "acme", Limit: "storage", N: 6},
		{Kind: quota.Shadowed, Tenant: "acme", Limit: "trial", N: 1},
	}, r.events)
}

// TestReconcileKeepsReservations measures the truth while an upload is on its way.
func TestReconcileKeepsReservations(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, `{"version": 1, "plans": {"p": {"limits": {"storage": {"kind": "stock", "max": 100}}}}}`,
		quota.WithLevels(func(_ context.Context, id tenant.ID, limit string) (int64, error) {
			assert.Equal(t, "acme storage", fmt.Sprintf("%s %s", id, limit))
			return 20, nil
		}))
	storage := p.Ref("storage")
	account := p.account(t, tenant.Tenant{ID: "acme", Plan: "p"})
	upload, d := account.Claim(t.Context(), quota.Claim{Limit: storage, N: 70})
	require.True(t, d.OK, "20 are kept already")
	drift, err := account.Reconcile(t.Context(), storage, 10)
	require.NoError(t, err)
	assert.Equal(t, int64(10), drift, "20 were counted, 10 are there")
	_, d = account.Claim(t.Context(), quota.Claim{Limit: storage, N: 21})
	assert.False(t, d.OK)
	upload.Settle(t.Context(), storage, 50)
	upload.Done()
	drift, err = account.Reconcile(t.Context(), storage, 60)
	require.NoError(t, err)
	assert.Zero(t, drift)
	_, err = account.Reconcile(t.Context(), p.Ref("unknown"), 1)
	assert.ErrorIs(t, err, quota.ErrInvalid)
	_, d = account.Claim(t.Context(), quota.Claim{Limit: storage, N: 40})
	assert.True(t, d.OK)
}

func TestBurst(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, `{"version": 1, "plans": {"p": {"limits": {"units": {"windows": {"minute": 60, "hour": 90}, "burst": 5}}}}}`)
	units := p.Ref("units")
	account := p.account(t, tenant.Tenant{ID: "acme", Plan: "p"})
	assert.Equal(t, int64(5), takeAll(t, account, units))
	d := account.Take(t.Context(), units, 1)
	assert.Equal(t, time.Second, d.RetryAfter(), "60 a minute are one a second")
	p.clock.Advance(time.Second)
	assert.Equal(t, int64(1), takeAll(t, account, units))
	assert.Equal(t, quota.CauseTooLarge, account.Take(t.Context(), units, 6).Cause())
	p.clock.Advance(5 * time.Second)
	g, d := account.Claim(t.Context(), quota.Claim{Limit: units, N: 5})
	require.True(t, d.OK)
	assert.False(t, account.Take(t.Context(), units, 1).OK)
	g.Cancel(t.Context())
	assert.Equal(t, int64(5), takeAll(t, account, units))
	for range 100 {
		p.clock.Advance(time.Second)
		account.Take(t.Context(), units, 1)
	}
	for _, u := range usageOf(t, account) {
		assert.Equal(t, int64(90), u.Windows[1].Used, "the hour holds beside it")
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	p := newPlatform(t, `{"version": 1, "plans": {"p": {"limits": {
		"traffic": {"windows": {"day": {"limit": 100, "roll": "calendar"}}}, "users": {"per": "key", "windows": {"day": 100}},
		"free": {"windows": {}}, "storage": {"kind": "stock", "max": 5}
	}}}}`, quota.WithObserver(r))
	account := p.account(t, tenant.Tenant{ID: "acme", Plan: "p"})
	for _, c := range []quota.Claim{
		{Limit: p.Ref("traffic"), N: 150}, {Limit: p.Ref("users"), Key: "ann", N: 150}, {Limit: p.Ref("free"), N: 150},
		{Limit: p.Ref("storage"), N: 150}, {Limit: p.Ref("unknown"), N: 150}, {Limit: p.Ref("traffic"), N: -1},
	} {
		account.Count(t.Context(), c)
	}
	assert.Equal(t, 12*time.Hour, account.Take(t.Context(), p.Ref("traffic"), 1).RetryAfter())
	_, d := account.Claim(t.Context(), quota.Claim{Limit: p.Ref("users"), Key: "ann", N: 1})
	assert.ErrorIs(t, d.Err(), quota.ErrExceeded)
	_, d = account.Claim(t.Context(), quota.Claim{Limit: p.Ref("users"), Key: "bob", N: 1})
	assert.True(t, d.OK)
	assert.Equal(t, map[string]int64{"acme traffic": 150, "acme users": 151, "acme free": 150}, r.used)
}

func TestWarnedOncePerCrossing(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	p := newPlatform(t, `{"version": 1, "plans": {"p": {"limits": {"units": {"windows": {"minute": 100, "hour": 100000}, "warn": 0.5}}}}}`,
		quota.WithEvents(r.event))
	account := p.account(t, tenant.Tenant{ID: "acme", Plan: "p"})
	for range 200 { // half the limit, evenly: hovers about the soft limit
		p.clock.Advance(1150 * time.Millisecond)
		account.Take(t.Context(), p.Ref("units"), 1)
	}
	assert.LessOrEqual(t, len(r.events), 2)
	p.clock.Advance(5 * time.Minute)
	r.events = nil
	takeAll(t, account, p.Ref("units"))
	assert.Equal(t, quota.Warned, r.events[0].Kind)
	assert.Len(t, r.events, 2, "warned and refused")
}
