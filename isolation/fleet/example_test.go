package fleet_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing/fstest"

	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/isolation/fleet"
	"github.com/tenancy-go/tenancy/tenant"
)

func Example() {
	if err := example(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// acme: version 1 to 2
	// globex: version 1 to 2
	// 2 migrated, 0 failed, 0 remaining; 0 current, 0 ahead, 0 quarantined, 0 without a home
	// 0 migrated, 0 failed, 0 remaining; 2 current, 0 ahead, 0 quarantined, 0 without a home
}

func example(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "fleet")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	// Two tenants, as the release before has made them.
	files := fstest.MapFS{"00001_orders.sql": {Data: []byte("-- +goose Up\nCREATE TABLE orders (item TEXT);\n")}}
	strategy, err := sqlitefile.New(filepath.Join(dir, "homes"), sqlitefile.Migrations(files))
	if err != nil {
		return err
	}
	defer strategy.Close()
	tenants := []tenant.Tenant{{ID: "acme"}, {ID: "globex"}}
	for _, t := range tenants {
		if err := strategy.Provision(ctx, t); err != nil {
			return err
		}
	}

	// This release has one more migration.
	files["00002_total.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nALTER TABLE orders ADD COLUMN total INTEGER;\n")}
	migrations, err := fleet.Load(files)
	if err != nil {
		return err
	}
	control, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "control.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer control.Close()
	ledger, err := fleet.NewLedger(control, fleet.OnSQLite)
	if err != nil {
		return err
	}
	if err := ledger.Migrate(ctx); err != nil {
		return err
	}
	f, err := fleet.New(strategy, ledger, migrations, fleet.Progress(func(e fleet.Event) {
		if done, ok := e.(fleet.HomeDone); ok {
			fmt.Printf("%s: version %d to %d\n", done.Tenant, done.From, done.To)
		}
	}))
	if err != nil {
		return err
	}
	for range 2 {
		report, err := f.Run(ctx, fleet.These(tenants...))
		if err != nil {
			return err
		}
		fmt.Println(report)
	}
	return nil
}
