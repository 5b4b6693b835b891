package fairshare_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tenancy-go/tenancy/quota/fairshare"
	"github.com/tenancy-go/tenancy/tenant"
)

const (
	usual    = 10 * time.Millisecond
	warmUp   = 3 * time.Second
	measured = 12 * time.Second
)

// lasting returns a random time.
type lasting func(*rand.Rand) time.Duration

func steady(*rand.Rand) time.Duration { return usual }

// uneven is from half to one and a half of the usual.
func uneven(r *rand.Rand) time.Duration { return usual/2 + time.Duration(r.Int64N(int64(usual))) }

// exponential is mostly short and sometimes long, the usual on average.
func exponential(r *rand.Rand) time.Duration { return time.Duration(r.ExpFloat64() * float64(usual)) }

func long(r *rand.Rand) time.Duration { return 50 * uneven(r) }

// load is what a tenant asks for: its workers ask again as soon as they have released and
// paused, or, if it has none, requests arrive by themselves.
type load struct {
	id      tenant.ID
	workers int
	every   lasting // between two arrivals
	pause   lasting // nil is none
	hold    lasting
	least   int64 // units of a request; 0 is 1
	most    int64 // at random from least; 0 is least
}

// outcome is what a tenant had while it was measured.
type outcome struct {
	units float64         // on average
	waits []time.Duration // sorted
	whole []time.Duration // from the request to the release, sorted
}

func (o outcome) String() string {
	return fmt.Sprintf("%6.3f units, wait p50 %v p99 %v, until done p99 %v",
		o.units, percentile(o.waits, 50), percentile(o.waits, 99), percentile(o.whole, 99))
}

func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*p/100].Round(10 * time.Microsecond)
}

// bench has loads run against a scheduler, in the time of a bubble.
type bench struct {
	s     *fairshare.Scheduler
	ctx   context.Context
	from  time.Time
	group sync.WaitGroup

	mu       sync.Mutex
	outcomes map[tenant.ID]*outcome
}

// measure runs the loads together and returns what each tenant had.
func measure(t *testing.T, s *fairshare.Scheduler, loads ...load) map[tenant.ID]*outcome {
	t.Helper()
	b := &bench{s: s, ctx: t.Context(), from: time.Now().Add(warmUp), outcomes: map[tenant.ID]*outcome{}}
	for _, l := range loads {
		b.outcomes[l.id] = &outcome{}
	}
	stop := b.start(t, loads...)
	time.Sleep(warmUp)
	before := s.Stats()
	time.Sleep(measured)
	after := s.Stats()
	stop()
	b.group.Wait()
	for id, o := range b.outcomes {
		o.units = (after.Tenants[id].UnitSeconds - before.Tenants[id].UnitSeconds) / measured.Seconds()
		slices.Sort(o.waits)
		slices.Sort(o.whole)
	}
	return b.outcomes
}

// start has the loads run until stop.
func (b *bench) start(t *testing.T, loads ...load) (stop func()) {
	ctx, stop := context.WithCancel(b.ctx)
	for i, l := range loads {
		if l.every != nil {
			b.group.Go(func() { b.arrivals(ctx, t, l, source(i, 0)) })
		}
		for n := range l.workers {
			b.group.Go(func() { b.worker(ctx, t, l, source(i, n+1)) })
		}
	}
	return stop
}

func source(i, n int) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(i), uint64(n))) //nolint:gosec // not for secrets
}

func (b *bench) worker(ctx context.Context, t *testing.T, l load, random *rand.Rand) {
	time.Sleep(time.Duration(random.Int64N(int64(usual))))
	for b.serve(ctx, t, l, random) {
		if l.pause != nil {
			time.Sleep(l.pause(random))
		}
	}
}

func (b *bench) arrivals(ctx context.Context, t *testing.T, l load, random *rand.Rand) {
	for n := 0; ctx.Err() == nil; n++ {
		b.group.Go(func() { b.serve(ctx, t, l, source(n, len(l.id))) })
		time.Sleep(l.every(random))
	}
}

// serve has units for as long as l wants, and reports whether it got any.
func (b *bench) serve(ctx context.Context, t *testing.T, l load, random *rand.Rand) bool {
	asked := time.Now()
	least := max(1, l.least)
	hold, err := b.s.Acquire(as(ctx, l.id), least+random.Int64N(max(1, l.most-least+1)))
	if err != nil {
		assert.ErrorIs(t, err, context.Canceled)
		return false
	}
	granted := time.Now()
	time.Sleep(l.hold(random))
	hold.Release()
	if asked.After(b.from) {
		b.mu.Lock()
		defer b.mu.Unlock()
		o := b.outcomes[l.id]
		o.waits = append(o.waits, granted.Sub(asked))
		o.whole = append(o.whole, time.Since(asked))
	}
	return true
}
