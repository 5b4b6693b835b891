package benchmarks

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"math/rand/v2"
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
	all := *tenants
	*tenants = many
	defer func() { *tenants = all }()
	b.Cleanup(func() {
		for i := range many {
			_ = strategy.Deprovision(context.WithoutCancel(b.Context()), tenant.Tenant{ID: name(i)})
		}
	})
	provision(b, strategy)
	for b.Loop() {
		fmt.Printf("\n### %d connections, %d databases, %d workers\n\n", budget, many, workers)
		spread(b, strategy, admin, pg.Name)
		fmt.Printf("\n### A quiet tenant beside one with %d statements of 5 ms at a time, on %d connections\n\n", flooders, budget)
		flood(b, strategy, "no limit per tenant")
		flood(b, strategy, "MaxConnsPerTenant(10)", isolation.MaxConnsPerTenant(10))
	}
}

// spread runs the statements over all tenants, some of which are asked for more
// than others, and watches the connections at the server.
func spread(b *testing.B, strategy isolation.Strategy, admin driver.Connector, prefix string) {
	b.Helper()
	pool, err := isolation.New(strategy, isolation.MaxConns(budget))
	must(b, err)
	db := sql.OpenDB(pool)
	defer db.Close()
	most := watch(b, admin, prefix)

	all := contexts()
	var next, failures atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for w := range workers {
		wg.Go(func() {
			popular := rand.NewZipf(rand.New(rand.NewPCG(1, uint64(w))), 1.1, 1, many-1)
			for i := next.Add(1); i <= statements; i = next.Add(1) {
				var title string
				if err := db.QueryRowContext(all[popular.Uint64()], `SELECT title FROM items WHERE id = $1`, 1+i%10).Scan(&title); err != nil {
					failures.Add(1)
					b.Log(err)
				}
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	seen, stats := most(), pool.Stats()
	if n := failures.Load(); n > 0 {
		b.Fatalf("%d statements failed", n)
	}
	if seen > budget {
		b.Fatalf("%d connections at the server", seen)
	}
	fmt.Printf("%d statements over %d tenants in %s, no error; at most %d connections at the server. %d statements found a connection of their tenant, %d opened one.\n",
		statements, len(stats.Tenants), elapsed.Round(time.Millisecond), seen, stats.Hits, stats.Opened)
}

// watch counts the connections to tenants' databases at the server until the
// function that it returns is called, which tells the most there were.
func watch(b *testing.B, admin driver.Connector, prefix string) func() int {
	b.Helper()
	db := sql.OpenDB(admin)
	ctx, stop := context.WithCancel(b.Context())
	var most int
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			var n int
			err := db.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity WHERE starts_with(datname, $1) AND backend_type = 'client backend'`, prefix+"_").Scan(&n)
			if err == nil {
				most = max(most, n)
			}
		}
	})
	return func() int {
		stop()
		watching.Wait()
		_ = db.Close()
		return most
	}
}

// flood measures a quiet tenant alone, and while another keeps far more
// statements waiting than there are connections.
func flood(b *testing.B, strategy isolation.Strategy, label string, opts ...isolation.Option) {
	b.Helper()
	pool, err := isolation.New(strategy, append(opts, isolation.MaxConns(budget))...)
	must(b, err)
	db := sql.OpenDB(pool)
	defer db.Close()
	loud, quiet := contexts()[0], contexts()[1]
	ask := func(ctx context.Context) time.Duration {
		start := time.Now()
		if _, err := db.ExecContext(ctx, `SELECT pg_sleep(0.005)`); err != nil {
			b.Error(err)
		}
		return time.Since(start)
	}
	alone := measure(func() time.Duration { return ask(quiet) })
	before := pool.Stats().Tenants[name(1)]

	ctx, stop := context.WithCancel(b.Context())
	var flooding sync.WaitGroup
	var served atomic.Int64
	for range flooders {
		flooding.Go(func() {
			for ctx.Err() == nil {
				ask(loud)
				served.Add(1)
			}
		})
	}
	for served.Load() < flooders { // until all of them are at it
		ask(contexts()[2])
	}
	among := measure(func() time.Duration { return ask(quiet) })
	after := pool.Stats().Tenants[name(1)]
	stop()
	flooding.Wait()

	var wait time.Duration
	if n := after.Waits - before.Waits; n > 0 {
		wait = (after.WaitTime - before.WaitTime) / time.Duration(n)
	}
	fmt.Printf("- %s: alone %s; beside the flood %s. It waited in line %d of %d times, %s on average.\n",
		label, alone, among, after.Waits-before.Waits, measuredAsks, wait.Round(10*time.Microsecond))
}

// spreadOf is a distribution in two figures.
type spreadOf struct{ p50, p99 time.Duration }

func (s spreadOf) String() string {
	return fmt.Sprintf("p50 %s, p99 %s", s.p50.Round(10*time.Microsecond), s.p99.Round(10*time.Microsecond))
}

func measure(once func() time.Duration) spreadOf {
	times := make([]time.Duration, measuredAsks)
	for i := range times {
		times[i] = once()
	}
	slices.Sort(times)
	return spreadOf{times[len(times)/2], times[len(times)*99/100]}
}
