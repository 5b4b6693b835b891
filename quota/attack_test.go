package quota_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// on returns acme's account under a plan, each time with a newer record.
func (p *platform) on(t *testing.T, plan string, zone ...string) *quota.Account {
	t.Helper()
	p.version++
	record := tenant.Tenant{ID: "acme", Plan: plan, Version: p.version}
	if len(zone) > 0 {
		record.Settings = map[string]string{"timezone": zone[0]}
	}
	return p.account(t, record)
}

func claim(t *testing.T, account *quota.Account, limit quota.Ref, n int64) *quota.Grant {
	t.Helper()
	g, d := account.Claim(t.Context(), quota.Claim{Limit: limit, N: n})
	require.NoError(t, d.Err())
	return g
}

// TestUnitsGoBackWhereTheyWereCounted cancels and settles after the plan, or the time
// zone, has changed: nobody may come out with more than the limit.
func TestUnitsGoBackWhereTheyWereCounted(t *testing.T) {
	t.Parallel()
	document := `{"version": 1, "plans": {
		"all": {"limits": {"u": {"windows": {}}}},
		"month": {"limits": {"u": {"windows": {"month": 100}}}},
		"minute": {"limits": {"u": {"windows": {"minute": 100}}}},
		"both": {"limits": {"u": {"windows": {"minute": 1000, "day": {"limit": 100, "roll": "calendar"}}}}},
		"day": {"limits": {"u": {"windows": {"day": {"limit": 100, "roll": "calendar"}}}}},
		"key": {"limits": {"u": {"per": "key", "windows": {"month": 100}}}}
	}}`
	t.Run("from what counted nothing", func(t *testing.T) {
		t.Parallel()
		p := newPlatform(t, document)
		g := claim(t, p.on(t, "all"), p.Ref("u"), 5000)
		account := p.on(t, "month")
		g.Settle(t.Context(), p.Ref("u"), 10)
		assert.Equal(t, int64(100), takeAll(t, account, p.Ref("u")))
	})
	t.Run("to a window that is new", func(t *testing.T) {
		t.Parallel()
		p := newPlatform(t, document)
		g := claim(t, p.on(t, "minute"), p.Ref("u"), 100)
		p.clock.Advance(10 * time.Minute)
		account := p.on(t, "both")
		g.Cancel(t.Context())
		assert.Equal(t, int64(100), takeAll(t, account, p.Ref("u")))
	})
	t.Run("from tenant to key and back", func(t *testing.T) {
		t.Parallel()
		p := newPlatform(t, document)
		g, taken := claim(t, p.on(t, "month"), p.Ref("u"), 50), int64(50)
		p.on(t, "key")
		g.Cancel(t.Context())
		for range 3 {
			taken += takeAll(t, p.on(t, "month"), p.Ref("u"))
			p.on(t, "key")
		}
		assert.Equal(t, int64(150), taken, "100, and the 50 that were given back")
	})
	t.Run("into another day", func(t *testing.T) {
		t.Parallel()
		p := newPlatform(t, document)
		p.clock.Set(time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC))
		p.on(t, "day")
		p.on(t, "day", "Etc/GMT-1")
		p.clock.Set(time.Date(2026, 3, 1, 23, 30, 0, 0, time.UTC))
		g := claim(t, p.on(t, "day", "Etc/GMT-1"), p.Ref("u"), 100)
		p.clock.Set(time.Date(2026, 3, 2, 0, 5, 0, 0, time.UTC))
		account := p.on(t, "day", "Etc/GMT-1")
		g.Cancel(t.Context())
		assert.Equal(t, int64(100), takeAll(t, account, p.Ref("u")))
	})
	t.Run("settled up in another month", func(t *testing.T) {
		t.Parallel()
		p := newPlatform(t, document)
		p.clock.Set(time.Date(2026, 3, 31, 23, 59, 0, 0, time.UTC))
		account := p.on(t, "month")
		g := claim(t, account, p.Ref("u"), 1)
		p.clock.Advance(2 * time.Minute)
		g.Settle(t.Context(), p.Ref("u"), 60)
		assert.Equal(t, int64(59), usageOf(t, account)[0].Windows[0].Used)
		g.Cancel(t.Context())
		assert.Equal(t, int64(100), takeAll(t, account, p.Ref("u")))
	})
}

