package redisquota_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/redistest"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/redisquota"
	"github.com/tenancy-go/tenancy/tenant"
)

// lifetimes returns when each key expires, by what the key is.
func lifetimes(t *testing.T, client *redis.Client) map[string]time.Duration {
	t.Helper()
	keys, err := client.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	found := make(map[string]time.Duration)
	for _, key := range keys {
		ttl, err := client.PTTL(t.Context(), key).Result()
		require.NoError(t, err)
		_, what, ok := strings.Cut(key, "{acme}:")
		require.True(t, ok, key)
		found[strings.SplitN(what, ":", 2)[0]] = ttl
	}
	return found
}

func TestAllButStockExpires(t *testing.T) {
	t.Parallel()
	client := connect(t, redistest.Start(t).Addr())
	store := open(t, client)
	hour := quota.Counter{Limit: "requests", Terms: &quota.Terms{Kind: quota.Rate, Zone: time.UTC, Windows: []quota.Window{{Per: quota.Hour, Limit: 9, Roll: quota.Rolling}}}}
	streams := quota.Counter{Limit: "streams", Terms: &quota.Terms{Kind: quota.Concurrent, Max: 9, Zone: time.UTC}}
	storage := quota.Counter{Limit: "storage", Terms: &quota.Terms{Kind: quota.Stock, Max: 9, Zone: time.UTC}}
	request := taking("one", 1)
	request.Charges = []quota.Charge{{Counter: hour, N: 1}, {Counter: streams, N: 1}, {Counter: storage, N: 1}}
	_, err := store.Take(t.Context(), request)
	require.NoError(t, err)

	got := lifetimes(t, client)
	assert.Len(t, got, 4)
	assert.InDelta(t, time.Minute, got["answer"], float64(5*time.Second))
	assert.InDelta(t, time.Minute, got["held"], float64(5*time.Second))
	assert.InDelta(t, time.Minute, got["stock"], float64(5*time.Second), "nothing is kept yet")
	assert.InDelta(t, 90*time.Minute, got["rate"], float64(30*time.Minute+time.Second), "until the hour after this one ends")

	request.ID, request.Charges = "two", nil
	request.Returns = []quota.Return{{Counter: storage, N: 1, Kept: 1}, {Counter: streams, N: 1}}
	_, err = store.Take(t.Context(), request)
	require.NoError(t, err)
	got = lifetimes(t, client)
	assert.EqualValues(t, -1, got["stock"], "what is kept never expires")
	assert.NotContains(t, got, "held", "nothing is held")

	request.ID, request.Returns = "three", []quota.Return{{Counter: storage, Kept: -1}}
	_, err = store.Take(t.Context(), request)
	require.NoError(t, err)
	assert.NotContains(t, lifetimes(t, client), "stock", "nothing is kept")
}

func TestRatesAreGoneWhenTheyCountForNothing(t *testing.T) {
	t.Parallel()
	client := connect(t, redistest.Start(t).Addr())
	store := open(t, client)
	second := quota.Counter{Limit: "requests", Terms: &quota.Terms{Kind: quota.Rate, Zone: time.UTC, Burst: 5, Windows: []quota.Window{
		{Per: quota.Second, Limit: 9, Roll: quota.Rolling}, {Per: quota.Every(time.Second), Limit: 9, Roll: quota.Strict},
	}}}
	request := taking("one", 1)
	request.Charges = []quota.Charge{{Counter: second, N: 5}}
	taken, err := store.Take(t.Context(), request)
	require.NoError(t, err)
	require.True(t, taken.OK)
	assert.Contains(t, lifetimes(t, client), "rate")
	assert.Eventually(t, func() bool {
		_, found := lifetimes(t, client)["rate"]
		return !found
	}, 3*time.Second, 20*time.Millisecond)
	levels, err := store.Read(t.Context(), "acme", []quota.Counter{second})
	require.NoError(t, err)
	assert.Zero(t, levels[0].Windows[0].Used)
}

