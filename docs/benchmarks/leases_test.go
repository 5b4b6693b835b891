package benchmarks

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/tenancy-go/tenancy/internal/redistest"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/redisquota"
	"github.com/tenancy-go/tenancy/tenant"
)

// BenchmarkQuotaRedis decides where replicas share a Redis, for 1,000 tenants in turn:
// by one call of redis_rate per window, by our one call for three, and by leases of up to
// 100 units.
func BenchmarkQuotaRedis(b *testing.B) {
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(b).Addr(), ContextTimeoutEnabled: true, PoolSize: 64})
	b.Cleanup(func() { _ = client.Close() })
	store, err := redisquota.New(client)
	must(b, err)
	three := map[string]any{"minute": plenty, "hour": plenty, "day": plenty}
	catalog, err := quota.NewCatalog(quota.Document{"version": 1, "plans": map[string]any{"p": map[string]any{"limits": map[string]any{
		"exact":  map[string]any{"windows": three},
		"leased": map[string]any{"windows": three, "lease": 100},
	}}}})
	must(b, err)
	enforcer, err := quota.New(quota.NewMemorySource(catalog), quota.WithStore(store, 4),
		quota.WithStoreTimeout(time.Second), quota.WithLeasePatience(time.Second), quota.WithRefresh(time.Hour))
	must(b, err)

	ctx := context.Background() //nolint:usetesting // b.Context is slow
	const tenants = 1000
	accounts, keys := make([]*quota.Account, tenants), make([]string, tenants)
	for i := range accounts {
		id := tenant.ID(fmt.Sprintf("tenant-%d", i))
		accounts[i], err = enforcer.Account(tenant.NewContext(ctx, tenant.Tenant{ID: id, Plan: "p"}))
		must(b, err)
		keys[i] = string(id)
	}
	take := func(limit string) func(i int) bool {
		ref := enforcer.Ref(limit)
		return func(i int) bool {
			d := accounts[i%tenants].Take(ctx, ref, 1)
			return d.OK && !d.Degraded()
		}
	}
	rates := redis_rate.NewLimiter(client)
	limit := redis_rate.Limit{Rate: 1e9, Burst: 1e9, Period: time.Minute}
	allow := func(windows int) func(worker, i int) error {
		return func(worker, i int) error {
			for w := range windows {
				r, err := rates.Allow(ctx, fmt.Sprint(keys[(worker*7919+i)%tenants], w), limit)
				if err != nil {
					return err
				}
				if r.Allowed == 0 {
					return errRefused
				}
			}
			return nil
		}
	}
	exact := take("exact")
	contenders := []contender{
		{name: "redis_rate, 1 window", op: allow(1)},
		{name: "redis_rate, 3 windows", op: allow(3)},
		{name: "exact, 3 windows", op: func(worker, i int) error {
			if !exact(worker*7919 + i) {
				return errRefused
			}
			return nil
		}},
		batch("leases, 3 windows", take("leased")),
	}
	for b.Loop() {
		t := table{title: "Decisions of replicas that share a Redis, 1,000 tenants"}
		for _, workers := range []int{1, 16, 64} {
			t.add(fmt.Sprintf("%d goroutines", workers), compare(b, workers, contenders...))
		}
		t.print(b)
	}
	must(b, enforcer.Close(ctx))
}
