package fairshare_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota/fairshare"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestNewRefuses(t *testing.T) {
	equal := fairshare.Equal(fairshare.Share{})
	for name, tt := range map[string]struct {
		capacity int64
		shares   fairshare.Shares
		opts     []fairshare.Option
	}{
		"no capacity":              {0, equal, nil},
		"too large a capacity":     {math.MaxInt64, equal, nil},
		"no shares":                {1, nil, nil},
		"no cost":                  {1, equal, []fairshare.Option{fairshare.WithCost(nil)}},
		"no error handler":         {1, equal, []fairshare.Option{fairshare.WithErrorHandler(nil)}},
		"negative patience":        {1, equal, []fairshare.Option{fairshare.WithPatience(-1)}},
		"negative idle tenants":    {1, equal, []fairshare.Option{fairshare.WithIdle(-1)}},
		"platform's own too large": {1, equal, []fairshare.Option{fairshare.WithPlatform(fairshare.Share{Dedicated: 2})}},
		"platform's own is wrong":  {1, equal, []fairshare.Option{fairshare.WithPlatform(fairshare.Share{Weight: -2})}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := fairshare.New(tt.capacity, tt.shares, tt.opts...)
			assert.ErrorContains(t, err, "fairshare: ")
		})
	}
}

func TestNoTenantIsRefused(t *testing.T) {
	s, err := fairshare.New(1, func(context.Context, tenant.Tenant) (fairshare.Share, error) {
		t.Error("asked for the share of nobody")
		return fairshare.Share{}, nil
	})
	require.NoError(t, err)
	for _, ctx := range []context.Context{t.Context(), tenant.System(t.Context(), "test")} {
		_, want := tenant.FromContext(ctx)
		_, err := s.Acquire(ctx, 1)
		assert.ErrorIs(t, err, want)
		_, err = s.TryAcquire(ctx, 1)
		assert.ErrorIs(t, err, want)
		assert.ErrorIs(t, s.Refresh(ctx), want)
	}
	assert.Equal(t, fairshare.Stats{Capacity: 1, Tenants: map[tenant.ID]fairshare.Usage{}}, s.Stats())
}

func TestPlatform(t *testing.T) {
	s := newScheduler(t, 3, fairshare.Share{}, fairshare.WithPlatform(fairshare.Share{Dedicated: 1, Max: 2}))
	system := tenant.System(t.Context(), "nightly totals")
	must(t, s, "a", 2)
	hold, err := s.Acquire(system, 1)
	require.NoError(t, err)
	_, err = s.TryAcquire(system, 1)
	require.ErrorIs(t, err, fairshare.ErrBusy)
	assert.ErrorContains(t, err, "the platform")
	stats := s.Stats()
	assert.EqualValues(t, 1, stats.Platform.Held)
	assert.Len(t, stats.Tenants, 1)
	hold.Release()
	_, err = s.TryAcquire(as(t.Context(), "b"), 1)
	require.ErrorIs(t, err, fairshare.ErrBusy, "the platform's unit is its own")
}

func TestSharesThatAreRefused(t *testing.T) {
	down := errors.New("down")
	for name, tt := range map[string]struct {
		share fairshare.Share
		err   error
	}{
		"error":              {fairshare.Share{}, down},
		"negative weight":    {fairshare.Share{Weight: -1}, nil},
		"huge weight":        {fairshare.Share{Weight: math.MaxInt64}, nil},
		"negative dedicated": {fairshare.Share{Dedicated: -1}, nil},
		"negative max":       {fairshare.Share{Max: -1}, nil},
		"negative wait":      {fairshare.Share{MaxWait: -1}, nil},
		"max too small":      {fairshare.Share{Dedicated: 2, Max: 1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := fairshare.New(4, func(context.Context, tenant.Tenant) (fairshare.Share, error) { return tt.share, tt.err })
			require.NoError(t, err)
			_, err = s.Acquire(as(t.Context(), "a"), 1)
			require.ErrorContains(t, err, `fairshare: the share of tenant "a": `)
			if tt.err != nil {
				require.ErrorIs(t, err, tt.err)
			}
			assert.Empty(t, s.Stats().Tenants)
		})
	}
}