func TestWindowsThatRollLiveLonger(t *testing.T) {
	t.Parallel()
	client := connect(t, redistest.Start(t).Addr())
	now := time.Date(2026, 9, 30, 12, 50, 0, 0, time.UTC)
	store := open(t, client, redisquota.WithClock(func() time.Time { return now }))
	hour := quota.Counter{Limit: "requests", Terms: &quota.Terms{Kind: quota.Rate, Zone: time.UTC, Windows: []quota.Window{{Per: quota.Hour, Limit: 9, Roll: quota.Rolling}}}}
	for id, want := range []time.Duration{70 * time.Minute, 115 * time.Minute} { // to two o'clock, and to three
		request := taking(fmt.Sprint(id), 1)
		request.Charges[0].Counter = hour
		_, err := store.Take(t.Context(), request)
		require.NoError(t, err)
		assert.InDelta(t, want, lifetimes(t, client)["rate"], float64(10*time.Second))
		now = now.Add(15 * time.Minute)
	}
}

func TestKeysOfATenantHaveItsSlot(t *testing.T) {
	t.Parallel()
	client := connect(t, redistest.Start(t).Addr())
	store := open(t, client)
	odd := []string{"x", "{globex}", "}{", "}:{globex}:rate", "1:x", "x:", ":x", "rate:1:x", "a\r\nb"}
	for i, limit := range odd {
		for j, key := range odd {
			request := taking(fmt.Sprint(i, "-", j), 1)
			request.Charges[0].Limit, request.Charges[0].Key = limit, key
			request.Charges[0].N = 100
			taken, err := store.Take(t.Context(), request)
			require.NoError(t, err)
			assert.True(t, taken.OK, "%q %q", limit, key)
		}
	}
	keys, err := client.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	for _, key := range keys {
		assert.True(t, strings.HasPrefix(key, "tenancy:quota:{acme}:"), key) // Redis hashes what the first braces hold
	}
	assert.Len(t, keys, 2*len(odd)*len(odd))
}

func TestTenantsTogether(t *testing.T) {
	t.Parallel()
	client := connectCluster(t, redistest.StartCluster(t, 3))
	store := open(t, client)
	var wg sync.WaitGroup
	granted := make(map[tenant.ID]int)
	var mu sync.Mutex
	for i := range 8 {
		wg.Go(func() {
			for n := range 40 {
				request := taking(fmt.Sprint(i, "-", n), 1)
				request.Tenant = []tenant.ID{"acme", "globex"}[i%2]
				taken, err := store.Take(context.WithoutCancel(t.Context()), request)
				assert.NoError(t, err)
				if taken.OK {
					mu.Lock()
					granted[request.Tenant]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, map[tenant.ID]int{"acme": 100, "globex": 100}, granted)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	heeds := redis.NewClient(&redis.Options{ContextTimeoutEnabled: true})
	deaf := redis.NewClient(&redis.Options{})
	deafCluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	for name, open := range map[string]func() (*redisquota.Store, error){
		"nil":             func() (*redisquota.Store, error) { return redisquota.New(nil) },
		"a deaf client":   func() (*redisquota.Store, error) { return redisquota.New(deaf) },
		"a deaf cluster":  func() (*redisquota.Store, error) { return redisquota.New(deafCluster) },
		"a brace":         func() (*redisquota.Store, error) { return redisquota.New(heeds, redisquota.WithPrefix("a{b")) },
		"an empty prefix": func() (*redisquota.Store, error) { return redisquota.New(heeds, redisquota.WithPrefix("")) },
	} {
		_, err := open()
		assert.ErrorIs(t, err, quota.ErrInvalid, name)
	}
}

func TestAnswersExpire(t *testing.T) {
	t.Parallel()
	client := connect(t, redistest.Start(t).Addr())
	store := open(t, client)
	take := func(id string, remember time.Duration, forget string) {
		request := taking(id, 1)
		request.Remember, request.Forget = remember, forget
		_, err := store.Take(t.Context(), request)
		require.NoError(t, err)
	}
	lasts := func(id string) time.Duration {
		ttl, err := client.PTTL(t.Context(), "tenancy:quota:{acme}:answer:"+id).Result()
		require.NoError(t, err)
		return ttl
	}
	take("one", 24*time.Hour, "")
	assert.InDelta(t, 24*time.Hour, lasts("one"), float64(5*time.Second))
	take("two", 24*time.Hour, "one")
	assert.InDelta(t, 24*time.Hour, lasts("two"), float64(5*time.Second))
	assert.InDelta(t, time.Minute, lasts("one"), float64(5*time.Second))
	take("three", 0, "nothing")
	assert.InDelta(t, time.Minute, lasts("three"), float64(5*time.Second))
}
