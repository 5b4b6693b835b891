package sqlquota_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/thorough"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/sqlquota"
)

// randomRun sends both databases and memory the same requests, of all kinds: terms that
// change from one to the next, zones, debts, the same counter twice, numbers beyond 2^32.
type randomRun struct {
	*rand.Rand
	now     time.Time
	stores  map[string]quota.Store
	granted []quota.Return
}

func (r *randomRun) clock() time.Time { return r.now }

var zones = []*time.Location{time.UTC, time.FixedZone("east", 13*3600), time.FixedZone("west", -11*3600)}

func (r *randomRun) terms(kind quota.Kind, scale int64) *quota.Terms {
	t := &quota.Terms{Kind: kind, Max: 20 * scale, Zone: zones[r.IntN(len(zones))]}
	if kind != quota.Rate {
		return t
	}
	for _, w := range []quota.Window{
		{Per: quota.Second, Roll: quota.Rolling}, {Per: quota.Every(1001 * time.Millisecond), Roll: quota.Strict},
		{Per: quota.Every(7777 * time.Millisecond), Roll: quota.Rolling}, {Per: quota.Hour, Roll: quota.Strict},
		{Per: quota.Day, Roll: quota.Calendar}, {Per: quota.Week, Roll: quota.Calendar}, {Per: quota.Month, Roll: quota.Calendar},
	} {
		if w.Limit = r.Int64N(40) * scale; r.IntN(2) == 0 {
			t.Windows = append(t.Windows, w)
		}
	}
	if len(t.Windows) > 0 && t.Windows[0].Limit > 0 && r.IntN(3) == 0 {
		t.Burst = 1 + r.Int64N(15*scale)
	}
	return t
}

func (r *randomRun) taking(i int) quota.Taking {
	kinds := []quota.Kind{quota.Rate, quota.Rate, quota.Concurrent, quota.Stock}
	t := quota.Taking{ID: fmt.Sprint(i), Tenant: "acme", Holder: fmt.Sprint(r.IntN(3)), TTL: 5 * time.Second}
	for range r.IntN(3) {
		if len(r.granted) > 0 {
			t.Returns = append(t.Returns, r.granted[r.IntN(len(r.granted))]) // maybe more than once
		}
	}
	for range r.IntN(4) {
		limit, scale := r.IntN(3), int64(1)
		if limit == 2 {
			scale = 1 << 45
		}
		kind := kinds[r.IntN(len(kinds))]
		c := quota.Charge{Counter: quota.Counter{Limit: fmt.Sprint(limit), Terms: r.terms(kind, scale)}, N: r.Int64N(12 * scale)}
		if r.IntN(3) == 0 {
			c.Least = r.Int64N(c.N + 1)
		}
		t.Charges = append(t.Charges, c)
		if r.IntN(5) == 0 {
			t.Returns = append(t.Returns, quota.Return{Counter: c.Counter, N: -r.Int64N(5 * scale), Kept: r.Int64N(9 * scale), Exact: r.IntN(2) == 0})
		}
	}
	return t
}

// compareLevels compares what is used of the counters of a Taking that was granted. Of
// others, a store in memory begins windows when it reads them.
func (r *randomRun) compareLevels(t *testing.T, memory quota.Store, taking quota.Taking, taken quota.Taken) {
	t.Helper()
	var counters []quota.Counter
	for limit := range 3 {
		for _, kind := range []quota.Kind{quota.Concurrent, quota.Stock} {
			counters = append(counters, quota.Counter{Limit: fmt.Sprint(limit), Terms: &quota.Terms{Kind: kind}})
		}
	}
	for _, c := range taking.Charges {
		if taken.OK {
			counters = append(counters, c.Counter)
		}
	}
	want, err := memory.Read(t.Context(), "acme", counters)
	require.NoError(t, err)
	for name, store := range r.stores {
		got, err := store.Read(t.Context(), "acme", counters)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got), "%s: %+v, %+v", name, taken, taking)
	}
}

func TestRandomRuns(t *testing.T) {
	t.Parallel()
	seeds, steps := uint64(1), 150
	if thorough.On() {
		seeds, steps = 3, 250
	}
	for seed := range seeds {
		r := &randomRun{Rand: rand.New(rand.NewPCG(seed, 5)), now: time.Date(2027, 2, 28, 22, 59, 58, 0, time.UTC)}
		memory := quota.NewMemoryStore(r.clock)
		r.stores = make(map[string]quota.Store)
		for name, fresh := range places {
			r.stores[name] = fresh(t).store(t, sqlquota.WithClock(r.clock))
		}
		for i := range steps {
			pauses := []time.Duration{0, time.Millisecond, 129 * time.Millisecond, 333 * time.Millisecond, 777 * time.Millisecond, 2 * time.Second, 17 * time.Minute, 11 * time.Hour}
			r.now = r.now.Add(pauses[r.IntN(len(pauses))])
			taking := r.taking(i)
			want, err := memory.Take(t.Context(), taking)
			require.NoError(t, err)
			for name, store := range r.stores {
				got, err := store.Take(t.Context(), taking)
				require.NoError(t, err)
				require.Equal(t, fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got), "%s, seed %d, step %d: %+v", name, seed, i, taking)
			}
			r.compareLevels(t, memory, taking, want)
			for j, g := range want.Granted {
				r.granted = append(r.granted, quota.Return{Counter: taking.Charges[j].Counter, N: g.N, At: want.At, Kept: g.N / 2})
			}
		}
	}
}
