package bandwidth_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota/bandwidth"
	"github.com/tenancy-go/tenancy/tenant"
)

// A changed plan applies to a write that runs, and to nobody sooner or later than said.
func TestLimitsChangeDuringWrite(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		rates     []int64 // for 20 seconds each; asked for every 10
		mebibytes float64 // moved in all that time
	}{
		{name: "up", rates: []int64{1 << 20, 4 << 20}, mebibytes: 1 + 20 + 80},
		{name: "down", rates: []int64{4 << 20, 1 << 20}, mebibytes: 4 + 80 + 20},
		{name: "to a hundredth and back", rates: []int64{10 << 20, 100 << 10, 10 << 20}, mebibytes: 10 + 200 + 2 + 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := &plans{}
				p.set(tt.rates[0], nil)
				s := newShaper(t, p.of)
				ctx, cancel := context.WithTimeout(as(t.Context(), "a"), time.Duration(len(tt.rates))*20*time.Second-time.Millisecond)
				defer cancel()
				w := newWriter(t, ctx, s, io.Discard)
				go func() {
					for _, rate := range tt.rates[1:] {
						time.Sleep(20*time.Second - time.Millisecond)
						p.set(rate, nil)
					}
				}()
				n := 0
				var err error
				for err == nil {
					var more int
					more, err = w.Write(make([]byte, 8<<20))
					n += more
				}
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.InEpsilon(t, tt.mebibytes*(1<<20), n, 0.03)
				assert.Equal(t, 2*len(tt.rates), p.times(), "at first and every ten seconds")
			})
		})
	}
}

// One call, which begins without a limit, is limited from the moment that one applies.
func TestFromUnlimitedToLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &plans{}
		s := newShaper(t, p.of, bandwidth.WithRefresh(time.Second))
		ctx, cancel := context.WithTimeout(as(t.Context(), "a"), 20*time.Second+time.Millisecond)
		defer cancel()
		const wire = 20 * quantum // a second
		w := newWriter(t, ctx, s, writerFunc(func(b []byte) (int, error) {
			time.Sleep(time.Duration(len(b)) * time.Second / wire)
			return len(b), nil
		}))
		time.AfterFunc(9500*time.Millisecond, func() { p.set(quantum, nil) })
		n, err := w.Write(make([]byte, 32<<20))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.InDelta(t, 10*wire+10*quantum, n, 3*quantum)

		p.set(0, nil)
		time.Sleep(time.Second)
		begun := time.Now()
		_, err = newWriter(t, as(t.Context(), "a"), s, io.Discard).Write(make([]byte, 1<<20))
		assert.NoError(t, err)
		assert.Zero(t, time.Since(begun), "unlimited again")
	})
}

// A tenant that is unlimited for a while does not get a new burst by that.
func TestUnlimitedAndBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &plans{}
		p.set(1<<20, nil)
		s := newShaper(t, p.of, bandwidth.WithRefusal())
		ctx := as(t.Context(), "a")
		for range 3 {
			_, err := newWriter(t, ctx, s, io.Discard).Write(make([]byte, 2<<20))
			require.ErrorIs(t, err, bandwidth.ErrExceeded)
			p.set(0, nil)
			_, err = newWriter(t, ctx, s, io.Discard).Write(make([]byte, 2<<20))
			require.NoError(t, err)
			p.set(1<<20, nil)
			n, err := newWriter(t, ctx, s, io.Discard).Write(make([]byte, 2<<20))
			require.ErrorIs(t, err, bandwidth.ErrExceeded)
			require.Zero(t, n)
			time.Sleep(time.Second)
		}
	})
}

