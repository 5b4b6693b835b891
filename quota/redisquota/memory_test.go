package redisquota_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/redistest"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/redisquota"
)

// TestNumbersAreAsInMemory compares long runs with the store in memory: with terms that
// change, and numbers up to 2^50, whose products no double holds.
func TestNumbersAreAsInMemory(t *testing.T) {
	t.Parallel()
	client := connect(t, redistest.Start(t).Addr())
	for seed := range uint64(24) {
		now := time.Date(2026, 9, 30, 21, 42, 10, 0, time.UTC)
		clock := func() time.Time { return now }
		store, err := redisquota.New(client, redisquota.WithClock(clock), redisquota.WithPrefix(fmt.Sprint("run-", seed)))
		require.NoError(t, err)
		r := run{t: t, rnd: rand.New(rand.NewPCG(seed, 5)), store: store, memory: quota.NewMemoryStore(clock), most: int64(1) << (6 + seed%12*4)}
		for range 200 {
			now = now.Add(time.Duration(r.rnd.Int64N(1 << (10 + r.rnd.IntN(37)))).Truncate(time.Millisecond))
			r.step(now)
		}
	}
}

type run struct {
	t       *testing.T
	rnd     *rand.Rand
	store   quota.Store
	memory  quota.Store
	most    int64
	serial  int
	granted []quota.Return
}

func (r *run) units() int64 { return r.rnd.Int64N(1 + r.most>>r.rnd.IntN(9)) }

// counter returns one of a few, with terms as nobody had before.
func (r *run) counter() quota.Counter {
	kinds := []quota.Kind{quota.Rate, quota.Rate, quota.Rate, quota.Concurrent, quota.Stock}
	zones := []*time.Location{time.UTC, time.FixedZone("east", 11*3600), time.FixedZone("west", -9*3600)}
	terms := &quota.Terms{Kind: kinds[r.rnd.IntN(len(kinds))], Max: r.units(), Zone: zones[r.rnd.IntN(len(zones))]}
	windows := []quota.Window{
		{Per: quota.Second}, {Per: quota.Every(12345 * time.Millisecond), Roll: quota.Strict}, {Per: quota.Hour, Roll: quota.Strict}, {Per: quota.Day},
		{Per: quota.Day, Roll: quota.Calendar}, {Per: quota.Every(400 * 24 * time.Hour)}, {Per: quota.Month, Roll: quota.Calendar},
	}
	for _, w := range windows {
		if terms.Kind == quota.Rate && r.rnd.IntN(3) == 0 {
			if w.Limit = 1 + r.units(); w.Roll == "" {
				w.Roll = quota.Rolling
			}
			terms.Windows = append(terms.Windows, w)
		}
	}
	if len(terms.Windows) > 0 && r.rnd.IntN(3) == 0 {
		terms.Burst = 1 + r.units()
	}
	return quota.Counter{Limit: fmt.Sprint("limit-", r.rnd.IntN(2)), Terms: terms}
}

func (r *run) step(now time.Time) {
	r.serial++
	taking := quota.Taking{ID: fmt.Sprint(r.serial), Tenant: "acme", Holder: fmt.Sprint("p", r.rnd.IntN(3)), TTL: time.Duration(1 + r.rnd.Int64N(1<<40))}
	c := r.counter()
	charge := quota.Charge{Counter: c, N: r.units()}
	if charge.N > 0 && r.rnd.IntN(3) == 0 {
		charge.Least = 1 + r.rnd.Int64N(charge.N)
	}
	taking.Charges = append(taking.Charges, charge)
	if r.rnd.IntN(4) == 0 {
		taking.Charges = append(taking.Charges, quota.Charge{Counter: c, N: r.units()})
	}
	switch {
	case len(r.granted) > 0 && r.rnd.IntN(3) == 0:
		taking.Returns = append(taking.Returns, r.granted[r.rnd.IntN(len(r.granted))])
	case c.Terms.Kind == quota.Rate && r.rnd.IntN(8) == 0:
		taking.Returns = append(taking.Returns, quota.Return{Counter: c, N: -r.units()})
	}
	want, err := r.memory.Take(r.t.Context(), taking)
	require.NoError(r.t, err)
	got, err := r.store.Take(r.t.Context(), taking)
	require.NoError(r.t, err)
	require.Equal(r.t, want, got, "most %d, step %d, at %v: %+v of %+v", r.most, r.serial, now, taking, c.Terms)
	if want.OK {
		r.granted = append(r.granted, quota.Return{Counter: c, N: want.Granted[0].N, At: now, Kept: r.rnd.Int64N(2)})
	}
	wantLevels, err := r.memory.Read(r.t.Context(), "acme", []quota.Counter{c})
	require.NoError(r.t, err)
	gotLevels, err := r.store.Read(r.t.Context(), "acme", []quota.Counter{c})
	require.NoError(r.t, err)
	require.Equal(r.t, wantLevels, gotLevels, "most %d, step %d, at %v: %+v of %+v", r.most, r.serial, now, taking, c.Terms)
}

// TestABurstThatGoesBackIsFree returns one by one what was taken at once: rounded up, the
// units that go back take longer than those that came.
func TestABurstThatGoesBackIsFree(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 9, 30, 21, 42, 10, 0, time.UTC)
	store, err := redisquota.New(connect(t, redistest.Start(t).Addr()), redisquota.WithClock(func() time.Time { return now }))
	require.NoError(t, err)
	c := quota.Counter{Limit: "requests", Terms: &quota.Terms{Kind: quota.Rate, Zone: time.UTC, Burst: 2, Windows: []quota.Window{{Per: quota.Minute, Limit: 7, Roll: quota.Rolling}}}}
	for i, n := range []int64{2, -1, -1, 2} {
		request := taking(fmt.Sprint(i), 0)
		request.Charges = []quota.Charge{{Counter: c, N: max(0, n)}}
		if n < 0 {
			request.Charges, request.Returns = nil, []quota.Return{{Counter: c, N: -n, At: now}}
		}
		taken, err := store.Take(t.Context(), request)
		require.NoError(t, err)
		require.True(t, taken.OK, "step %d: %+v", i, taken)
	}
}
