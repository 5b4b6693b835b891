package cache_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/cache"
	"github.com/tenancy-go/tenancy/tenant"
)

func as(ctx context.Context, id tenant.ID) context.Context {
	return tenant.NewContext(ctx, tenant.Tenant{ID: id})
}

func newCache[V any](t testing.TB, opts ...cache.Option) *cache.Cache[string, V] {
	t.Helper()
	c, err := cache.New[string, V](opts...)
	require.NoError(t, err)
	return c
}

// holds wants ctx's tenant to have exactly value under key; "" is nothing.
func holds(t *testing.T, ctx context.Context, c *cache.Cache[string, string], key, value string) { //nolint:revive // t first, as in testify
	t.Helper()
	got, ok, err := c.Get(ctx, key)
	require.NoError(t, err)
	assert.Equal(t, value != "", ok)
	assert.Equal(t, value, got)
}

func TestTenantsShareNothing(t *testing.T) {
	c := newCache[string](t)
	a, b := as(t.Context(), "a"), as(t.Context(), "b")
	require.NoError(t, c.Set(a, "k", "of a"))
	holds(t, b, c, "k", "")
	require.NoError(t, c.Set(b, "k", "of b"))
	holds(t, a, c, "k", "of a")
	holds(t, b, c, "k", "of b")
	require.NoError(t, c.Remove(b, "k"))
	holds(t, a, c, "k", "of a")
	holds(t, b, c, "k", "")
	require.NoError(t, c.Set(b, "k", "of b"))
	assert.Equal(t, map[cache.Key[string]]string{{"a", "k"}: "of a", {"b", "k"}: "of b"}, maps.Collect(c.All()))
	require.NoError(t, c.Purge(a))
	holds(t, a, c, "k", "")
	holds(t, b, c, "k", "of b")
	c.PurgeTenant("b")
	c.PurgeTenant("nobody")
	assert.Empty(t, maps.Collect(c.All()))
	assert.Empty(t, c.Stats().Tenants)
}

func TestNoTenantIsRefused(t *testing.T) {
	c := newCache[string](t)
	for _, ctx := range []context.Context{t.Context(), tenant.System(t.Context(), "test")} {
		_, _, err := c.Get(ctx, "k")
		require.ErrorIs(t, err, tenant.ErrNoTenant)
		require.ErrorIs(t, c.Set(ctx, "k", "v"), tenant.ErrNoTenant)
		require.ErrorIs(t, c.Remove(ctx, "k"), tenant.ErrNoTenant)
		require.ErrorIs(t, c.Purge(ctx), tenant.ErrNoTenant)
		_, err = c.Load(ctx, "k", func(context.Context) (string, error) {
			t.Error("loaded without a tenant")
			return "", nil
		})
		require.ErrorIs(t, err, tenant.ErrNoTenant)
	}
	assert.Zero(t, c.Stats().Misses)
}

func TestOwnBudget(t *testing.T) {
	c := newCache[string](t, cache.PerTenant(2))
	a, b := as(t.Context(), "a"), as(t.Context(), "b")
	require.NoError(t, c.Set(b, "1", "b1"))
	for _, k := range []string{"1", "2"} {
		require.NoError(t, c.Set(a, k, "a"+k))
	}
	holds(t, a, c, "1", "a1") // used, so 2 goes
	require.NoError(t, c.Set(a, "3", "a3"))
	holds(t, a, c, "1", "a1")
	holds(t, a, c, "2", "")
	holds(t, a, c, "3", "a3")
	holds(t, b, c, "1", "b1")
	stats := c.Stats()
	assert.Equal(t, cache.TenantStats{Hits: 3, Misses: 1, Evictions: 1, Entries: 2}, stats.Tenants["a"])
	assert.Equal(t, cache.TenantStats{Hits: 1, Entries: 1}, stats.Tenants["b"])
	assert.Equal(t, 3, stats.Entries)
}