// A smaller burst applies at once, a bigger one fills at the rate.
func TestBurstChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var burst int64
		s := newShaper(t, func(context.Context, tenant.Tenant) (bandwidth.Limits, error) {
			return bandwidth.Limits{Egress: bandwidth.Rate{BytesPerSecond: quantum, Burst: burst}}, nil
		}, bandwidth.WithRefusal())
		for _, tt := range []struct {
			burst int64
			after time.Duration
			moves int
		}{{10, 0, 10}, {2, 0, 0}, {2, time.Minute, 2}, {5, 0, 0}, {5, time.Minute, 5}, {2, 0, 0}, {9, 3 * time.Second, 3}} {
			time.Sleep(tt.after)
			burst = tt.burst * quantum
			n, err := newWriter(t, as(t.Context(), "a"), s, io.Discard).Write(make([]byte, 20*quantum))
			require.ErrorIs(t, err, bandwidth.ErrExceeded)
			// The new burst is known to the write, not to the rest before it.
			assert.LessOrEqual(t, n, tt.moves*quantum, tt)
			if tt.after == time.Minute {
				time.Sleep(tt.after)
				n, err = newWriter(t, as(t.Context(), "a"), s, io.Discard).Write(make([]byte, 20*quantum))
				require.ErrorIs(t, err, bandwidth.ErrExceeded)
				assert.Equal(t, tt.moves*quantum, n, tt)
			}
		}
	})
}

// All streams of a tenant ask once for all, apart from their beginnings.
func TestOneStreamAsksForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &plans{}
		s := newShaper(t, p.of)
		ctx := as(t.Context(), "a")
		writers := make([]io.Writer, 100)
		for i := range writers {
			writers[i] = newWriter(t, ctx, s, io.Discard)
		}
		assert.Equal(t, 100, p.times())
		time.Sleep(10 * time.Second)
		for _, w := range writers {
			_, err := w.Write([]byte("x"))
			assert.NoError(t, err)
		}
		assert.Equal(t, 101, p.times())
	})
}

// While one asks, the others go on; and a slow answer does not undo a later one.
func TestSlowAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := make(chan bandwidth.Limits)
		asked := 0
		s := newShaper(t, func(context.Context, tenant.Tenant) (bandwidth.Limits, error) {
			asked++
			if asked == 3 {
				return <-slow, nil
			}
			return bandwidth.Limits{}, nil
		})
		ctx := as(t.Context(), "a")
		one, other := newWriter(t, ctx, s, io.Discard), newWriter(t, ctx, s, io.Discard)
		time.Sleep(10 * time.Second)
		go func() {
			_, err := one.Write(make([]byte, 100))
			assert.NoError(t, err)
		}()
		synctest.Wait()
		_, err := other.Write(make([]byte, 100))
		assert.NoError(t, err)
		assert.Equal(t, 3, asked)
		later := newWriter(t, ctx, s, io.Discard)
		slow <- bandwidth.Limits{Egress: bandwidth.Rate{BytesPerSecond: 1}}
		synctest.Wait()
		begun := time.Now()
		_, err = later.Write(make([]byte, 1<<20))
		assert.NoError(t, err)
		assert.Zero(t, time.Since(begun), "the later answer was: no limit")
	})
}

// The limits are asked for with the newest record that a stream brought.
func TestNewestRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var plan string
		s := newShaper(t, func(_ context.Context, t tenant.Tenant) (bandwidth.Limits, error) {
			plan = fmt.Sprint(t.Plan, t.Version)
			return bandwidth.Limits{}, nil
		})
		record := func(plan string, version int64) context.Context {
			return tenant.NewContext(t.Context(), tenant.Tenant{ID: "a", Plan: plan, Version: version})
		}
		old := newWriter(t, record("free", 1), s, io.Discard)
		assert.Equal(t, "free1", plan)
		newWriter(t, record("pro", 2), s, io.Discard)
		assert.Equal(t, "pro2", plan)
		newWriter(t, record("free", 1), s, io.Discard)
		assert.Equal(t, "pro2", plan)
		newWriter(t, record("trial", 2), s, io.Discard)
		assert.Equal(t, "trial2", plan)
		time.Sleep(10 * time.Second)
		plan = ""
		_, err := old.Write([]byte("x"))
		assert.NoError(t, err)
		assert.Equal(t, "trial2", plan)
	})
}
