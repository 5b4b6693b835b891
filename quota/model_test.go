package quota_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// charge is what was let in, as a naive limiter writes it down.
type charge struct {
	at time.Time
	n  int64
}

// model decides by going through all charges, for each window as its documentation
// says.
type model struct {
	windows []quota.Window
	zone    *time.Location
	charges []charge
}

// allows reports whether n units more fit at now.
func (m *model) allows(n int64, now time.Time) bool {
	for _, w := range m.windows {
		if m.used(w, now)+n > w.Limit {
			return false
		}
	}
	return true
}

func (m *model) used(w quota.Window, now time.Time) int64 {
	switch w.Roll {
	case quota.Strict:
		part := length(w.Per) / 8
		return m.sum(floor(now, part).Add(-8*part), now.Add(1))
	case quota.Calendar:
		begin := beginOf(w.Per, now.In(m.zone))
		return m.sum(begin, now.Add(1))
	default:
		begin := floor(now, length(w.Per))
		before := m.sum(begin.Add(-length(w.Per)), begin)
		left := begin.Add(length(w.Per)).Sub(now)
		product := new(big.Int).Mul(big.NewInt(before), big.NewInt(int64(left)))
		product.Add(product, big.NewInt(int64(length(w.Per))-1))
		return m.sum(begin, now.Add(1)) + product.Div(product, big.NewInt(int64(length(w.Per)))).Int64()
	}
}

// sum returns the units from one time up to, but without, another.
func (m *model) sum(from, until time.Time) (sum int64) {
	for _, c := range m.charges {
		if !c.at.Before(from) && c.at.Before(until) {
			sum += c.n
		}
	}
	return sum
}

func floor(t time.Time, d time.Duration) time.Time {
	return time.Unix(0, t.UnixNano()-t.UnixNano()%int64(d))
}

func length(p quota.Period) time.Duration {
	switch p {
	case quota.Second:
		return time.Second
	case quota.Minute:
		return time.Minute
	case quota.Hour:
		return time.Hour
	case quota.Day:
		return 24 * time.Hour
	default:
		d, err := time.ParseDuration(string(p))
		if err != nil {
			panic(err)
		}
		return d
	}
}

// beginOf returns when the period of t's date began in zones without jumps at
// midnight.
func beginOf(p quota.Period, t time.Time) time.Time {
	year, month, day := t.Date()
	switch p {
	case quota.Month:
		day = 1
	case quota.Week:
		day -= (int(t.Weekday()) + 6) % 7
	default:
	}
	return time.Date(year, month, day, 0, 0, 0, 0, t.Location())
}

// rig is an account under test with the model beside it.
type rig struct {
	*model
	clock   *testClock
	account *quota.Account
	limit   quota.Ref
}

func newRig(t *testing.T, start time.Time, windows []quota.Window, zone string) *rig {
	t.Helper()
	location, err := time.LoadLocation(zone)
	require.NoError(t, err)
	clock := newTestClock(start)
	account, limit := accountOf(t, clock, windows, zone)
	return &rig{model: &model{windows: windows, zone: location}, clock: clock, account: account, limit: limit}
}

// accountOf returns an account with one limit of windows.
func accountOf(t *testing.T, clock *testClock, windows []quota.Window, zone string) (*quota.Account, quota.Ref) {
	t.Helper()
	e := enforcer(t, clock, catalogOf(t, 1, windows))
	account, err := e.Account(tenant.NewContext(t.Context(), tenant.Tenant{
		ID: "acme", Plan: "test", Settings: map[string]string{"timezone": zone},
	}))
	require.NoError(t, err)
	return account, e.Ref("units")
}

func enforcer(t *testing.T, clock *testClock, catalog *quota.Catalog, opts ...quota.Option) *quota.Enforcer {
	t.Helper()
	e, err := quota.New(quota.NewMemorySource(catalog), append(opts, quota.WithClock(clock.Now))...)
	require.NoError(t, err)
	return e
}

