package stocktake_test

import (
	"context"
	"fmt"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/stocktake"
	"github.com/tenancy-go/tenancy/tenant"
)

// A platform measures its tenants and holds them to their plans. Here the sizes are made
// up; where tenants are isolated by one of this module's strategies, it is
// strategy.Size.
func Example() {
	catalog, err := quota.ParseCatalog([]byte(`{"version": 1, "default": "free", "plans": {
		"free": {"limits": {"db_size": {"kind": "stock", "max": "1KiB"}}}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	enforcer, err := quota.New(quota.NewMemorySource(catalog))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, store := context.Background(), tenant.NewMemoryStore()
	acme, err := store.Create(ctx, tenant.Tenant{ID: "acme", Slug: "acme", Name: "Acme", Status: tenant.StatusActive})
	if err != nil {
		fmt.Println(err)
		return
	}
	size := func(context.Context, tenant.Tenant) (int64, error) { return 1000, nil }
	collector, err := stocktake.New(enforcer, store, "db_size", size)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer collector.Close()
	if _, err := collector.Round(ctx); err != nil { // collector.Run(ctx) does so every hour
		fmt.Println(err)
		return
	}

	ctx = tenant.NewContext(ctx, acme)
	account, err := enforcer.Account(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, decision := account.Claim(ctx, quota.Claim{Limit: enforcer.Ref("db_size"), N: 100})
	fmt.Println(decision.Err())
	// Output:
	// quota: limit exceeded: db_size
}