func TestUnitsThatCannotBe(t *testing.T) {
	s := newTable(t, 10, table{"bounded": {Max: 3}, "rich": {Dedicated: 4}})
	require.NoError(t, s.Refresh(as(t.Context(), "rich")))
	for _, n := range []int64{0, -1} {
		_, err := s.Acquire(as(t.Context(), "a"), n)
		assert.ErrorContains(t, err, "want 1 unit or more")
	}
	for _, tt := range []struct {
		id    tenant.ID
		n     int64
		large bool
		atMax bool
	}{
		{"bounded", 3, false, false},
		{"bounded", 4, true, true},
		{"rich", 10, false, false},
		{"rich", 11, true, false},
		{"other", 6, false, false},
		{"other", 7, true, false},
		{"other", math.MaxInt64, true, false},
	} {
		hold, err := s.Acquire(as(t.Context(), tt.id), tt.n)
		if !tt.large {
			require.NoError(t, err, tt)
			hold.Release()
			continue
		}
		require.ErrorIs(t, err, fairshare.ErrTooLarge, tt)
		var refused *fairshare.Error
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, &fairshare.Error{Tenant: tt.id, Units: tt.n, AtMax: tt.atMax, Err: fairshare.ErrTooLarge}, refused)
	}
}

func TestQueueIsBounded(t *testing.T) {
	for _, tt := range []struct{ max, want int }{{0, fairshare.DefaultMaxQueue}, {3, 3}, {-1, 0}} {
		t.Run(fmt.Sprint(tt.max), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScheduler(t, 1, fairshare.Share{MaxQueue: tt.max})
				hold := must(t, s, "a", 1)
				ctx, cancel := context.WithCancel(as(t.Context(), "a"))
				for range tt.want {
					require.False(t, ask(ctx, s, 1).done())
				}
				_, err := s.Acquire(ctx, 1)
				require.ErrorIs(t, err, fairshare.ErrQueueFull)
				var refused *fairshare.Error
				require.ErrorAs(t, err, &refused)
				assert.Equal(t, tenant.ID("a"), refused.Tenant)
				assert.False(t, refused.AtMax)
				assert.Equal(t, time.Duration(tt.want+1)*usual, refused.RetryAfter, "in the time that is assumed at first")
				assert.Equal(t, tt.want, s.Stats().Tenants["a"].Waiting)
				if tt.want > 0 {
					require.False(t, ask(as(ctx, "b"), s, 1).done(), "others have their own queue")
				}
				cancel()
				synctest.Wait()
				hold.Release()
				stats := s.Stats()
				assert.Zero(t, stats.Held)
				assert.EqualValues(t, 1, stats.Refused)
			})
		})
	}
}

func TestWaitIsBounded(t *testing.T) {
	for _, tt := range []struct{ max, want time.Duration }{{0, fairshare.DefaultMaxWait}, {time.Second, time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			s := newScheduler(t, 1, fairshare.Share{MaxWait: tt.max})
			hold := must(t, s, "a", 1)
			start := time.Now()
			_, err := s.Acquire(as(t.Context(), "b"), 1)
			require.ErrorIs(t, err, fairshare.ErrDeadline)
			assert.Equal(t, tt.want, time.Since(start))
			var refused *fairshare.Error
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, &fairshare.Error{Tenant: "b", Units: 1, Waited: tt.want, RetryAfter: 2 * usual, Err: fairshare.ErrDeadline}, refused)
			assert.Contains(t, err.Error(), `tenant "b", 1 units, waited `+tt.want.String())
			hold.Release()
			must(t, s, "b", 1).Release()
		})
	}
}

func TestContextsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler(t, 1, fairshare.Share{})
		hold := must(t, s, "a", 1)
		ctx, cancel := context.WithTimeout(as(t.Context(), "b"), time.Second)
		defer cancel()
		_, err := s.Acquire(ctx, 1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		hold.Release()
		_, err = s.Acquire(ctx, 1)
		require.ErrorIs(t, err, context.DeadlineExceeded, "although there is a unit")
		assert.EqualValues(t, 1, s.Stats().Tenants["b"].Withdrawn)
	})
}