// TestCountersWear counts and gives back until numbers end.
func TestCountersWear(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, `{"version": 1, "plans": {"p": {"limits": {
		"u": {"windows": {"month": 9007199254740992}}, "k": {"per": "key", "windows": {"month": 9007199254740992}}
	}}}}`)
	account := p.on(t, "p")
	for range 5000 {
		claim(t, account, p.Ref("u"), 1<<53).Cancel(t.Context())
		g, d := account.Claim(t.Context(), quota.Claim{Limit: p.Ref("k"), Key: "x", N: 1 << 53})
		require.NoError(t, d.Err())
		g.Cancel(t.Context())
		p.clock.Advance(time.Second)
		account = p.account(t, tenant.Tenant{ID: "acme", Plan: "p", Version: 1})
	}
	assert.Zero(t, usageOf(t, account)[0].Windows[0].Used)
	for range 2000 {
		account.Count(t.Context(), quota.Claim{Limit: p.Ref("u"), N: 1 << 53})
	}
	assert.ErrorIs(t, account.Take(t.Context(), p.Ref("u"), 1).Err(), quota.ErrExceeded)
	p.clock.Advance(62 * 24 * time.Hour)
	assert.True(t, p.on(t, "p").Take(t.Context(), p.Ref("u"), 1).OK)
}

func TestBurstsAtTheEndsOfNumbers(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, `{"version": 1, "plans": {
		"wide": {"limits": {"u": {"windows": {"month": 100}, "burst": 1000000}}},
		"day": {"limits": {"u": {"windows": {"day": 1}, "burst": 150000}}},
		"hour": {"limits": {"u": {"windows": {"hour": 1000}, "burst": 100}}},
		"free": {"limits": {"u": {"windows": {"day": 10}, "burst": 10}}},
		"pro": {"limits": {"u": {"windows": {"minute": 1000}, "burst": 100}}},
		"even": {"limits": {"u": {"windows": {"hour": 3600}, "burst": 100}}}
	}}`)
	ctx, u := t.Context(), p.Ref("u")
	of := func(id tenant.ID, plan string) *quota.Account {
		p.version++
		return p.account(t, tenant.Tenant{ID: id, Plan: plan, Version: p.version})
	}
	assert.True(t, of("a", "wide").Take(ctx, u, 1).OK)
	assert.True(t, of("b", "day").Take(ctx, u, 1).OK)
	of("c", "hour").Count(ctx, quota.Claim{Limit: u, N: 2_100_000_000})
	p.clock.Advance(3 * time.Hour)
	assert.Zero(t, takeAll(t, of("c", "hour"), u), "a debt is not forgotten")

	takeAll(t, of("d", "free"), u)
	assert.LessOrEqual(t, of("d", "pro").Take(ctx, u, 1).RetryAfter(), time.Minute, "the debts of one rate are not those of another")

	account := of("e", "even")
	var grants []*quota.Grant
	for range 5 {
		grants = append(grants, claim(t, account, u, 100))
		p.clock.Advance(100 * time.Second)
		account = of("e", "even")
	}
	taken := int64(0)
	for _, g := range grants {
		taken += takeAll(t, account, u)
		g.Cancel(ctx)
	}
	assert.Equal(t, int64(100), taken, "what was due since does not come again")
}

// TestOldRecordsBringNothingBack comes with a record from before the downgrade, as a
// stream of hours does.
func TestOldRecordsBringNothingBack(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, `{"version": 1, "plans": {"pro": {"limits": {"u": {"windows": {"day": 1000}}}}, "free": {"limits": {"u": {"windows": {"day": 10}}}}}}`)
	old := tenant.Tenant{ID: "acme", Plan: "pro", Version: 1}
	p.account(t, old)
	taken := takeAll(t, p.account(t, tenant.Tenant{ID: "acme", Plan: "free", Version: 2}), p.Ref("u"))
	p.clock.Advance(30 * time.Second)
	taken += takeAll(t, p.account(t, old), p.Ref("u"))
	assert.Equal(t, int64(10), taken)
}

// TestTravelsFarAfterMidnight moves to where it is yesterday, again and again.
func TestTravelsFarAfterMidnight(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, `{"version": 1, "plans": {"p": {"limits": {"u": {"windows": {"day": {"limit": 10, "roll": "calendar"}}}}}}}`)
	taken, days := int64(0), 10
	for hour := range days * 24 {
		p.clock.Set(noon.Add(time.Duration(hour) * time.Hour))
		best := "UTC"
		for offset := -12; offset <= 12; offset++ { // where the next midnight is an hour off
			zone := fmt.Sprintf("Etc/GMT%+d", offset)
			location, err := time.LoadLocation(zone)
			require.NoError(t, err)
			if p.clock.Now().In(location).Hour() == 23 {
				best = zone
			}
		}
		taken += takeAll(t, p.on(t, "p", best), p.Ref("u"))
	}
	assert.LessOrEqual(t, taken, int64(10*(days+1)))
}

