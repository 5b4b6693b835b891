package schema_test

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/schema"
	"github.com/tenancy-go/tenancy/tenant"
)

var migrations fs.FS // files such as 00001_orders.sql

func Example() {
	serve := func(ctx context.Context, acme tenant.Tenant) error {
		app, err := postgres.NewConnector("postgres://app:secret@localhost/saas")
		if err != nil {
			return err
		}
		admin, err := postgres.NewConnector("postgres://operator:secret@localhost/saas")
		if err != nil {
			return err
		}
		strategy, err := schema.New(app, schema.Admin(admin), schema.Migrations(migrations))
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

func ExampleName() {
	name := schema.Name(func(id tenant.ID) string { return "shop_" + string(id) })
	connector, _ := postgres.NewConnector("postgres://app@localhost/saas")
	strategy, err := schema.New(connector, name)
	fmt.Println(err, strategy.TenantsPerConn())
	// Output: <nil> 250
}