// Who gives up while it waits for many units is in nobody's way any more.
func TestBigRequestThatGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler(t, 4, fairshare.Share{})
		must(t, s, "a", 2)
		ctx, giveUp := context.WithCancel(as(t.Context(), "big"))
		big := ask(ctx, s, 3)
		small := ask(as(t.Context(), "small"), s, 1)
		assert.False(t, small.done(), "the units are kept for the first")
		_, err := s.TryAcquire(as(t.Context(), "other"), 1)
		require.ErrorIs(t, err, fairshare.ErrBusy)
		giveUp()
		synctest.Wait()
		assert.True(t, big.done() && small.done())
		assert.NoError(t, small.err())
	})
}

func TestMaxBoundsATenantAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler(t, 10, fairshare.Share{Max: 2, MaxQueue: 1})
		first := must(t, s, "a", 2)
		waiting := ask(as(t.Context(), "a"), s, 1)
		assert.False(t, waiting.done())
		assert.Zero(t, s.Stats().Contenders, "it waits for itself")
		_, err := s.Acquire(as(t.Context(), "a"), 1)
		require.ErrorIs(t, err, fairshare.ErrQueueFull)
		var refused *fairshare.Error
		require.ErrorAs(t, err, &refused)
		assert.True(t, refused.AtMax)
		must(t, s, "b", 2)
		first.Release()
		synctest.Wait()
		assert.True(t, waiting.done())
	})
}

func TestDedicatedUnits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable(t, 10, table{"rich": {Dedicated: 3, MaxWait: time.Hour}})
		require.NoError(t, s.Refresh(as(t.Context(), "rich")))
		must(t, s, "a", 7)
		others := []*request{ask(as(t.Context(), "a"), s, 1), ask(as(t.Context(), "b"), s, 2)}
		for range 5 {
			time.Sleep(time.Second)
			own := []*fairshare.Hold{must(t, s, "rich", 1), must(t, s, "rich", 2)}
			_, err := s.TryAcquire(as(t.Context(), "rich"), 1)
			require.ErrorIs(t, err, fairshare.ErrBusy, "a fourth is a shared one")
			own[0].Release()
			own[1].Release()
		}
		assert.False(t, others[0].done() || others[1].done())
		assert.EqualValues(t, 3, s.Stats().Dedicated)

		s.Forget("rich")
		synctest.Wait()
		assert.True(t, others[0].done() && others[1].done())
		assert.Zero(t, s.Stats().Dedicated)
		s.Forget("nobody")
	})
}

// Units dedicated while others use them are handed over as they come back, before anybody
// else gets any.
func TestDedicatedWhileInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable(t, 4, table{"rich": {Dedicated: 2}})
		var holds []*fairshare.Hold
		for range 4 {
			holds = append(holds, must(t, s, "a", 1))
		}
		other := ask(as(t.Context(), "b"), s, 1)
		rich := []*request{ask(as(t.Context(), "rich"), s, 1), ask(as(t.Context(), "rich"), s, 1)}
		for i := range rich {
			assert.False(t, rich[i].done())
			holds[i].Release()
			synctest.Wait()
			assert.True(t, rich[i].done())
		}
		assert.False(t, other.done())
		holds[2].Release()
		synctest.Wait()
		assert.True(t, other.done())
	})
}

func TestMoreDedicatedThanThereIs(t *testing.T) {
	shares := table{"a": {Dedicated: 3}, "b": {Dedicated: 2}, "c": {Dedicated: math.MaxInt64}}
	s := newTable(t, 4, shares)
	must(t, s, "a", 1)
	for _, id := range []tenant.ID{"b", "c"} {
		_, err := s.Acquire(as(t.Context(), id), 1)
		require.ErrorIs(t, err, fairshare.ErrOvercommitted)
	}
	require.ErrorIs(t, s.SetCapacity(2), fairshare.ErrOvercommitted)
	require.NoError(t, s.SetCapacity(5))
	must(t, s, "b", 2)
	assert.EqualValues(t, 5, s.Stats().Dedicated)
	shares["b"] = fairshare.Share{}
	require.NoError(t, s.Refresh(as(t.Context(), "b")))
	assert.EqualValues(t, 3, s.Stats().Dedicated)
}

func TestSetCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler(t, 2, fairshare.Share{})
		first, second := must(t, s, "a", 1), must(t, s, "a", 1)
		one, two := ask(as(t.Context(), "b"), s, 1), ask(as(t.Context(), "b"), s, 2)
		require.NoError(t, s.SetCapacity(1))
		first.Release()
		synctest.Wait()
		assert.False(t, one.done(), "one of one is held")
		second.Release()
		synctest.Wait()
		require.True(t, one.done())
		assert.False(t, two.done())
		one.hold().Release()
		synctest.Wait()
		require.ErrorIs(t, two.err(), fairshare.ErrTooLarge)
		require.NoError(t, s.SetCapacity(3))
		must(t, s, "b", 3)
		require.Error(t, s.SetCapacity(0))
	})
}

func TestSharesChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shares := table{"a": {Weight: 1, MaxQueue: 100}, "b": {Weight: 1, MaxQueue: 100}}
		s := newTable(t, 12, shares)
		loads := []load{{id: "a", workers: 20, hold: uneven}, {id: "b", workers: 20, hold: uneven}}
		assert.InDelta(t, 6, measure(t, s, loads...)["a"].units, 0.1)
		shares["a"] = fairshare.Share{Weight: 2, MaxQueue: 100}
		assert.InDelta(t, 8, measure(t, s, loads...)["a"].units, 0.1)
		shares["a"] = fairshare.Share{Weight: 2, Max: 3, MaxQueue: 100}
		assert.InDelta(t, 3, measure(t, s, loads...)["a"].units, 0.1)
	})
}

func TestReleaseOnce(t *testing.T) {
	s := newScheduler(t, 2, fairshare.Share{})
	a, b := must(t, s, "a", 1), must(t, s, "b", 1)
	a.Release()
	a.Release()
	assert.Equal(t, int64(1), s.Stats().Held)
	assert.Same(t, a, a.Until(t.Context()))
	again := must(t, s, "a", 1)
	a.Release()
	assert.Equal(t, int64(2), s.Stats().Held)
	again.Release()
	b.Release()
	var none *fairshare.Hold
	none.Release()
	none.Until(t.Context()).Release()
	new(fairshare.Hold).Release()
	assert.Zero(t, s.Stats().Held)
}

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler(t, 2, fairshare.Share{})
		first, endFirst := context.WithCancel(t.Context())
		second, endSecond := context.WithCancel(t.Context())
		defer endFirst()
		must(t, s, "a", 1).Until(first).Until(second)
		kept := must(t, s, "a", 1).Until(first)
		kept.Release()
		endSecond()
		synctest.Wait()
		assert.Zero(t, s.Stats().Held)
		must(t, s, "a", 2).Until(second)
		synctest.Wait()
		assert.Zero(t, s.Stats().Held, "the context had ended before")
	})
}

