package redisquota_test

import (
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

const failoverPlans = `{"version": 1, "plans": {
	"exact": {"limits": {
		"requests": {"windows": {"24h": 500}, "outage": "close"}, "streams": {"kind": "concurrent", "max": 30}
	}},
	"leased": {"limits": {
		"requests": {"windows": {"24h": 500}, "outage": "close", "lease": 20}, "streams": {"kind": "concurrent", "max": 30, "lease": 5}
	}}
}}`

// TestFailover kills a master whose last writes the replica has not seen, and lets a
// Sentinel put the replica in its place. No more is admitted beyond the limit than what was
// written in between, and what is held is known again.
func TestFailover(t *testing.T) {
	t.Parallel()
	for _, plan := range []string{"exact", "leased"} {
		t.Run(plan, func(t *testing.T) {
			t.Parallel()
			servers := redistest.StartReplicated(t)
			client := redis.NewFailoverClient(&redis.FailoverOptions{
				MasterName: redistest.MasterName, SentinelAddrs: []string{servers.Sentinel.Addr()}, ContextTimeoutEnabled: true,
			})
			t.Cleanup(func() { _ = client.Close() })
			store, err := redisquota.New(client)
			require.NoError(t, err)
			failover(t, servers, client, store, plan)
		})
	}
}

func failover(t *testing.T, servers *redistest.Replicated, client *redis.Client, store quota.Store, plan string) {
	t.Helper()
	catalog, err := quota.ParseCatalog([]byte(failoverPlans))
	require.NoError(t, err)
	e, err := quota.New(quota.NewMemorySource(catalog), quota.WithStore(store, 1), quota.WithStoreTTL(2*time.Second),
		quota.WithStoreTimeout(time.Second), quota.WithLeasePatience(time.Second))
	require.NoError(t, err)
	account, err := e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme", Plan: plan}))
	require.NoError(t, err)
	take := func() quota.Decision { return account.Take(t.Context(), e.Ref("requests"), 1) }
	hold := func(n int) (grants []*quota.Grant) {
		for range n {
			g, d := account.Claim(t.Context(), quota.Claim{Limit: e.Ref("streams"), N: 1})
			require.NoError(t, d.Err())
			grants = append(grants, g)
		}
		return grants
	}
	requests := quota.Counter{Limit: "requests", Terms: &quota.Terms{Kind: quota.Rate, Windows: []quota.Window{{Per: quota.Day, Limit: 500, Roll: quota.Rolling}}, Zone: time.UTC}}
	counted := func() int64 {
		levels, err := store.Read(t.Context(), "acme", []quota.Counter{requests})
		require.NoError(t, err)
		return levels[0].Windows[0].Used
	}

	grants, admitted := hold(10), int64(0)
	for range 100 {
		require.NoError(t, take().Err())
		admitted++
	}
	require.Eventually(t, func() bool { return client.Wait(t.Context(), 1, time.Second).Val() == 1 }, 10*time.Second, time.Millisecond)
	before := counted()
	servers.Replica.Pause()
	require.NoError(t, client.ClientKillByFilter(t.Context(), "TYPE", "replica").Err()) // or it would read on, from the socket
	grants = append(grants, hold(10)...)
	for range 50 {
		require.NoError(t, take().Err())
		admitted++
	}
	lost := counted() - before
	servers.Master.Kill()
	servers.Replica.Resume()
	require.Eventually(t, func() bool {
		if take().OK {
			admitted++
		}
		_, err := store.Read(t.Context(), "acme", []quota.Counter{requests})
		return err == nil
	}, 30*time.Second, 20*time.Millisecond)
	for until := time.Now().Add(3 * time.Second); time.Now().Before(until); { // for longer than a refusal is believed
		if take().OK {
			admitted++
		}
	}
	t.Logf("%d of 500 were admitted; %d were written that the replica did not see", admitted, lost)
	assert.Greater(t, lost, int64(30), "less what was ahead")
	assert.Greater(t, admitted, int64(500), "what the replica did not see is forgotten")
	assert.LessOrEqual(t, admitted, 500+lost)

	streams := quota.Counter{Limit: "streams", Terms: &quota.Terms{Kind: quota.Concurrent, Max: 30, Zone: time.UTC}}
	held := func() int64 {
		levels, err := store.Read(t.Context(), "acme", []quota.Counter{streams})
		require.NoError(t, err)
		return levels[0].Used
	}
	assert.GreaterOrEqual(t, held(), int64(20), "who holds has said so again")
	for _, g := range grants {
		g.Done()
	}
	require.NoError(t, e.Close(t.Context()))
	assert.Zero(t, held())
}