// TestOverridesThatEndFarAway ends an override after the last instant that fits.
func TestOverridesThatEndFarAway(t *testing.T) {
	t.Parallel()
	source := &countingSource{Source: quota.NewMemorySource(parse(t, tiers))}
	memory, _ := source.Source.(*quota.MemorySource)
	require.NoError(t, memory.SetOverride(quota.Override{Tenant: "acme", ID: "o", Reason: "r", Patch: quota.Document{"title": "x"},
		Expires: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}))
	clock := newTestClock(noon)
	e, err := quota.New(source, quota.WithClock(clock.Now))
	require.NoError(t, err)
	for range 10 {
		_, err = e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme", Plan: "pro"}))
		require.NoError(t, err)
	}
	assert.Equal(t, int64(1), source.calls.Load())
}

// oddSource panics, or does not heed its context.
type oddSource struct {
	quota.Source
	panics bool
	hangs  chan struct{}
}

func (s *oddSource) Overrides(context.Context, tenant.ID) ([]quota.Override, error) {
	if s.panics {
		panic("as code does at times")
	}
	<-s.hangs
	return nil, nil
}

func TestOddSources(t *testing.T) {
	t.Parallel()
	hangs := make(chan struct{})
	defer close(hangs)
	for _, source := range []*oddSource{{panics: true}, {hangs: hangs}} {
		source.Source = quota.NewMemorySource(parse(t, tiers))
		e, err := quota.New(source, quota.WithTimeout(20*time.Millisecond))
		require.NoError(t, err)
		_, err = e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme", Plan: "pro"}))
		assert.ErrorIs(t, err, quota.ErrUnavailable)
	}
}

// TestOverridesEndWhileTheSourceFails ends one to the instant all the same.
func TestOverridesEndWhileTheSourceFails(t *testing.T) {
	t.Parallel()
	memory := quota.NewMemorySource(parse(t, tiers))
	require.NoError(t, memory.SetOverride(quota.Override{Tenant: "acme", ID: "o", Reason: "r", Expires: noon.Add(30 * time.Minute),
		Patch: quota.Document{"features": map[string]any{"sso": true}}}))
	source, clock := &countingSource{Source: memory}, newTestClock(noon)
	e, err := quota.New(source, quota.WithClock(clock.Now), quota.WithRefresh(20*time.Minute), quota.WithStale(10*time.Hour))
	require.NoError(t, err)
	ctx := tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme", Plan: "free"})
	_, err = e.Account(ctx)
	require.NoError(t, err)
	source.fails.Store(true)
	for clock.Now().Before(noon.Add(29 * time.Minute)) {
		clock.Advance(time.Minute)
		account, err := e.Account(ctx)
		require.NoError(t, err)
		require.True(t, account.Enabled(e.Ref("sso")))
	}
	clock.Advance(2 * time.Minute)
	_, err = e.Account(ctx)
	assert.ErrorIs(t, err, quota.ErrUnavailable)
}

// TestSmallTables has few counters, all of which are fresh.
func TestSmallTables(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{16, 100, 1000} {
		clock := newTestClock(time.Date(2026, 1, 31, 23, 50, 0, 0, time.UTC))
		limiter := keyed(t, clock, size, quota.Window{Per: quota.Month, Limit: 5})
		for round := range 3 {
			for i := range size / 2 {
				for range 5 {
					require.True(t, limiter.Take(fmt.Sprint(round, i), 1).OK, "size %d, round %d, key %d", size, round, i)
				}
			}
			for i := range 4 * size { // a flood, shortly before the month ends
				limiter.Take(fmt.Sprint("flood", round, i), 1)
			}
			clock.Set(time.Date(2026, time.Month(2+round), 1, 0, 50, 0, 0, time.UTC))
		}
	}
}

func TestNamesThatTwoHave(t *testing.T) {
	t.Parallel()
	_, err := quota.ParseCatalog([]byte(`{"version": 1, "plans": {"p": {
		"limits": {"models": {"windows": {"day": 1000}}}, "resources": {"models": {"allow": ["small"]}}}}}`))
	assert.ErrorIs(t, err, quota.ErrInvalid, "a claim would get past the list")
}