func catalogOf(t *testing.T, version int64, windows []quota.Window) *quota.Catalog {
	t.Helper()
	list := make(map[string]any, len(windows))
	for _, w := range windows {
		list[string(w.Per)] = map[string]any{"limit": w.Limit, "roll": string(w.Roll)}
	}
	catalog, err := quota.NewCatalog(quota.Document{"version": version, "plans": map[string]any{
		"test": map[string]any{"limits": map[string]any{"units": map[string]any{"windows": list}}},
	}})
	require.NoError(t, err)
	return catalog
}

// try asks account and model for n units, which must agree.
func (r *rig) try(t *testing.T, n int64) bool {
	t.Helper()
	now := r.clock.Now()
	want := r.allows(n, now)
	d := r.account.Take(t.Context(), r.limit, n)
	require.Equal(t, want, d.OK, "%d units at %v: %+v", n, now, r.windows)
	if want {
		r.charges = append(r.charges, charge{now, n})
		return true
	}
	r.checkRetry(t, n, now, d)
	return false
}

// checkRetry checks that n units would be let in after d.RetryAfter, and no earlier.
func (r *rig) checkRetry(t *testing.T, n int64, now time.Time, d quota.Decision) {
	t.Helper()
	if d.RetryAfter() == 0 {
		require.Equal(t, quota.CauseTooLarge, d.Cause())
		for _, w := range r.windows {
			if n > w.Limit {
				return
			}
		}
		require.Fail(t, "too large", "%d units %+v", n, r.windows)
	}
	require.Equal(t, quota.CauseLimit, d.Cause())
	at := now.Add(d.RetryAfter())
	require.True(t, r.allows(n, at), "%d units should fit at %v", n, at)
	require.False(t, r.allows(n, at.Add(-1)), "%d units fit before %v", n, at)
}

// TestWindowsAgainstModel compares decisions, and when refused requests may come
// back, with a limiter that goes through all of the past.
func TestWindowsAgainstModel(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Auckland"}
	for run := range 300 {
		rnd := rand.New(rand.NewPCG(uint64(run), 1))
		windows := randomWindows(rnd)
		start := time.Date(2026, time.Month(1+rnd.IntN(12)), 1+rnd.IntN(28), rnd.IntN(24), rnd.IntN(60), rnd.IntN(60), rnd.IntN(1e9), time.UTC)
		r := newRig(t, start, windows, zones[rnd.IntN(len(zones))])
		for range 150 {
			r.clock.Advance(randomPause(rnd, windows))
			r.try(t, 1+rnd.Int64N(4)*rnd.Int64N(2))
		}
	}
}

func randomWindows(rnd *rand.Rand) []quota.Window {
	all := []quota.Window{
		{Per: quota.Second, Roll: quota.Rolling}, {Per: quota.Minute, Roll: quota.Rolling}, {Per: quota.Hour, Roll: quota.Rolling},
		{Per: quota.Every(8 * time.Second), Roll: quota.Strict}, {Per: quota.Every(2 * time.Minute), Roll: quota.Strict},
		{Per: quota.Every(3 * time.Hour), Roll: quota.Strict},
		{Per: quota.Day, Roll: quota.Calendar}, {Per: quota.Week, Roll: quota.Calendar}, {Per: quota.Month, Roll: quota.Calendar},
	}
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	windows := all[:1+rnd.IntN(4)]
	for i := range windows {
		windows[i].Limit = 1 + rnd.Int64N(30)
	}
	return windows
}

// randomPause returns about the length of a window divided by its limit, so that
// windows are used up at times.
func randomPause(rnd *rand.Rand, windows []quota.Window) time.Duration {
	w := windows[rnd.IntN(len(windows))]
	l := 24 * time.Hour
	if w.Roll != quota.Calendar {
		l = length(w.Per)
	}
	switch rnd.IntN(10) {
	case 0:
		return time.Duration(rnd.Int64N(3 * int64(l)))
	case 1, 2, 3, 4:
		return 0
	default:
		return time.Duration(rnd.Int64N(2*int64(l)/w.Limit + 1))
	}
}

