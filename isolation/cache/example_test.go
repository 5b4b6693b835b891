package cache_test

import (
	"context"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation/cache"
	"github.com/tenancy-go/tenancy/tenant"
)

func Example() {
	totals, err := cache.New[string, int](cache.PerTenant(100))
	if err != nil {
		fmt.Println(err)
		return
	}
	acme := tenant.NewContext(context.Background(), tenant.Tenant{ID: "acme"})
	globex := tenant.NewContext(context.Background(), tenant.Tenant{ID: "globex"})
	load := func(ctx context.Context) (int, error) {
		id, err := tenant.IDFromContext(ctx)
		fmt.Println("loading for", id)
		return len(id), err
	}
	for _, ctx := range []context.Context{acme, acme, globex} {
		total, err := totals.Load(ctx, "2026-11", load)
		fmt.Println(total, err)
	}
	_, err = totals.Load(context.Background(), "2026-11", load)
	fmt.Println(err)
	// Output:
	// loading for acme
	// 4 <nil>
	// 4 <nil>
	// loading for globex
	// 6 <nil>
	// cache: tenant: no tenant
}
