package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/isolation/route/sqlstore"
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
	acme, err := store.Create(ctx, route.Placement{Tenant: "acme", Cell: "eu-shared", Region: "eu", State: route.Placed})
	fmt.Println(acme.Cell, acme.Version, err)
	acme.Cell = "eu-own"
	moved, err := store.Update(ctx, acme)
	fmt.Println(moved.Cell, moved.Version, err)
	_, err = store.Update(ctx, acme) // at the version before
	fmt.Println(errors.Is(err, route.ErrConflict))
	// Output:
	// eu-shared 1 <nil>
	// eu-own 2 <nil>
	// true
}
