package route_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"testing/fstest"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/tenant"
)

// Free tenants share one disk, and paying ones have another; a tenant who pays is moved.
func ExampleNew() {
	dir, err := os.MkdirTemp("", "route")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := exampleNew(context.Background(), dir); err != nil {
		fmt.Println(err)
	}
	// Output:
	// acme lives in slow
	// with region "eu": route: outside the tenant's region: tenant acme belongs to "eu", cell slow to ""
	// acme lives in fast
}

func exampleNew(ctx context.Context, dir string) error {
	migrations := fstest.MapFS{ // an embed.FS, in an application
		"00001_homes.sql": {Data: []byte("-- +goose Up\nCREATE TABLE homes (name TEXT);\n")},
	}
	slow, err := sqlitefile.New(dir+"/slow", sqlitefile.Migrations(migrations))
	if err != nil {
		return err
	}
	defer func() { _ = slow.Close() }()
	fast, err := sqlitefile.New(dir+"/fast", sqlitefile.Migrations(migrations))
	if err != nil {
		return err
	}
	defer func() { _ = fast.Close() }()

	router, err := route.New([]route.Cell{
		{Name: "slow", Strategy: slow},
		{Name: "fast", Strategy: fast},
	}, route.ByPlan(map[string]string{"free": "slow", "pro": "fast"}), route.Record(route.NewMemoryStore()))
	if err != nil {
		return err
	}
	pool, err := isolation.New(router)
	if err != nil {
		return err
	}
	db := sql.OpenDB(pool)
	defer func() { _ = db.Close() }()

	acme := tenant.Tenant{ID: "acme", Plan: "free"}
	if err := router.Provision(ctx, acme); err != nil {
		return err
	}
	if _, err := db.ExecContext(tenant.NewContext(ctx, acme), "INSERT INTO homes VALUES ('slow')"); err != nil {
		return err
	}
	if err := exampleShow(ctx, db, acme); err != nil {
		return err
	}
	pinned := acme
	pinned.Region = "eu"
	fmt.Printf("with region %q: %v\n", pinned.Region, exampleShow(ctx, db, pinned))

	// Moving the data is package archive's affair; here is nothing but another home.
	placement, err := router.Placement(ctx, acme.ID)
	if err != nil {
		return err
	}
	placement.Cell = "fast"
	if _, err := router.Update(ctx, placement); err != nil {
		return err
	}
	if err := router.Provision(ctx, acme); err != nil {
		return err
	}
	if _, err := db.ExecContext(tenant.NewContext(ctx, acme), "INSERT INTO homes VALUES ('fast')"); err != nil {
		return err
	}
	return exampleShow(ctx, db, acme)
}

func exampleShow(ctx context.Context, db *sql.DB, t tenant.Tenant) error {
	var home string
	if err := db.QueryRowContext(tenant.NewContext(ctx, t), "SELECT name FROM homes").Scan(&home); err != nil {
		return err
	}
	fmt.Println(t.ID, "lives in", home)
	return nil
}
