package quota_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

const benchPlans = `{"version": 1, "plans": {
	"big": {"limits": {"requests": {"windows": {"minute": 1000000000000, "hour": 1000000000000000, "day": 1000000000000000}}}},
	"none": {"limits": {"requests": {"windows": {"minute": 0, "hour": 0, "day": 0}}}}
}}`

func benchAccount(b *testing.B, plan string) (context.Context, *quota.Account, quota.Ref) {
	b.Helper()
	catalog, err := quota.ParseCatalog([]byte(benchPlans))
	require.NoError(b, err)
	e, err := quota.New(quota.NewMemorySource(catalog))
	require.NoError(b, err)
	ctx := tenant.NewContext(b.Context(), tenant.Tenant{ID: "acme", Plan: plan})
	account, err := e.Account(ctx)
	require.NoError(b, err)
	return ctx, account, e.Ref("requests")
}

func BenchmarkTake(b *testing.B) {
	ctx, account, requests := benchAccount(b, "big")
	b.ReportAllocs()
	for b.Loop() {
		if !account.Take(ctx, requests, 1).OK {
			b.Fatal("refused")
		}
	}
}

func BenchmarkTakeParallel(b *testing.B) {
	ctx, account, requests := benchAccount(b, "big")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			account.Take(ctx, requests, 1)
		}
	})
}

func BenchmarkRefuse(b *testing.B) {
	ctx, account, requests := benchAccount(b, "none")
	b.ReportAllocs()
	for b.Loop() {
		if account.Take(ctx, requests, 1).OK {
			b.Fatal("let in")
		}
	}
}

func BenchmarkAccount(b *testing.B) {
	ctx, _, _ := benchAccount(b, "big")
	catalog, err := quota.ParseCatalog([]byte(benchPlans))
	require.NoError(b, err)
	e, err := quota.New(quota.NewMemorySource(catalog))
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = e.Account(ctx)
	}
}

func BenchmarkClaim(b *testing.B) {
	ctx, account, requests := benchAccount(b, "big")
	b.ReportAllocs()
	for b.Loop() {
		g, _ := account.Claim(ctx, quota.Claim{Limit: requests, N: 1})
		g.Done()
	}
}

func BenchmarkKeyed(b *testing.B) {
	for _, n := range []int{1, 10_000, 1_000_000} {
		limiter, err := quota.NewKeyedLimiter(quota.Limit{Windows: []quota.Window{
			{Per: quota.Minute, Limit: 1 << 50}, {Per: quota.Hour, Limit: 1 << 50}, {Per: quota.Day, Limit: 1 << 50},
		}})
		require.NoError(b, err)
		keys := make([]string, n)
		for i := range keys {
			keys[i] = fmt.Sprintf("tenant-%08d-0123456789abcdef01234567", i*7919%n)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for _, key := range keys {
			limiter.Take(key, 1)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if !limiter.Take(keys[i], 1).OK {
					b.Fatal("refused")
				}
				if i++; i == n {
					i = 0
				}
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/key")
		})
		runtime.KeepAlive(limiter)
	}
}
