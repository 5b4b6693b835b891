package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/isolation/envelope/sqlstore"
	"github.com/tenancy-go/tenancy/tenant"
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
	provider, err := envelope.NewKeyring("2026-11", map[string][]byte{"2026-11": make([]byte, 32)}) // never zeros: see envelope.CreateKeyFile
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, err := envelope.New(provider, store)
	if err != nil {
		fmt.Println(err)
		return
	}
	acme := tenant.NewContext(ctx, tenant.Tenant{ID: "acme"})
	fmt.Println(keys.Ensure(acme, envelope.Fields, envelope.Indexes))
	fmt.Println(keys.WrappingKeys(tenant.System(ctx, "example")))
	// Output:
	// <nil>
	// map[2026-11:2] <nil>
}
