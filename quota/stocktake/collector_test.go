package stocktake_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/stocktake"
	"github.com/tenancy-go/tenancy/tenant"
)

const plans = `{"version": 1, "default": "free", "plans": {
	"free": {"limits": {"database": {"kind": "stock", "max": "1MiB"}}},
	"rate": {"limits": {"database": {"windows": {"day": 1}}}},
	"none": {}}}`

// platform has tenants, and what they keep.
type platform struct {
	t        testing.TB
	enforcer *quota.Enforcer
	store    *tenant.MemoryStore

	mu      sync.Mutex
	sizes   map[tenant.ID]int64
	errs    map[tenant.ID]error
	asked   []tenant.ID
	asking  int
	most    int
	pause   time.Duration
	results map[tenant.ID]stocktake.Result
}

func newPlatform(t testing.TB, opts ...quota.Option) *platform {
	t.Helper()
	catalog, err := quota.ParseCatalog([]byte(plans))
	require.NoError(t, err)
	enforcer, err := quota.New(quota.NewMemorySource(catalog), opts...)
	require.NoError(t, err)
	return &platform{
		t: t, enforcer: enforcer, store: tenant.NewMemoryStore(),
		sizes: map[tenant.ID]int64{}, errs: map[tenant.ID]error{}, results: map[tenant.ID]stocktake.Result{},
	}
}

// add makes a tenant with its data.
func (p *platform) add(id tenant.ID, plan string, size int64, status ...tenant.Status) tenant.Tenant {
	p.t.Helper()
	record, err := p.store.Create(p.t.Context(), tenant.Tenant{
		ID: id, Slug: string(id), Name: string(id), Plan: plan, Status: append(status, tenant.StatusActive)[0],
	})
	require.NoError(p.t, err)
	p.set(id, size)
	return record
}

func (p *platform) set(id tenant.ID, size int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sizes[id] = size
}

// measure fails for whom errs names; one that wraps errPanic panics.
func (p *platform) measure(ctx context.Context, t tenant.Tenant) (int64, error) {
	p.mu.Lock()
	p.asked = append(p.asked, t.ID)
	p.asking++
	p.most = max(p.most, p.asking)
	size, err := p.sizes[t.ID], p.errs[t.ID]
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asking--
	}()
	if id, other := tenant.IDFromContext(ctx); other != nil || id != t.ID {
		return 0, fmt.Errorf("the context is of %q: %w", id, other)
	}
	if errors.Is(err, errPanic) {
		panic(err)
	}
	if errors.Is(err, errHang) {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	time.Sleep(p.pause)
	return size, err
}

var (
	errPanic = errors.New("panic")
	errHang  = errors.New("hang")
	errSick  = errors.New("sick")
)

func (p *platform) collector(opts ...stocktake.Option) *stocktake.Collector {
	p.t.Helper()
	c, err := stocktake.New(p.enforcer, p.store, "database", p.measure, append([]stocktake.Option{
		stocktake.WithResults(func(ctx context.Context, r stocktake.Result) {
			p.mu.Lock()
			defer p.mu.Unlock()
			assert.NoError(p.t, ctx.Err(), "whoever keeps results has time to")
			p.results[r.Tenant.ID] = r
		}),
	}, opts...)...)
	require.NoError(p.t, err)
	return c
}

// used returns what is counted of a tenant.
func (p *platform) used(record tenant.Tenant) int64 {
	p.t.Helper()
	ctx := tenant.NewContext(p.t.Context(), record)
	account, err := p.enforcer.Account(ctx)
	require.NoError(p.t, err)
	usage, err := account.Usage(ctx)
	require.NoError(p.t, err)
	require.Len(p.t, usage, 1)
	return usage[0].Used
}