func TestTenantsThatAreIdleAreForgotten(t *testing.T) {
	s := newTable(t, 10, table{"rich": {Dedicated: 1}}, fairshare.WithIdle(3))
	must(t, s, "rich", 1).Release()
	held := must(t, s, "held", 1)
	for i := range 100 {
		must(t, s, tenant.ID(fmt.Sprintf("t%d", i)), 1).Release()
	}
	stats := s.Stats()
	assert.Len(t, stats.Tenants, 5)
	assert.Contains(t, stats.Tenants, tenant.ID("rich"))
	assert.Contains(t, stats.Tenants, tenant.ID("held"))
	assert.EqualValues(t, 102, stats.Granted)
	held.Release()
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler(t, 3, fairshare.Share{MaxQueue: 1})
		a := must(t, s, "a", 2)
		time.Sleep(time.Second)
		b := ask(as(t.Context(), "b"), s, 2)
		_, err := s.Acquire(as(t.Context(), "b"), 1)
		require.ErrorIs(t, err, fairshare.ErrQueueFull)
		time.Sleep(time.Second)
		assert.Equal(t, fairshare.Stats{
			Usage:      fairshare.Usage{Held: 2, Waiting: 1, Granted: 1, Refused: 1, UnitSeconds: 4},
			Capacity:   3,
			Contenders: 1,
			Tenants: map[tenant.ID]fairshare.Usage{
				"a": {Held: 2, Granted: 1, UnitSeconds: 4},
				"b": {Waiting: 1, Refused: 1},
			},
		}, s.Stats())
		a.Release()
		synctest.Wait()
		time.Sleep(2 * time.Second)
		b.hold().Release()
		assert.Equal(t, fairshare.Stats{
			Usage:       fairshare.Usage{Granted: 2, Refused: 1, Waited: time.Second, UnitSeconds: 8},
			Capacity:    3,
			TypicalHold: 2 * time.Second,
			Tenants: map[tenant.ID]fairshare.Usage{
				"a": {Granted: 1, UnitSeconds: 4},
				"b": {Granted: 1, Refused: 1, Waited: time.Second, UnitSeconds: 4},
			},
		}, s.Stats())
	})
}

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler(t, 3, patient, fairshare.WithPatience(time.Millisecond))
		must(t, s, "noisy", 2)
		noisy := func() *request { return ask(as(t.Context(), "noisy"), s, 1) }
		work := func(hold *fairshare.Hold) { time.Sleep(usual); hold.Release(); synctest.Wait() }

		work(must(t, s, "quiet", 1))
		quiet := must(t, s, "quiet", 1) // came back at once
		waiting := noisy()
		work(quiet)
		assert.False(t, waiting.done(), "the unit is kept for who came back soon")
		assert.EqualValues(t, 2, s.Stats().Held)
		time.Sleep(time.Millisecond / 2)
		work(must(t, s, "quiet", 1))
		assert.False(t, waiting.done())
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.True(t, waiting.done(), "who does not come back loses it")
		work(waiting.hold())

		time.Sleep(usual)
		quiet = must(t, s, "quiet", 1) // came back late
		waiting = noisy()
		work(quiet)
		require.True(t, waiting.done(), "nothing is kept for who comes late")
		work(waiting.hold())
		assert.EqualValues(t, 2, s.Stats().Held)
	})
}

// Many goroutines of many tenants come, give up and go; in the end all units are there.
func TestConcurrently(t *testing.T) {
	for name, opts := range map[string][]fairshare.Option{
		"": nil, "patient": {fairshare.WithPatience(50 * time.Microsecond)}, "forgetful": {fairshare.WithIdle(0)},
	} {
		t.Run(name, func(t *testing.T) {
			const capacity = 7
			s := newTable(t, capacity, table{"t0": {Dedicated: 2}, "t1": {Max: 2, Weight: 5}, "t2": {MaxQueue: 2}, "t3": {MaxWait: time.Microsecond}}, opts...)
			require.NoError(t, s.Refresh(as(t.Context(), "t0")))
			var (
				group sync.WaitGroup
				mu    sync.Mutex
				inUse int64
			)
			use := func(n int64) {
				mu.Lock()
				defer mu.Unlock()
				inUse += n
				assert.LessOrEqual(t, inUse, int64(capacity))
			}
			for i := range 30 {
				random := source(i, 7)
				id := tenant.ID(fmt.Sprintf("t%d", i%6))
				group.Go(func() {
					for range 150 {
						ctx, cancel := context.WithTimeout(as(t.Context(), id), time.Duration(random.Int64N(int64(time.Millisecond))))
						n := 1 + random.Int64N(2)
						hold, err := s.Acquire(ctx, n)
						if err == nil {
							use(n)
							time.Sleep(time.Duration(random.Int64N(int64(50 * time.Microsecond))))
							use(-n)
							go hold.Release()
							hold.Release()
						}
						cancel()
					}
				})
			}
			group.Go(func() {
				for i := range 100 {
					assert.NoError(t, s.SetCapacity(capacity-int64(i%3)))
					_ = s.Stats()
				}
				assert.NoError(t, s.SetCapacity(capacity))
			})
			group.Wait()
			time.Sleep(time.Millisecond) // for what is kept for those who come back
			stats := s.Stats()
			assert.Zero(t, stats.Held)
			assert.Zero(t, stats.Waiting)
			hold, err := s.TryAcquire(as(t.Context(), "t0"), capacity)
			require.NoError(t, err)
			hold.Release()
		})
	}
}
