package sqlquota_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/sqlquota"
	"github.com/tenancy-go/tenancy/tenant"
)

// threeWindows is what requests are usually held to.
func threeWindows() quota.Counter {
	return rate("requests",
		quota.Window{Per: quota.Minute, Limit: 1e9, Roll: quota.Rolling},
		quota.Window{Per: quota.Hour, Limit: 1e9, Roll: quota.Strict},
		quota.Window{Per: quota.Month, Limit: 1e9, Roll: quota.Calendar})
}

// benchmark takes a unit at a time, of so many tenants in turn.
func benchmark(b *testing.B, store *sqlquota.Store, tenants int64) {
	b.Helper()
	c := threeWindows()
	var next atomic.Int64
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := tenant.ID(fmt.Sprintf("t-%d", next.Add(1)%tenants))
			taken, err := store.Take(b.Context(), taking(id, quota.Charge{Counter: c, N: 1}))
			if err != nil || !taken.OK {
				b.Errorf("%+v, %v", taken, err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
}

func BenchmarkTake(b *testing.B) {
	for _, name := range []string{"postgres", "sqlite"} {
		for _, tenants := range []int64{1, 1000} {
			b.Run(fmt.Sprintf("%s/tenants=%d", name, tenants), func(b *testing.B) {
				p := places[name](b)
				db := p.open(b)
				db.SetMaxOpenConns(16)
				db.SetMaxIdleConns(16)
				benchmark(b, newStore(b, db, p.dialect), tenants)
			})
		}
	}
}

// BenchmarkTakeAlone is one request at a time: what a decision costs.
func BenchmarkTakeAlone(b *testing.B) {
	for _, name := range []string{"postgres", "sqlite"} {
		b.Run(name, func(b *testing.B) {
			store, c := places[name](b).store(b), threeWindows()
			for b.Loop() {
				_, err := store.Take(b.Context(), taking("acme", quota.Charge{Counter: c, N: 1}))
				require.NoError(b, err)
			}
		})
	}
}
