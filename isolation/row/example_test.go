package row_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/tenant"
)

// The SQL that Install runs for a table, to keep in migrations of one's own.
func ExampleTable_SQL() {
	ddl, err := row.Table{Schema: "app", Name: "orders", Role: "app_runtime"}.SQL()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(ddl)
	// Output:
	// ALTER TABLE "app"."orders" ALTER COLUMN tenant_id SET DEFAULT tenancy.current_tenant();
	// DROP POLICY IF EXISTS tenancy_allow ON "app"."orders";
	// CREATE POLICY tenancy_allow ON "app"."orders" AS PERMISSIVE FOR ALL TO PUBLIC USING (tenant_id = (SELECT tenancy.current_tenant())) WITH CHECK (tenant_id = (SELECT tenancy.current_tenant()));
	// DROP POLICY IF EXISTS tenancy_only ON "app"."orders";
	// CREATE POLICY tenancy_only ON "app"."orders" AS RESTRICTIVE FOR ALL TO PUBLIC USING (tenant_id = (SELECT tenancy.current_tenant())) WITH CHECK (tenant_id = (SELECT tenancy.current_tenant()));
	// ALTER TABLE "app"."orders" ENABLE ROW LEVEL SECURITY;
	// ALTER TABLE "app"."orders" FORCE ROW LEVEL SECURITY;
	// REVOKE ALL ON "app"."orders" FROM PUBLIC, "app_runtime";
	// GRANT SELECT, INSERT, UPDATE, DELETE ON "app"."orders" TO "app_runtime";
	// GRANT USAGE ON SCHEMA "app" TO "app_runtime";
}

// Whoever wants each hole by itself, takes the error apart.
func ExampleUnsafeError() {
	var err error = &row.UnsafeError{Findings: []row.Finding{
		{Object: "public.orders", Problem: "row security is off", Remedy: "call Install"},
	}}
	var unsafe *row.UnsafeError
	if errors.As(err, &unsafe) {
		for _, finding := range unsafe.Findings {
			fmt.Println(finding)
		}
	}
	fmt.Println(errors.Is(err, isolation.ErrUnsafe))
	// Output:
	// public.orders: row security is off; to mend it: call Install
	// true
}

// A key prints as its ID alone. Its bytes come from crypto/rand, once, and are kept as
// passwords are.
func ExampleNewKey() {
	secret := []byte("32 or more bytes of crypto/rand's")
	key, err := row.NewKey("2026-11", secret)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(key)
	connector, err := postgres.NewConnector("postgres://app_runtime@localhost/saas")
	if err != nil {
		fmt.Println(err)
		return
	}
	strategy, err := row.New(connector, row.Signed(key))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strategy.RenewAfter())
	// Output:
	// key 2026-11
	// 6m40s
}

func Example() {
	serve := func(ctx context.Context) error {
		runtime, err := postgres.NewConnector("postgres://app_runtime@localhost/saas")
		if err != nil {
			return err
		}
		strategy, err := row.New(runtime, row.Tables("orders", "app.items"))
		if err != nil {
			return err
		}
		if err := strategy.Verify(ctx); err != nil {
			return err // lists each hole, and how to mend it
		}
		pool, err := isolation.New(strategy)
		if err != nil {
			return err
		}
		db := sql.OpenDB(pool)
		defer db.Close()
		var total int
		ctx = tenant.NewContext(ctx, tenant.Tenant{ID: "acme"})
		return db.QueryRowContext(ctx, `SELECT count(*) FROM orders`).Scan(&total) // acme's
	}
	_ = serve
}
