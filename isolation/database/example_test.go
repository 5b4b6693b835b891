package database_test

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/tenant"
)

var migrations fs.FS // files such as 00001_orders.sql

func Example() {
	serve := func(ctx context.Context, acme tenant.Tenant) error {
		app, err := postgres.NewConnector("postgres://app:secret@localhost/postgres")
		if err != nil {
			return err
		}
		admin, err := postgres.NewConnector("postgres://operator:secret@localhost/postgres")
		if err != nil {
			return err
		}
		strategy, err := database.New(app, database.Admin(admin), database.Migrations(migrations))
		if err != nil {
			return err
		}
		if err := strategy.Provision(ctx, acme); err != nil {
			return err
		}
		pool, err := isolation.New(strategy)
		if err != nil {
			return err
		}
		db := sql.OpenDB(pool)
		_, err = db.ExecContext(tenant.NewContext(ctx, acme), `INSERT INTO orders (item) VALUES ($1)`, "tea")
		return err
	}
	_ = serve
}

func ExampleStrategy_Place() {
	app, _ := postgres.NewConnector("postgres://app@localhost:5432/postgres")
	strategy, _ := database.New(app, database.Prefix("shop_"))
	place, err := strategy.Place(context.Background(), tenant.Tenant{ID: "acme-eu"})
	fmt.Println(place.Key, err)
	// Output: database/app@localhost:5432/postgres/shop_acme_eu <nil>
}
