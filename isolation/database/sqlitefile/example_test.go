package sqlitefile_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"testing/fstest"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/tenant"
)

func ExampleNew() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	migrations := fstest.MapFS{ // an embed.FS, in an application
		"00001_notes.sql": {Data: []byte("-- +goose Up\nCREATE TABLE notes (text TEXT NOT NULL);\n")},
	}
	if err := exampleNew(context.Background(), dir, migrations); err != nil {
		fmt.Println(err)
	}
	// Output:
	// acme has 1
	// globex has 0
	// initech has none: true
}

func exampleNew(ctx context.Context, dir string, migrations fstest.MapFS) error {
	strategy, err := sqlitefile.New(dir, sqlitefile.Migrations(migrations))
	if err != nil {
		return err
	}
	defer func() { _ = strategy.Close() }()
	pool, err := isolation.New(strategy)
	if err != nil {
		return err
	}
	db := sql.OpenDB(pool)
	defer func() { _ = db.Close() }()

	for _, t := range []tenant.Tenant{{ID: "acme"}, {ID: "globex"}} {
		if err := strategy.Provision(ctx, t); err != nil {
			return err
		}
	}
	_, err = db.ExecContext(tenant.NewContext(ctx, tenant.Tenant{ID: "acme"}), `INSERT INTO notes VALUES ('hello')`)
	if err != nil {
		return err
	}
	for _, id := range []tenant.ID{"acme", "globex"} {
		var n int
		row := db.QueryRowContext(tenant.NewContext(ctx, tenant.Tenant{ID: id}), `SELECT count(*) FROM notes`)
		if err := row.Scan(&n); err != nil {
			return err
		}
		fmt.Println(id, "has", n)
	}
	err = db.PingContext(tenant.NewContext(ctx, tenant.Tenant{ID: "initech"}))
	fmt.Println("initech has none:", errors.Is(err, isolation.ErrNotProvisioned))
	return nil
}
