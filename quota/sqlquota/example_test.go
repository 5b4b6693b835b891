package sqlquota_test

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/sqlquota"
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

	store, err := sqlquota.New(db, sqlquota.SQLite)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := store.Migrate(ctx); err != nil {
		fmt.Println(err)
		return
	}
	seats := quota.Counter{Limit: "seats", Terms: &quota.Terms{Kind: quota.Stock, Max: 5, Zone: time.UTC}}
	for i, n := range []int64{3, 3} {
		taken, err := store.Take(ctx, quota.Taking{
			ID: fmt.Sprintf("request-%d", i), Tenant: "acme", Holder: "process-1", TTL: time.Minute,
			Charges: []quota.Charge{{Counter: seats, N: n}},
		})
		fmt.Println(taken.OK, taken.Cause, err)
	}
	levels, err := store.Read(ctx, "acme", []quota.Counter{seats})
	fmt.Println(levels[0].Used, err)
	// Output:
	// true none <nil>
	// false no room left <nil>
	// 3 <nil>
}

func ExampleSource() {
	ctx := context.Background()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)

	source, err := sqlquota.NewSource(db, sqlquota.SQLite)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := source.Migrate(ctx); err != nil {
		fmt.Println(err)
		return
	}
	document, err := quota.ParseDocument([]byte(`{"version": 1, "default": "free", "plans": {"free": {"title": "Free"}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(source.SetCatalog(ctx, document))
	fmt.Println(source.SetCatalog(ctx, document))
	catalog, err := source.Catalog(ctx)
	fmt.Println(catalog.Version(), err)
	// Output:
	// <nil>
	// quota: invalid: version: want more than 1, the version there is, got 1
	// 1 <nil>
}
