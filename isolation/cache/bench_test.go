package cache_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/cache"
	"github.com/tenancy-go/tenancy/tenant"
)

// BenchmarkGet is a hit beside one of a bare LRU, whose caller would still have to make a
// key of tenant and name.
func BenchmarkGet(b *testing.B) {
	bare, err := lru.New[cache.Key[string], string](100_000)
	require.NoError(b, err)
	ours, timed := newCache[string](b), newCache[string](b, cache.TTL(time.Hour))
	contexts := make([]context.Context, 100)
	keys := make([]string, 100)
	for i := range contexts {
		contexts[i] = as(b.Context(), tenant.ID(fmt.Sprintf("tenant-%d", i)))
		keys[i] = fmt.Sprintf("key-%d", i)
	}
	for _, ctx := range contexts {
		id, err := tenant.IDFromContext(ctx)
		require.NoError(b, err)
		for _, key := range keys {
			bare.Add(cache.Key[string]{Tenant: id, Key: key}, "value")
			require.NoError(b, ours.Set(ctx, key, "value"))
			require.NoError(b, timed.Set(ctx, key, "value"))
		}
	}
	b.Run("golang-lru", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			id, _ := tenant.IDFromContext(contexts[i%100])
			if _, ok := bare.Get(cache.Key[string]{Tenant: id, Key: keys[i/100%100]}); !ok {
				b.Fatal("missed")
			}
		}
	})
	for name, c := range map[string]*cache.Cache[string, string]{"ours": ours, "ours with TTL": timed} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, ok, _ := c.Get(contexts[i%100], keys[i/100%100]); !ok {
					b.Fatal("missed")
				}
			}
		})
	}
}

// BenchmarkSet pushes out a value each time.
func BenchmarkSet(b *testing.B) {
	c := newCache[int](b, cache.PerTenant(10), cache.MaxEntries(500))
	contexts := make([]context.Context, 100)
	for i := range contexts {
		contexts[i] = as(b.Context(), tenant.ID(fmt.Sprintf("tenant-%d", i)))
	}
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprintf("key-%d", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := c.Set(contexts[i%100], keys[i%1000], i); err != nil {
			b.Fatal(err)
		}
	}
}