// Whatever the others do, who holds no more than a fair share loses nothing.
func TestBoundOverAllIsFair(t *testing.T) {
	const all = 60
	c := newCache[string](t, cache.PerTenant(50), cache.MaxEntries(all))
	quiet := as(t.Context(), "quiet")
	for i := range 10 { // of six tenants' 60: exactly a share
		require.NoError(t, c.Set(quiet, fmt.Sprint(i), "v"))
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // not for secrets
	for range 5000 {
		noisy := as(t.Context(), tenant.ID(fmt.Sprintf("noisy-%d", random.IntN(5))))
		require.NoError(t, c.Set(noisy, fmt.Sprint(random.IntN(1000)), "v"))
		require.LessOrEqual(t, c.Stats().Entries, all)
	}
	for i := range 10 {
		holds(t, quiet, c, fmt.Sprint(i), "v")
	}
	stats := c.Stats()
	assert.Zero(t, stats.Tenants["quiet"].Evictions)
	for i := range 5 {
		assert.InDelta(t, 10, stats.Tenants[tenant.ID(fmt.Sprintf("noisy-%d", i))].Entries, 1)
	}
}

// More tenants than there is room for: the one that was quiet the longest makes way.
func TestMoreTenantsThanRoom(t *testing.T) {
	c := newCache[string](t, cache.MaxEntries(3))
	for i := range 10 {
		require.NoError(t, c.Set(as(t.Context(), tenant.ID(fmt.Sprint(i))), "k", "v"))
	}
	stats := c.Stats()
	assert.Equal(t, 3, stats.Entries)
	assert.Len(t, stats.Tenants, 3)
	for _, id := range []tenant.ID{"7", "8", "9"} {
		assert.Contains(t, stats.Tenants, id)
	}
	assert.EqualValues(t, 7, stats.Evictions)
}

func TestTTL(t *testing.T) {
	now := time.Unix(1000, 0)
	c := newCache[string](t, cache.TTL(time.Minute), cache.Clock(func() time.Time { return now }))
	a := as(t.Context(), "a")
	require.NoError(t, c.Set(a, "k", "v"))
	now = now.Add(time.Minute - 1)
	holds(t, a, c, "k", "v")
	now = now.Add(1)
	assert.Empty(t, maps.Collect(c.All()))
	holds(t, a, c, "k", "")
	assert.Zero(t, c.Stats().Entries)
}

func TestLoadOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache[string](t)
		var loads atomic.Int64
		release := make(chan struct{})
		load := func(ctx context.Context) (string, error) {
			loads.Add(1)
			id, err := tenant.IDFromContext(ctx)
			<-release
			return "of " + string(id), err
		}
		var group sync.WaitGroup
		for i := range 20 {
			id := tenant.ID([]string{"a", "b"}[i%2])
			group.Go(func() {
				got, err := c.Load(as(t.Context(), id), "k", load)
				assert.NoError(t, err)
				assert.Equal(t, "of "+string(id), got)
			})
		}
		synctest.Wait()
		assert.EqualValues(t, 2, loads.Load(), "once for each tenant")
		close(release)
		group.Wait()
		holds(t, as(t.Context(), "a"), c, "k", "of a")
		assert.EqualValues(t, 2, c.Stats().Loads)
	})
}

func TestOneWhoGivesUpHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache[string](t)
		release := make(chan struct{})
		load := func(ctx context.Context) (string, error) {
			select {
			case <-release:
				return "v", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
		first, giveUp := context.WithCancel(as(t.Context(), "a"))
		gone := make(chan error)
		go func() { _, err := c.Load(first, "k", load); gone <- err }()
		synctest.Wait()
		other := make(chan string)
		go func() {
			got, err := c.Load(as(t.Context(), "a"), "k", load)
			assert.NoError(t, err)
			other <- got
		}()
		synctest.Wait()
		giveUp()
		require.ErrorIs(t, <-gone, context.Canceled)
		close(release)
		assert.Equal(t, "v", <-other)
	})
}

func TestWhenAllGiveUpTheLoadEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache[string](t, cache.ErrorTTL(time.Hour))
		ended := make(chan struct{})
		ctx, giveUp := context.WithCancel(as(t.Context(), "a"))
		gone := make(chan error)
		go func() {
			_, err := c.Load(ctx, "k", func(ctx context.Context) (string, error) {
				<-ctx.Done()
				close(ended)
				return "", ctx.Err()
			})
			gone <- err
		}()
		synctest.Wait()
		giveUp()
		require.ErrorIs(t, <-gone, context.Canceled)
		<-ended
		got, err := c.Load(as(t.Context(), "a"), "k", func(context.Context) (string, error) { return "v", nil })
		require.NoError(t, err)
		assert.Equal(t, "v", got)
	})
}