// TestCancelAgainstModel takes grants back, also after windows ended, and compares
// with a limiter that strikes them out of its list.
func TestCancelAgainstModel(t *testing.T) {
	t.Parallel()
	for run := range 200 {
		rnd := rand.New(rand.NewPCG(uint64(run), 2))
		windows := randomWindows(rnd)
		r := newRig(t, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), windows, "UTC")
		type open struct {
			grant  *quota.Grant
			charge int
		}
		var grants []open
		for range 200 {
			r.clock.Advance(randomPause(rnd, windows))
			if len(grants) > 0 && rnd.IntN(3) == 0 {
				i := rnd.IntN(len(grants))
				g := grants[i]
				if kept := r.charges[g.charge].n; rnd.IntN(2) == 0 && kept > 1 {
					g.grant.Settle(t.Context(), r.limit, kept-1)
					r.charges[g.charge].n--
				} else {
					g.grant.Cancel(t.Context())
					r.charges[g.charge].n = 0
					grants = append(grants[:i], grants[i+1:]...)
				}
				continue
			}
			n, now := 1+rnd.Int64N(5), r.clock.Now()
			want := r.allows(n, now)
			grant, d := r.account.Claim(t.Context(), quota.Claim{Limit: r.limit, N: n})
			require.Equal(t, want, d.OK, "run %d: %d units at %v: %+v", run, n, now, windows)
			if want {
				grants = append(grants, open{grant, len(r.charges)})
				r.charges = append(r.charges, charge{now, n})
			}
		}
	}
}

// TestStrictNeverExceeds lays windows of the length everywhere over what was let in.
func TestStrictNeverExceeds(t *testing.T) {
	t.Parallel()
	for run := range runs(25, 100) {
		rnd := rand.New(rand.NewPCG(uint64(run), 3))
		w := quota.Window{Per: quota.Every(time.Duration(1+rnd.IntN(100)) * time.Second), Limit: 1 + rnd.Int64N(50), Roll: quota.Strict}
		r := newRig(t, time.Unix(1_800_000_000, rnd.Int64N(1e9)), []quota.Window{w}, "UTC")
		for range 500 {
			r.clock.Advance(randomPause(rnd, []quota.Window{w}))
			for r.account.Take(t.Context(), r.limit, 1).OK {
				r.charges = append(r.charges, charge{r.clock.Now(), 1})
				if rnd.IntN(3) == 0 {
					break
				}
			}
		}
		for _, c := range r.charges {
			require.LessOrEqual(t, r.sum(c.at, c.at.Add(length(w.Per))), w.Limit, "run %d: the %s from %v", run, w.Per, c.at)
		}
	}
}

func TestSettleBeyondTheLimitIsOwed(t *testing.T) {
	t.Parallel()
	r := newRig(t, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), []quota.Window{{Per: quota.Day, Limit: 100, Roll: quota.Calendar}}, "UTC")
	grant, d := r.account.Claim(t.Context(), quota.Claim{Limit: r.limit, N: 10})
	require.NoError(t, d.Err())
	grant.Settle(t.Context(), r.limit, 150)
	grant.Done()
	d = r.account.Take(t.Context(), r.limit, 1)
	assert.ErrorIs(t, d.Err(), quota.ErrExceeded)
	assert.Equal(t, 12*time.Hour, d.RetryAfter())
	r.clock.Advance(12 * time.Hour)
	assert.True(t, r.account.Take(t.Context(), r.limit, 100).OK)
}

func ExampleDecision_Err() {
	clock := newTestClock(time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC))
	limiter, err := quota.NewKeyedLimiter(quota.Limit{Windows: []quota.Window{{Per: quota.Minute, Limit: 2}}}, quota.KeyedClock(clock.Now))
	if err != nil {
		panic(err)
	}
	for range 3 {
		fmt.Println(limiter.Take("198.51.100.7", 1).Err())
	}
	// Output:
	// <nil>
	// <nil>
	// quota: limit exceeded: key (2 per minute): try again in 1m0s
}