func TestFreeRequestsPass(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, `{"version": 1, "plans": {"p": {"limits": {"u": {"windows": {"day": 1}}, "zero": {"windows": {"day": 0}, "payment": true}}}}}`)
	account := p.on(t, "p")
	account.Count(t.Context(), quota.Claim{Limit: p.Ref("u"), N: 10})
	assert.True(t, account.Take(t.Context(), p.Ref("u"), 0).OK)
	assert.False(t, account.Take(t.Context(), p.Ref("u"), 1).OK)
	assert.Equal(t, quota.CauseTooLarge, account.Take(t.Context(), p.Ref("zero"), 1).Cause())
}

// TestOneLimitTwice claims it twice, and settles the sum; and settles what a set of
// resources counted.
func TestOneLimitTwice(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, `{"version": 1, "plans": {"p": {"limits": {"u": {"windows": {"day": 100}}},
		"resources": {"models": {"allow": ["*"], "limits": {"*": {"windows": {"day": 100}}}}}}}}`)
	account := p.on(t, "p")
	g, d := account.Claim(t.Context(), quota.Claim{Limit: p.Ref("u"), N: 30}, quota.Claim{Limit: p.Ref("u"), N: 30}, quota.Claim{Limit: p.Ref("models"), Key: "m", N: 50})
	require.NoError(t, d.Err())
	g.Settle(t.Context(), p.Ref("u"), 40)
	g.Settle(t.Context(), p.Ref("models"), 7)
	usage := usageOf(t, account)
	assert.Equal(t, int64(40), usage[0].Windows[0].Used)
	assert.Equal(t, int64(7), usage[1].Windows[0].Used)
}

// TestHijackedBuffers keeps only what reads and writes through buffers.
func TestHijackedBuffers(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, gatePlans)
	gate := newGate(t, p, opt(quota.Requests("")), opt(quota.Holding("streams")))
	kept := make(chan *bufio.ReadWriter, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gate.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, buffered, err := http.NewResponseController(w).Hijack()
			assert.NoError(t, err)
			kept <- buffered
		})).ServeHTTP(w, r.WithContext(tenant.NewContext(r.Context(), tenant.Tenant{ID: "acme", Plan: "p"})))
	}))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	go func() { _, _ = server.Client().Do(r) }() //nolint:bodyclose // there is no response
	buffered := <-kept
	for range 3 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond) // cleanups run by themselves
	}
	for _, u := range usageOf(t, p.on(t, "p")) {
		if u.Limit == "streams" {
			assert.Equal(t, int64(1), u.Used)
		}
	}
	_, err = buffered.WriteString("HTTP/1.1 204 No Content\r\n\r\n")
	require.NoError(t, err)
	require.NoError(t, buffered.Flush())
}

// TestRefsOfOthers uses what one Enforcer numbers otherwise with another: names count.
func TestRefsOfOthers(t *testing.T) {
	t.Parallel()
	const plans = `{"version": 1, "plans": {"p": {
		"limits": {"requests": {"windows": {"hour": 5}}, "storage": {"kind": "stock", "max": 10}},
		"features": {"sso": true}, "resources": {"models": {"allow": ["small"]}}
	}}}`
	e, err := quota.New(quota.NewMemorySource(parse(t, plans)))
	require.NoError(t, err)
	other, err := quota.New(quota.NewMemorySource(parse(t, plans)))
	require.NoError(t, err)
	refs := map[string]quota.Ref{}
	for _, name := range []string{"nothing", "models", "sso", "storage", "requests"} {
		refs[name] = other.Ref(name)
	}
	account, ctx := acmeOf(t, e), t.Context()
	assert.True(t, account.Take(ctx, refs["requests"], 5).OK)
	assert.Equal(t, quota.CauseLimit, account.Take(ctx, refs["requests"], 1).Cause())
	assert.Equal(t, quota.CauseNotInPlan, account.Take(ctx, refs["nothing"], 1).Cause())
	assert.Equal(t, quota.CauseNotInPlan, account.Take(ctx, quota.Ref{}, 1).Cause())
	g, d := account.Claim(ctx, quota.Claim{Limit: refs["storage"], N: 4}, quota.Claim{Limit: refs["models"], Key: "small", N: 1})
	require.NoError(t, d.Err())
	g.Settle(ctx, refs["storage"], 6)
	g.Done()
	account.Release(ctx, refs["storage"], 1)
	drift, err := account.Reconcile(ctx, refs["storage"], 7)
	require.NoError(t, err)
	assert.Equal(t, int64(-2), drift)
	assert.True(t, account.Enabled(refs["sso"]))
	assert.Equal(t, true, account.Value(refs["sso"]))
	assert.Equal(t, true, account.ValueFor(refs["sso"], "ann"))
	assert.True(t, account.Allows(refs["models"], "small"))
	assert.False(t, account.Enabled(refs["requests"]))
}
