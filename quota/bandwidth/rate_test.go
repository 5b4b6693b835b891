package bandwidth_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota/bandwidth"
	"github.com/tenancy-go/tenancy/tenant"
)

// meter measures what moves, as a bucket would that is filled instead of drained: its
// highest level is the most that any span moved beyond what the rate allows.
type meter struct {
	rate float64

	mu             sync.Mutex
	sum            int64
	level, highest float64
	last           time.Time
}

func (m *meter) add(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.level = max(0, m.level-m.rate*now.Sub(m.last).Seconds()) + float64(n)
	m.highest = max(m.highest, m.level)
	m.sum += int64(n)
	m.last = now
}

func (m *meter) Write(p []byte) (int, error) {
	m.add(len(p))
	return len(p), nil
}

// check wants no span above burst, and nearly all used that span allows.
func (m *meter) check(t *testing.T, burst int64, span time.Duration) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	allowed := float64(burst) + m.rate*span.Seconds()
	assert.LessOrEqual(t, m.highest, float64(burst)+1, "over any span")
	assert.LessOrEqual(t, float64(m.sum), allowed+1, "over all")
	assert.GreaterOrEqual(t, float64(m.sum), 0.95*allowed, "throughput")
	t.Logf("highest %.0f of %d, sum %.2f%%", m.highest, burst, 100*float64(m.sum)/allowed)
}

// All streams of a tenant together stay within the rate, in any span, and use it.
func TestManyStreams(t *testing.T) {
	t.Parallel()
	const (
		rate    = 10 << 20
		burst   = 1 << 20
		streams = 200
		span    = 12 * time.Second
	)
	for _, d := range []bandwidth.Direction{bandwidth.Ingress, bandwidth.Egress} {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newShaper(t, both(rate, burst))
				m := &meter{rate: rate}
				ctx, cancel := context.WithTimeout(as(t.Context(), "a"), span)
				defer cancel()
				var group sync.WaitGroup
				for range streams {
					group.Go(func() { assert.ErrorIs(t, saturate(ctx, s, d, m, 100<<10), context.DeadlineExceeded) })
				}
				group.Wait()
				m.check(t, burst, span)
			})
		})
	}
}

// saturate moves calls of size bytes until that fails.
func saturate(ctx context.Context, s *bandwidth.Shaper, d bandwidth.Direction, m *meter, size int) error {
	p := make([]byte, size)
	if d == bandwidth.Egress {
		w, err := s.Writer(ctx, m)
		for err == nil {
			_, err = w.Write(p)
		}
		return err
	}
	r, err := s.Reader(ctx, endless{})
	for err == nil {
		var n int
		if n, err = r.Read(p); n > 0 {
			m.add(n)
		}
	}
	return err
}

// Whatever the rates, quanta and sizes are, and whoever comes and goes.
func TestAnyStreams(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { anyStreams(t, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func anyStreams(t *testing.T, random *rand.Rand) {
	rate := int64(1) << (4 + random.IntN(20))
	burst := rate*int64(1+random.IntN(300))/100 + 1
	quantum := int(max(rate/int64(1+random.IntN(20)), 1))
	direction := bandwidth.Direction(random.IntN(2))
	s := newShaper(t, both(rate, burst), bandwidth.WithQuantum(quantum))
	m := &meter{rate: float64(rate)}

	const span = 20 * time.Second
	all, cancel := context.WithTimeout(as(t.Context(), "a"), span)
	defer cancel()
	var group sync.WaitGroup
	for range 1 + random.IntN(4) { // that stay
		size := 1 + random.IntN(4*quantum)
		group.Go(func() { assert.Error(t, saturate(all, s, direction, m, size)) })
	}
	for range random.IntN(50) { // that come and go
		size, from, to := 1+random.IntN(4*quantum), random.Int64N(int64(span)), random.Int64N(int64(span))
		group.Go(func() {
			time.Sleep(time.Duration(from))
			ctx, cancel := context.WithTimeout(all, time.Duration(to))
			defer cancel()
			assert.Error(t, saturate(ctx, s, direction, m, size))
		})
	}
	group.Wait()
	m.check(t, burst, span)
}

// One call that is bigger than the burst is neither refused nor charged less than it is.
func TestCallBiggerThanBurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, both(1<<20, 1<<20))
		m := &meter{rate: 1 << 20}
		w := newWriter(t, as(t.Context(), "a"), s, m)
		begun := time.Now()
		n, err := w.Write(make([]byte, 11<<20))
		require.NoError(t, err)
		assert.Equal(t, 11<<20, n)
		assert.InDelta(t, 10, time.Since(begun).Seconds(), 1e-6)
		m.check(t, 1<<20, 10*time.Second)
	})
}

func TestDefaultBurst(t *testing.T) {
	t.Parallel()
	for rate, burst := range map[int64]int{1000: quantum, 1 << 20: 1 << 20} {
		synctest.Test(t, func(t *testing.T) {
			s := newShaper(t, both(rate, 0), bandwidth.WithRefusal())
			n, err := newWriter(t, as(t.Context(), "a"), s, io.Discard).Write(make([]byte, 2<<20))
			assert.ErrorIs(t, err, bandwidth.ErrExceeded)
			assert.InDelta(t, burst, n, float64(rate)) // less than a quantum stays
		})
	}
}

func TestUnlimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, always(bandwidth.Limits{}))
		begun := time.Now()
		n, err := newWriter(t, as(t.Context(), "a"), s, io.Discard).Write(make([]byte, 64<<20))
		assert.NoError(t, err)
		assert.Equal(t, 64<<20, n)
		assert.Zero(t, time.Since(begun))
	})
}

