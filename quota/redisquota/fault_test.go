package redisquota_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/redistest"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/redisquota"
)

func open(t testing.TB, client redis.UniversalClient, opts ...redisquota.Option) *redisquota.Store {
	t.Helper()
	store, err := redisquota.New(client, opts...)
	require.NoError(t, err)
	return store
}

// requests are 100 per hour, and 1000 per day.
var requests = quota.Counter{Limit: "requests", Terms: &quota.Terms{Kind: quota.Rate, Zone: time.UTC, Windows: []quota.Window{
	{Per: quota.Hour, Limit: 100, Roll: quota.Rolling}, {Per: quota.Day, Limit: 1000, Roll: quota.Calendar},
}}}

func taking(id string, n int64) quota.Taking {
	return quota.Taking{ID: id, Tenant: "acme", Holder: "process-1", TTL: time.Minute, Charges: []quota.Charge{{Counter: requests, N: n}}}
}

func used(t *testing.T, store quota.Store) int64 {
	t.Helper()
	levels, err := store.Read(t.Context(), "acme", []quota.Counter{requests})
	require.NoError(t, err)
	return levels[0].Windows[1].Used
}

func TestALostAnswerCountsOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := newProxy(t, server.Addr())
	direct := open(t, connect(t, server.Addr()))
	store := open(t, connect(t, p.addr()))

	p.lose.Store(1)
	taken, err := store.Take(t.Context(), taking("one", 5))
	require.NoError(t, err)
	assert.True(t, taken.OK)
	assert.EqualValues(t, 5, used(t, direct))

	p.lose.Store(2) // the second try, too: then there is no third
	p.calls.Store(0)
	_, err = store.Take(t.Context(), taking("two", 5))
	require.ErrorIs(t, err, quota.ErrUnavailable)
	assert.EqualValues(t, 2, p.calls.Load())
	assert.EqualValues(t, 10, used(t, direct))

	p.lose.Store(1)
	_, err = open(t, connect(t, p.addr()), redisquota.WithoutRetry()).Take(t.Context(), taking("three", 5))
	require.ErrorIs(t, err, quota.ErrUnavailable)
	taken, err = direct.Take(t.Context(), taking("three", 5))
	require.NoError(t, err)
	assert.EqualValues(t, 85, taken.Granted[0].Left, "the answer of the first time")
	assert.EqualValues(t, 15, used(t, direct))
}

func TestRetriesOfTheClientCountOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := newProxy(t, server.Addr())
	client := redis.NewClient(&redis.Options{Addr: p.addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	p.lose.Store(3)
	_, err := open(t, client).Take(t.Context(), taking("one", 5))
	require.NoError(t, err)
	assert.EqualValues(t, 5, used(t, open(t, connect(t, server.Addr()))))
}

func TestAKilledServerThatHadAnsweredCountsOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Persistent())
	p := newProxy(t, server.Addr())
	p.lost = func() {
		server.Kill()
		server.Restart()
	}
	p.lose.Store(1)
	taken, err := open(t, connect(t, p.addr())).Take(t.Context(), taking("one", 5))
	require.NoError(t, err)
	assert.EqualValues(t, 95, taken.Granted[0].Left)
	assert.EqualValues(t, 5, used(t, open(t, connect(t, server.Addr()))))
}

func TestAServerThatIsGoneIsUnavailable(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := open(t, connect(t, server.Addr()))
	server.Kill()
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		start := time.Now()
		for name, err := range callAll(ctx, store) {
			assert.ErrorIs(t, err, quota.ErrUnavailable, name)
		}
		assert.Less(t, time.Since(start), time.Second)
		cancel()
	}
	server.Restart()
	_, err := store.Take(t.Context(), taking("later", 1))
	assert.NoError(t, err)
}

// callAll returns the errors of all methods.
func callAll(ctx context.Context, store quota.Store) map[string]error {
	_, take := store.Take(ctx, taking("call", 1))
	if ctx.Err() != nil { // the others would send nothing
		return map[string]error{"take": take}
	}
	_, read := store.Read(ctx, "acme", []quota.Counter{requests})
	streams := quota.Counter{Limit: "streams", Terms: &quota.Terms{Kind: quota.Concurrent, Max: 1, Zone: time.UTC}}
	renew := store.Renew(ctx, "process-1", time.Minute, []quota.Held{{Tenant: "acme", Counter: streams, N: 1}})
	return map[string]error{"take": take, "read": read, "renew": renew}
}

func TestAServerThatHangsHoldsNobodyBeyondTheDeadline(t *testing.T) {
	t.Parallel()
	single, cluster := redistest.Start(t), redistest.StartCluster(t, 3)
	stores := map[string]quota.Store{"single": open(t, connect(t, single.Addr())), "cluster": open(t, connectCluster(t, cluster))}
	for _, store := range stores {
		_, err := store.Take(t.Context(), taking("before", 1))
		require.NoError(t, err)
	}
	for _, server := range append(cluster.Servers, single) {
		server.Pause()
		defer server.Resume()
	}
	for name, store := range stores {
		for method, call := range map[string]func(ctx context.Context) error{
			"take":  func(ctx context.Context) error { return callAll(ctx, store)["take"] },
			"fresh": func(ctx context.Context) error { return callAll(ctx, open(t, connect(t, single.Addr())))["take"] },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			start := time.Now()
			err := call(ctx)
			took := time.Since(start)
			cancel()
			require.ErrorIs(t, err, quota.ErrUnavailable, "%s %s", name, method)
			assert.Less(t, took, time.Second, "%s %s", name, method)
		}
	}
}

func TestScriptsAreLoadedAgain(t *testing.T) {
	t.Parallel()
	for name, client := range map[string]redis.UniversalClient{
		"single": connect(t, redistest.Start(t).Addr()), "cluster": connectCluster(t, redistest.StartCluster(t, 3)),
	} {
		store := open(t, client)
		for range 2 {
			require.NoError(t, client.ScriptFlush(t.Context()).Err(), name)
			for method, err := range callAll(t.Context(), store) {
				require.NoError(t, err, "%s %s", name, method)
			}
		}
		assert.EqualValues(t, 1, used(t, store))
	}
}
