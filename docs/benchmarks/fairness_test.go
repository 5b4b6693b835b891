package benchmarks

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database"
	"github.com/tenancy-go/tenancy/tenant"
)

// The plan of BenchmarkBudget: more tenants and workers than connections.
const (
	budget       = 20
	many         = 300
	workers      = 64
	statements   = 20_000
	flooders     = 60
	measuredAsks = 200
)

// BenchmarkBudget shows that a pool of 20 connections serves 300 databases without
// an error and without a 21st connection at the server, and how long a quiet
// tenant waits while another floods.
func BenchmarkBudget(b *testing.B) {
	pg := pgtest.Open(b)
	runtime, admin := role(b, pg)
	strategy, err := database.New(runtime, database.Admin(admin), database.Prefix(pg.Name+"_"), database.Migrations(migrations(fmt.Sprintf(ownTable, 10))))
	must(b, err)
	*tenants = many
	b.Cleanup(func() {
		for i := range many {
			_ = strategy.Deprovision(context.WithoutCancel(b.Context()), tenant.Tenant{ID: name(i)})
		}
	})
	provision(b, strategy)
	pool, err := isolation.New(strategy, isolation.MaxConns(budget))
	must(b, err)
	db := sql.OpenDB(pool)
	defer db.Close()
	watcher := sql.OpenDB(admin)
	defer watcher.Close()

	for b.Loop() {
		most, elapsed := spread(b, db, watcher, pg.Name)
		stats := pool.Stats()
		fmt.Printf("\n### %d connections, %d databases, %d workers\n\n", budget, many, workers)
		fmt.Printf("%d statements in %s, no error; at most %d connections at the server; %d connections opened, %d evicted, %d reused.\n",
			statements, elapsed.Round(time.Millisecond), most, stats.Opened, stats.Evictions, stats.Hits)
		flood(b, db)
	}
}

// spread runs the statements over all tenants and returns the most connections
// that the server saw, and the time.
func spread(b *testing.B, db, watcher *sql.DB, prefix string) (int, time.Duration) {
	b.Helper()
	all := contexts()
	var most atomic.Int64
	ctx, stop := context.WithCancel(b.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			var n int64
			err := watcher.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity WHERE starts_with(datname, $1) AND backend_type = 'client backend'`, prefix+"_").Scan(&n)
			if err == nil {
				most.Store(max(most.Load(), n))
			}
		}
	})
	var next atomic.Int64
	var failures atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range workers {
		wg.Go(func() {
			for i := next.Add(1); i <= statements; i = next.Add(1) {
				var title string
				if err := db.QueryRowContext(all[int(i)*31%many], `SELECT title FROM items WHERE id = $1`, 1+i%10).Scan(&title); err != nil {
					failures.Add(1)
					b.Log(err)
				}
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	stop()
	watching.Wait()
	if n := failures.Load(); n > 0 {
		b.Fatalf("%d statements failed", n)
	}
	if n := most.Load(); n > budget {
		b.Fatalf("%d connections at the server", n)
	}
	return int(most.Load()), elapsed
}

// flood measures what a quiet tenant waits, alone and while another keeps far
// more statements waiting than there are connections. Each statement holds its
// connection for 5 ms.
func flood(b *testing.B, db *sql.DB) {
	b.Helper()
	all := contexts()
	ask := func(ctx context.Context) time.Duration {
		start := time.Now()
		if _, err := db.ExecContext(ctx, `SELECT pg_sleep(0.005)`); err != nil {
			b.Error(err)
		}
		return time.Since(start)
	}
	quiet := func() []time.Duration {
		times := make([]time.Duration, measuredAsks)
		for i := range times {
			times[i] = ask(all[1])
		}
		return slices.Sorted(slices.Values(times))
	}
	alone := quiet()
	ctx, stop := context.WithCancel(b.Context())
	var flooding sync.WaitGroup
	var served atomic.Int64
	for range flooders {
		flooding.Go(func() {
			for ctx.Err() == nil {
				ask(all[0])
				served.Add(1)
			}
		})
	}
	for served.Load() < flooders { // until all of them are at it
		ask(all[2])
	}
	among := quiet()
	stop()
	flooding.Wait()
	fmt.Printf("A statement of 5 ms: alone p50 %s, p99 %s; beside a tenant with %d statements at a time on %d connections p50 %s, p99 %s.\n",
		alone[len(alone)/2].Round(10*time.Microsecond), alone[len(alone)*99/100].Round(10*time.Microsecond), flooders, budget,
		among[len(among)/2].Round(10*time.Microsecond), among[len(among)*99/100].Round(10*time.Microsecond))
}
