package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tenancy-go/tenancy/tenant"
	"github.com/tenancy-go/tenancy/tenant/sqlstore"
)

func Example() {
	ctx := context.Background()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // each connection to :memory: is a database of its own

	store, err := sqlstore.New(db, sqlstore.SQLite)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := store.Migrate(ctx); err != nil {
		fmt.Println(err)
		return
	}
	acme, err := store.Create(ctx, tenant.Tenant{ID: "tenant-1", Slug: "acme", Name: "Acme", Domains: []string{"acme.example.org"}})
	fmt.Println(acme.Status, acme.Version, err)
	found, err := store.Find(ctx, tenant.ByDomain("acme.example.org"))
	fmt.Println(found.Name, err)
	// Output:
	// provisioning 1 <nil>
	// Acme <nil>
}