// A stream with big writes delays others of the tenant by a quantum.
func TestBigWritesDoNotStarve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, both(1<<20, quantum))
		ctx, cancel := context.WithCancel(as(t.Context(), "a"))
		big := make([]byte, 64<<20)
		var group sync.WaitGroup
		for range 3 {
			w := newWriter(t, ctx, s, io.Discard)
			group.Go(func() {
				_, err := w.Write(big)
				assert.ErrorIs(t, err, context.Canceled)
			})
		}
		small := newWriter(t, ctx, s, io.Discard)
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			begun := time.Now()
			_, err := small.Write(make([]byte, 100))
			require.NoError(t, err)
			assert.LessOrEqual(t, time.Since(begun), 4*time.Second/(1<<20/quantum))
		}
		cancel()
		group.Wait()
	})
}

// Small writes do not overtake one that waits.
func TestSmallWritesDoNotStarve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, both(1<<20, quantum))
		ctx, cancel := context.WithCancel(as(t.Context(), "a"))
		var group sync.WaitGroup
		group.Go(func() { // five times the rate, in little pieces
			for ctx.Err() == nil {
				time.Sleep(20 * time.Microsecond)
				group.Go(func() {
					if w, err := s.Writer(ctx, io.Discard); err == nil {
						_, _ = w.Write(make([]byte, 100))
					}
				})
			}
		})
		time.Sleep(10 * time.Millisecond)
		big := newWriter(t, ctx, s, io.Discard)
		begun := time.Now()
		_, err := big.Write(make([]byte, quantum))
		assert.NoError(t, err)
		assert.LessOrEqual(t, time.Since(begun), 2*time.Second/(1<<20/quantum))
		cancel()
		group.Wait()
	})
}

// Equal streams get equal parts.
func TestStreamsShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, both(1<<20, quantum))
		ctx, cancel := context.WithTimeout(as(t.Context(), "a"), 60*time.Second)
		defer cancel()
		meters := make([]meter, 7)
		var group sync.WaitGroup
		for i := range meters {
			group.Go(func() { _ = saturate(ctx, s, bandwidth.Egress, &meters[i], (1+i)*quantum) })
		}
		group.Wait()
		for i := range meters {
			assert.InDelta(t, 60<<20/7, meters[i].sum, 2*quantum)
		}
	})
}

// Those who give up leave no gap: the one behind them moves at once.
func TestNoGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, both(quantum, quantum))
		ctx := as(t.Context(), "a")
		passing, giveUp := context.WithCancel(ctx)
		_, err := newWriter(t, ctx, s, io.Discard).Write(make([]byte, quantum))
		require.NoError(t, err)
		var group sync.WaitGroup
		for range 100 {
			w := newWriter(t, passing, s, io.Discard)
			group.Go(func() {
				_, err := w.Write(make([]byte, quantum))
				assert.ErrorIs(t, err, context.Canceled)
			})
		}
		synctest.Wait()
		begun := time.Now()
		last := newWriter(t, ctx, s, io.Discard)
		group.Go(func() {
			_, err := last.Write(make([]byte, quantum))
			assert.NoError(t, err)
			assert.Equal(t, time.Second, time.Since(begun))
		})
		synctest.Wait()
		time.Sleep(time.Second / 2)
		giveUp()
		group.Wait()
	})
}

// A tenant that is over its rate, or does not take what it is sent, costs others nothing.
func TestTenantsDoNotMeet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, both(1<<20, 1<<20))
		ctx, cancel := context.WithCancel(as(t.Context(), "greedy"))
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() { _ = saturate(ctx, s, bandwidth.Egress, &meter{}, 1<<20) })
		}
		stuck := newWriter(t, ctx, s, writerFunc(func(p []byte) (int, error) {
			<-ctx.Done()
			return len(p), nil
		}))
		group.Go(func() { _, _ = stuck.Write(make([]byte, 1)) })
		synctest.Wait()
		begun := time.Now()
		for i := range 20 {
			_, err := newWriter(t, as(t.Context(), tenant.ID(fmt.Sprintf("modest-%d", i))), s, io.Discard).Write(make([]byte, 1<<20))
			assert.NoError(t, err)
		}
		assert.Zero(t, time.Since(begun))
		cancel()
		group.Wait()
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Under the race detector: two tenants, both ways, in real time.
func TestTwoTenantsAtOnce(t *testing.T) {
	t.Parallel()
	var moved sync.Map
	s := newShaper(t, both(64<<20, 1<<20), bandwidth.WithRefresh(time.Millisecond),
		bandwidth.WithObserver(func(_ context.Context, id tenant.ID, d bandwidth.Direction, n int64) {
			m, _ := moved.LoadOrStore(fmt.Sprintf("%s %s", id, d), &meter{})
			m.(*meter).add(int(n))
		}))
	var group sync.WaitGroup
	for i := range 16 {
		ctx := as(t.Context(), tenant.ID([]string{"a", "b"}[i%2]))
		group.Go(func() {
			w := newWriter(t, ctx, s, io.Discard)
			_, err := w.Write(make([]byte, 1<<20))
			assert.NoError(t, err)
			assert.NoError(t, w.Close())
			_, err = io.Copy(io.Discard, newReader(t, ctx, s, io.LimitReader(endless{}, 1<<20)))
			assert.NoError(t, err)
		})
	}
	group.Wait()
	for _, key := range []string{"a ingress", "a egress", "b ingress", "b egress"} {
		m, ok := moved.Load(key)
		require.True(t, ok, key)
		assert.EqualValues(t, 8<<20, m.(*meter).sum, key)
	}
}