func TestLoaderThatPanics(t *testing.T) {
	c := newCache[string](t)
	a := as(t.Context(), "a")
	_, err := c.Load(a, "k", func(context.Context) (string, error) { panic("nil map") })
	require.ErrorIs(t, err, cache.ErrPanic)
	require.ErrorContains(t, err, "nil map")
	_, err = c.Load(a, "k", func(context.Context) (string, error) { runtime.Goexit(); return "", nil })
	require.ErrorIs(t, err, cache.ErrPanic)
	got, err := c.Load(a, "k", func(context.Context) (string, error) { return "v", nil })
	require.NoError(t, err)
	assert.Equal(t, "v", got)
}

func TestErrorsAreKeptOnDemandOnly(t *testing.T) {
	down := errors.New("down")
	for _, tt := range []struct {
		name  string
		opts  []cache.Option
		loads int
	}{
		{"not kept", nil, 3},
		{"kept", []cache.Option{cache.ErrorTTL(time.Minute)}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Unix(1000, 0)
			c := newCache[string](t, append(tt.opts, cache.Clock(func() time.Time { return now }))...)
			a, loads := as(t.Context(), "a"), 0
			fail := func(context.Context) (string, error) { loads++; return "", down }
			for range 3 {
				_, err := c.Load(a, "k", fail)
				require.ErrorIs(t, err, down)
			}
			assert.Equal(t, tt.loads, loads)
			holds(t, a, c, "k", "")
			assert.Empty(t, maps.Collect(c.All()))
			now = now.Add(time.Minute)
			got, err := c.Load(a, "k", func(context.Context) (string, error) { return "v", nil })
			require.NoError(t, err)
			assert.Equal(t, "v", got)
		})
	}
}

// What was loading when its key changed is not kept.
func TestLoadsFromBeforeAChange(t *testing.T) {
	for name, change := range map[string]func(ctx context.Context, c *cache.Cache[string, string]) error{
		"set":          func(ctx context.Context, c *cache.Cache[string, string]) error { return c.Set(ctx, "k", "new") },
		"remove":       func(ctx context.Context, c *cache.Cache[string, string]) error { return c.Remove(ctx, "k") },
		"purge":        func(ctx context.Context, c *cache.Cache[string, string]) error { return c.Purge(ctx) },
		"purge tenant": func(_ context.Context, c *cache.Cache[string, string]) error { c.PurgeTenant("a"); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache[string](t)
			a := as(t.Context(), "a")
			started, release, done := make(chan struct{}), make(chan struct{}), make(chan string)
			go func() {
				got, err := c.Load(a, "k", func(context.Context) (string, error) {
					close(started)
					<-release
					return "old", nil
				})
				assert.NoError(t, err)
				done <- got
			}()
			<-started
			require.NoError(t, change(a, c))
			close(release)
			assert.Equal(t, "old", <-done)
			got, err := c.Load(a, "k", func(context.Context) (string, error) { return "new", nil })
			require.NoError(t, err)
			assert.Equal(t, "new", got)
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	c := newCache[string](t, cache.PerTenant(5), cache.MaxEntries(12), cache.TTL(time.Millisecond))
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 0)) //nolint:gosec // not for secrets
			for range 2000 {
				id := tenant.ID(fmt.Sprint(random.IntN(4)))
				ctx, key := as(t.Context(), id), fmt.Sprint(random.IntN(8))
				var got string
				var err error
				switch random.IntN(6) {
				case 0:
					err = c.Set(ctx, key, string(id))
				case 1:
					err = c.Remove(ctx, key)
				case 2:
					c.PurgeTenant(id)
				case 3:
					got, _, err = c.Get(ctx, key)
				default:
					got, err = c.Load(ctx, key, func(context.Context) (string, error) { return string(id), nil })
				}
				assert.NoError(t, err)
				assert.Contains(t, []string{"", string(id)}, got)
			}
		})
	}
	group.Wait()
	stats, sum := c.Stats(), 0
	for _, of := range stats.Tenants {
		sum += of.Entries
		assert.LessOrEqual(t, of.Entries, 5)
	}
	assert.Equal(t, stats.Entries, sum)
	assert.LessOrEqual(t, sum, 12)
}

func TestNewRefuses(t *testing.T) {
	for _, opt := range []cache.Option{cache.PerTenant(0), cache.MaxEntries(0), cache.TTL(-1), cache.ErrorTTL(-1), cache.Clock(nil)} {
		_, err := cache.New[string, string](opt)
		require.Error(t, err)
	}
}

func TestHitsDoNotAllocate(t *testing.T) {
	c := newCache[string](t)
	a := as(t.Context(), "a")
	require.NoError(t, c.Set(a, "k", "v"))
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _, _ = c.Get(a, "k") }))
}
