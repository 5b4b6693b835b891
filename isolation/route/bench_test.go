package route_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/tenant"
)

// BenchmarkPlace is what the router adds to a statement that finds its placement in
// memory.
func BenchmarkPlace(b *testing.B) {
	f := newFixture(b)
	byRule, err := route.New(f.cells(), byRegionAndPlan)
	require.NoError(b, err)
	tenants := make([]tenant.Tenant, 100)
	for i := range tenants {
		tenants[i] = tenant.Tenant{ID: tenant.ID(fmt.Sprintf("tenant-%d", i)), Region: "eu", Plan: []string{"free", "pro"}[i%2]}
		require.NoError(b, f.Provision(b.Context(), tenants[i]))
	}
	for _, c := range []struct {
		name     string
		strategy isolation.Strategy
	}{{"strategy alone", f.shared}, {"by rule", byRule}, {"by record", f.Router}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := c.strategy.Place(b.Context(), tenants[i%100]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkQuery is a whole query of the pool, with a router before the strategy and
// without.
func BenchmarkQuery(b *testing.B) {
	f := newFixture(b)
	require.NoError(b, f.Provision(b.Context(), acme))
	pool, err := isolation.New(f.shared)
	require.NoError(b, err)
	alone := sql.OpenDB(pool)
	b.Cleanup(func() { require.NoError(b, alone.Close()) })
	ctx := tenant.NewContext(b.Context(), acme)
	for _, c := range []struct {
		name string
		db   *sql.DB
	}{{"strategy alone", alone}, {"router", f.db}} {
		b.Run(c.name, func(b *testing.B) { query(b, ctx, c.db) })
	}
}

func query(b *testing.B, ctx context.Context, db *sql.DB) { //nolint:revive // b first, as in testing
	b.ReportAllocs()
	for b.Loop() {
		if _, err := whoOn(ctx, db); err != nil {
			b.Fatal(err)
		}
	}
}
