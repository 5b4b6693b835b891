package isolation_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// BenchmarkQuery is what the pool adds to a query: the fake server answers at once.
func BenchmarkQuery(b *testing.B) {
	direct := sql.OpenDB(connector{&server{}})
	b.Cleanup(func() { _ = direct.Close() })
	pooled, _ := open(b, &strategy{server: &server{}}, isolation.MaxConns(1))
	limited, _ := open(b, &limiter{strategy: &strategy{server: &server{}}}, isolation.MaxConns(1), isolation.LimitsBy(
		func(context.Context, tenant.Tenant) (isolation.Limits, error) {
			return isolation.Limits{StatementTimeout: time.Second, Connections: 5}, nil
		}))

	one := func(int) context.Context { return as(b.Context(), "a") }
	contexts := make([]context.Context, 100)
	for i := range contexts {
		contexts[i] = as(b.Context(), tenant.ID(fmt.Sprint("t", i)))
	}
	a := contexts[0]
	for _, c := range []struct {
		name string
		db   *sql.DB
		ctx  func(i int) context.Context
	}{
		{"direct", direct, func(int) context.Context { return a }},
		{"same tenant", pooled, func(int) context.Context { return a }},
		{"same tenant, limits", limited, func(int) context.Context { return a }},
		{"tenants alternate", pooled, func(i int) context.Context { return contexts[i%100] }},
		{"tenants alternate, limits", limited, func(i int) context.Context { return contexts[i%100] }},
		{"new context", pooled, one},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := who(c.ctx(i), c.db); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkParallel is the cost of the pool's lock with every goroutine at it.
func BenchmarkParallel(b *testing.B) {
	db, _ := open(b, &strategy{server: &server{}}, isolation.MaxConns(8))
	db.SetMaxIdleConns(16)
	ctx := as(b.Context(), "a")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := who(ctx, db); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
