package tenant_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/tenant"
)

func ExampleStore() {
	ctx := context.Background()
	var store tenant.Store = tenant.NewMemoryStore()
	for _, name := range []string{"Acme", "Globex", "Initech"} {
		t := tenant.Tenant{ID: tenant.NewID(), Slug: tenant.FoldASCII(name), Name: name, Plan: "free"}
		if _, err := store.Create(ctx, t); err != nil {
			fmt.Println(err)
			return
		}
	}

	acme, _ := store.Find(ctx, tenant.BySlug("acme"))
	acme.Status = tenant.StatusActive
	_, err := store.Update(ctx, acme)
	fmt.Println(err)
	_, err = store.Update(ctx, acme) // once more, with the version of before
	fmt.Println(errors.Is(err, tenant.ErrConflict))

	// Page by page, two tenants each.
	query := tenant.Query{Plan: "free", Sort: tenant.SortName, Limit: 2}
	for {
		page, err := store.List(ctx, query)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, t := range page.Tenants {
			fmt.Println(t.Name, t.Status)
		}
		if page.Next == "" {
			return
		}
		query.Cursor = page.Next
	}
	// Output:
	// <nil>
	// true
	// Acme active
	// Globex provisioning
	// Initech provisioning
}
