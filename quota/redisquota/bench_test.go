package redisquota_test

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/redistest"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// three is a counter of three windows.
var three = quota.Counter{Limit: "requests", Terms: &quota.Terms{Kind: quota.Rate, Zone: time.UTC, Windows: []quota.Window{
	{Per: quota.Minute, Limit: 1 << 40, Roll: quota.Rolling},
	{Per: quota.Hour, Limit: 1 << 40, Roll: quota.Rolling},
	{Per: quota.Day, Limit: 1 << 40, Roll: quota.Calendar},
}}}

func BenchmarkTake(b *testing.B) {
	for _, goroutines := range []int{1, 64} {
		b.Run(fmt.Sprintf("windows=3/goroutines=%d", goroutines), func(b *testing.B) {
			client := redis.NewClient(&redis.Options{Addr: redistest.Start(b).Addr(), ContextTimeoutEnabled: true, PoolSize: 64})
			b.Cleanup(func() { _ = client.Close() })
			store := open(b, client)
			var serial atomic.Int64
			take := func() {
				n := serial.Add(1)
				request := quota.Taking{
					ID: strconv.FormatInt(n, 36), Tenant: tenant.ID("tenant-" + strconv.FormatInt(n%1000, 10)), Holder: "process-1",
					TTL: time.Minute, Charges: []quota.Charge{{Counter: three, N: 1}},
				}
				if taken, err := store.Take(context.Background(), request); err != nil || !taken.OK { //nolint:usetesting // b.Context is slow
					b.Error(taken, err)
				}
			}
			b.ReportAllocs()
			b.SetParallelism(max(1, goroutines/2))
			b.ResetTimer()
			if goroutines == 1 {
				for range b.N {
					take()
				}
			} else {
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						take()
					}
				})
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
		})
	}
}

// TestMemoryOfACounter holds the figures that the package comment gives.
func TestMemoryOfACounter(t *testing.T) {
	t.Parallel()
	client := connect(t, redistest.Start(t).Addr())
	store := open(t, client)
	strict := quota.Counter{Limit: "requests", Key: "strict", Terms: &quota.Terms{Kind: quota.Rate, Zone: time.UTC, Windows: []quota.Window{{Per: quota.Hour, Limit: 100, Roll: quota.Strict}}}}
	streams := quota.Counter{Limit: "requests", Terms: &quota.Terms{Kind: quota.Concurrent, Max: 100, Zone: time.UTC}}
	bytes := map[string]int64{}
	for name, c := range map[string]quota.Counter{"three": three, "strict": strict, "held": streams} {
		request := taking(name, 1)
		request.Charges[0].Counter = c
		_, err := store.Take(t.Context(), request)
		require.NoError(t, err)
	}
	for name, key := range map[string]string{
		"three": "rate:8:requests:", "strict": "rate:8:requests:strict", "held": "held:8:requests:", "answer": "answer:three",
	} {
		n, err := client.MemoryUsage(t.Context(), "tenancy:quota:{acme}:"+key).Result()
		require.NoError(t, err)
		bytes[name] = n
	}
	t.Log(bytes)
	for name, n := range bytes {
		assert.Less(t, n, int64(400), name)
	}
}
