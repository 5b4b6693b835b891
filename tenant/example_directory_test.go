package tenant_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/tenant"
)

func ExampleDirectory() {
	ctx := context.Background()
	store := tenant.NewMemoryStore()
	acme, err := store.Create(ctx, tenant.Tenant{ID: "tenant-1", Slug: "acme", Name: "Acme", Status: tenant.StatusActive})
	if err != nil {
		fmt.Println(err)
		return
	}
	directory, err := tenant.NewDirectory(store)
	if err != nil {
		fmt.Println(err)
		return
	}

	found, _ := directory.Find(ctx, tenant.BySlug("acme")) // from the store
	fmt.Println(found.Name)
	found, _ = directory.Find(ctx, tenant.ByID("tenant-1")) // from memory
	fmt.Println(found.Name)

	acme.Slug = "acme-inc"
	_, _ = store.Update(ctx, acme)
	directory.Invalidate(acme.ID) // or run directory.Follow beside the server
	_, err = directory.Find(ctx, tenant.BySlug("acme"))
	fmt.Println(errors.Is(err, tenant.ErrNotFound))
	fmt.Println(directory.Stats().Loads)
	// Output:
	// Acme
	// Acme
	// true
	// 2
}