func TestRoundSetsCounts(t *testing.T) {
	p := newPlatform(t)
	acme, globex := p.add("acme", "free", 700), p.add("globex", "", 300)
	p.add("none", "none", 5)
	p.add("rate", "rate", 5)
	suspended := p.add("suspended", "free", 9, tenant.StatusSuspended)
	p.add("unfinished", "free", 9, tenant.StatusProvisioning)
	gone := p.add("gone", "free", 9)
	_, err := p.store.Delete(t.Context(), gone.ID, gone.Version)
	require.NoError(t, err)
	c := p.collector()
	defer c.Close()

	round, err := c.Round(t.Context())
	require.NoError(t, err)
	round.Took = 0
	assert.Equal(t, stocktake.Round{Measured: 3, Skipped: 2}, round)
	assert.ElementsMatch(t, []tenant.ID{"acme", "globex", "suspended"}, p.asked)
	assert.Equal(t, []int64{700, 300, 9}, []int64{p.used(acme), p.used(globex), p.used(suspended)})

	p.set("acme", 500)
	_, err = c.Round(t.Context())
	require.NoError(t, err)
	assert.Equal(t, int64(500), p.used(acme))
	assert.Equal(t, stocktake.Result{Tenant: acme, Size: 500, Drift: 200}, p.results["acme"])
}

func TestSizesRefuseClaims(t *testing.T) {
	p := newPlatform(t)
	acme := p.add("acme", "free", 1<<20-10)
	c := p.collector()
	defer c.Close()
	_, err := c.Round(t.Context())
	require.NoError(t, err)
	ctx := tenant.NewContext(t.Context(), acme)
	account, err := p.enforcer.Account(ctx)
	require.NoError(t, err)
	_, d := account.Claim(ctx, quota.Claim{Limit: p.enforcer.Ref("database"), N: 11})
	require.ErrorIs(t, d.Err(), quota.ErrExceeded)
	grant, d := account.Claim(ctx, quota.Claim{Limit: p.enforcer.Ref("database"), N: 10})
	require.NoError(t, d.Err())
	_, err = c.Round(t.Context())
	require.NoError(t, err)
	assert.Equal(t, int64(1<<20), p.used(acme), "what is on its way counts beside")
	grant.Done()
}

func TestOneFailureStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlatform(t)
		acme := p.add("acme", "free", 700)
		for id, err := range map[tenant.ID]error{"a-sick": errSick, "b-panic": errPanic, "c-hang": errHang} {
			p.add(id, "free", 1)
			p.errs[id] = err
		}
		p.add("d-unknown", "no-such-plan", 1)
		p.add("e-negative", "free", -1)
		c := p.collector(stocktake.WithParallel(1), stocktake.WithTimeout(time.Minute))
		defer c.Close()
		round, err := c.Round(t.Context())
		require.NoError(t, err)
		assert.Equal(t, stocktake.Round{Measured: 1, Failed: 5, Took: time.Minute}, round)
		assert.Equal(t, int64(700), p.used(acme))
		require.ErrorIs(t, p.results["a-sick"].Err, errSick)
		require.ErrorContains(t, p.results["b-panic"].Err, "panic")
		require.ErrorIs(t, p.results["c-hang"].Err, context.DeadlineExceeded)
		require.ErrorContains(t, p.results["d-unknown"].Err, "no-such-plan")
		require.ErrorIs(t, p.results["e-negative"].Err, quota.ErrInvalid)
	})
}

func TestAFailureKeepsTheCount(t *testing.T) {
	p := newPlatform(t)
	acme := p.add("acme", "free", 700)
	c := p.collector()
	defer c.Close()
	_, err := c.Round(t.Context())
	require.NoError(t, err)
	p.errs["acme"] = errSick
	p.set("acme", 0)
	_, err = c.Round(t.Context())
	require.NoError(t, err)
	assert.Equal(t, int64(700), p.used(acme))
}

func TestRoundsComeAboutAsOftenAsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlatform(t)
		p.add("acme", "free", 1)
		ctx, cancel := context.WithCancel(t.Context())
		start, ends := time.Now(), []time.Duration(nil)
		c := p.collector(stocktake.WithEvery(time.Hour), stocktake.WithJitter(0.25),
			stocktake.WithRounds(func(_ context.Context, r stocktake.Round, err error) {
				assert.NoError(t, err)
				assert.Equal(t, 1, r.Measured)
				if ends = append(ends, time.Since(start)); len(ends) == 50 {
					cancel()
				}
			}))
		require.ErrorIs(t, c.Run(ctx), context.Canceled)
		assert.Less(t, ends[0], 15*time.Minute)
		shorter, longer := false, false
		for i := 1; i < len(ends); i++ {
			apart := ends[i] - ends[i-1]
			assert.GreaterOrEqual(t, apart, 45*time.Minute)
			assert.LessOrEqual(t, apart, 75*time.Minute)
			shorter, longer = shorter || apart < time.Hour, longer || apart > time.Hour
		}
		assert.True(t, shorter && longer, "rounds of processes drift apart")
	})
}

func TestAFewAreMeasuredAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlatform(t)
		p.pause = time.Second
		for i := range 250 {
			p.add(tenant.ID(fmt.Sprintf("t%d", i)), "free", int64(i))
		}
		c := p.collector(stocktake.WithParallel(5), stocktake.WithQuery(tenant.Query{Limit: 7}))
		defer c.Close()
		round, err := c.Round(t.Context())
		require.NoError(t, err)
		assert.Equal(t, stocktake.Round{Measured: 250, Took: 50 * time.Second}, round)
		assert.Equal(t, 5, p.most)
		asked := map[tenant.ID]int{}
		for _, id := range p.asked {
			asked[id]++
		}
		assert.Len(t, asked, 250, "each once")
	})
}

func TestCloseEndsWhatIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlatform(t)
		p.add("acme", "free", 1)
		p.errs["acme"] = errHang
		c := p.collector(stocktake.WithTimeout(time.Hour), stocktake.WithJitter(0), stocktake.WithEvery(time.Second))
		ended := make(chan error, 1)
		go func() { ended <- c.Run(t.Context()) }()
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 1, p.asking)
		require.NoError(t, c.Close())
		assert.Zero(t, p.asking, "Close waits")
		synctest.Wait()
		require.ErrorIs(t, <-ended, stocktake.ErrClosed)
		require.NoError(t, c.Close(), "again")
		require.ErrorIs(t, c.Run(t.Context()), stocktake.ErrClosed)
		_, err := c.Round(t.Context())
		require.ErrorIs(t, err, stocktake.ErrClosed)
	})
}

// failing lists some tenants and then fails, the first time.
type failing struct {
	stocktake.Lister
	err error
}

func (f *failing) List(ctx context.Context, q tenant.Query) (tenant.Page, error) {
	if q.Cursor != "" && f.err != nil {
		err := f.err
		f.err = nil
		return tenant.Page{}, err
	}
	return f.Lister.List(ctx, q)
}

func TestAListThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlatform(t)
		for i := range 4 {
			p.add(tenant.ID(fmt.Sprintf("t%d", i)), "free", 1)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var rounds []stocktake.Round
		c, err := stocktake.New(p.enforcer, &failing{p.store, errSick}, "database", p.measure,
			stocktake.WithQuery(tenant.Query{Limit: 2}), stocktake.WithRounds(func(_ context.Context, r stocktake.Round, err error) {
				if rounds = append(rounds, r); len(rounds) == 1 {
					assert.ErrorIs(t, err, errSick)
					return
				}
				assert.NoError(t, err)
				cancel()
			}))
		require.NoError(t, err)
		require.ErrorIs(t, c.Run(ctx), context.Canceled)
		assert.Equal(t, []stocktake.Round{{Measured: 2}, {Measured: 4}}, rounds)
	})
}

func TestNewRefuses(t *testing.T) {
	p := newPlatform(t)
	for _, opt := range []stocktake.Option{
		stocktake.WithEvery(0), stocktake.WithJitter(-1), stocktake.WithJitter(1.1), stocktake.WithParallel(0), stocktake.WithTimeout(0),
		stocktake.WithResults(nil), stocktake.WithRounds(nil),
	} {
		_, err := stocktake.New(p.enforcer, p.store, "database", p.measure, opt)
		require.Error(t, err)
	}
	_, err := stocktake.New(nil, p.store, "database", p.measure)
	require.Error(t, err)
	_, err = stocktake.New(p.enforcer, nil, "database", p.measure)
	require.Error(t, err)
	_, err = stocktake.New(p.enforcer, p.store, "", p.measure)
	require.Error(t, err)
	_, err = stocktake.New(p.enforcer, p.store, "database", nil)
	require.Error(t, err)
}

// BenchmarkRound is what a round costs beside measuring, for a thousand tenants.
func BenchmarkRound(b *testing.B) {
	p := newPlatform(b)
	for i := range 1000 {
		p.add(tenant.ID(fmt.Sprintf("t%d", i)), "free", 1)
	}
	c, err := stocktake.New(p.enforcer, p.store, "database", func(context.Context, tenant.Tenant) (int64, error) { return 1, nil })
	require.NoError(b, err)
	for b.Loop() {
		if _, err := c.Round(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
