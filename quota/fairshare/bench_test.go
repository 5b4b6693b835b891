package fairshare_test

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenancy-go/tenancy/quota/fairshare"
	"github.com/tenancy-go/tenancy/tenant"
)

// BenchmarkAcquire is Acquire and Release: by one goroutine, and by one or more for each of
// many tenants, which wait for the lock alone where there are units for all, and else in
// their queues, too.
func BenchmarkAcquire(b *testing.B) {
	share := fairshare.Share{MaxQueue: math.MaxInt32, MaxWait: time.Hour}
	b.Run("alone", func(b *testing.B) {
		s := newScheduler(b, 1, share)
		ctx := as(b.Context(), "a")
		b.ReportAllocs()
		for b.Loop() {
			hold, err := s.Acquire(ctx, 1)
			if err != nil {
				b.Fatal(err)
			}
			hold.Release()
		}
	})
	for _, tt := range []struct {
		name     string
		capacity int64
		tenants  int
	}{
		{"units for all", 1 << 20, 100},
		{"contended by 100 tenants", 4, 100},
		{"contended by 10000 tenants", 4, 10_000},
	} {
		b.Run(tt.name, func(b *testing.B) {
			s := newScheduler(b, tt.capacity, share)
			contexts := make([]context.Context, tt.tenants)
			for i := range contexts {
				contexts[i] = as(b.Context(), tenant.ID(fmt.Sprintf("tenant-%d", i)))
			}
			var next atomic.Int64
			b.SetParallelism(tt.tenants)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				ctx := contexts[int(next.Add(1))%tt.tenants]
				for pb.Next() {
					hold, err := s.Acquire(ctx, 1)
					if err != nil {
						b.Error(err)
						return
					}
					hold.Release()
				}
			})
		})
	}
}
