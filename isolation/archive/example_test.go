package archive_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"testing/fstest"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/archive"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/tenant"
)

// A tenant is exported, and restored under another ID.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	migrations := fstest.MapFS{ // an embed.FS, in an application
		"00001_notes.sql": {Data: []byte("-- +goose Up\nCREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);\n")},
	}
	if err := example(context.Background(), dir, migrations); err != nil {
		fmt.Println(err)
	}
	// Output:
	// loaded 2
	// acme has 2 rows in notes
	// acme-test has 2 rows in notes
}

func example(ctx context.Context, dir string, migrations fstest.MapFS) error {
	strategy, err := sqlitefile.New(dir, sqlitefile.Migrations(migrations))
	if err != nil {
		return err
	}
	defer func() { _ = strategy.Close() }()
	acme := tenant.Tenant{ID: "acme"}
	if err := strategy.Provision(ctx, acme); err != nil {
		return err
	}
	if err := loadNotes(tenant.NewContext(ctx, acme), strategy); err != nil {
		return err
	}

	archiver, err := archive.New(strategy, archive.Tables("notes"))
	if err != nil {
		return err
	}
	defer func() { _ = archiver.Close() }()
	var file bytes.Buffer
	manifest, err := archiver.Export(ctx, acme, &file)
	if err != nil {
		return err
	}
	fmt.Println(manifest.Tenant, "has", manifest.Tables[0].Rows, "rows in", manifest.Tables[0].Name)

	trial := tenant.Tenant{ID: "acme-test"}
	if _, err := archiver.Restore(ctx, trial, &file, archive.AsClone()); err != nil {
		return err
	}
	if manifest, err = archiver.Export(ctx, trial, &file); err != nil {
		return err
	}
	fmt.Println(manifest.Tenant, "has", manifest.Tables[0].Rows, "rows in", manifest.Tables[0].Name)
	return nil
}

// loadNotes inserts many rows with few statements.
func loadNotes(ctx context.Context, strategy isolation.Strategy) error {
	pool, err := isolation.New(strategy)
	if err != nil {
		return err
	}
	db := sql.OpenDB(pool)
	defer func() { _ = db.Close() }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	rows := slices.Values([][]any{{1, "hello"}, {2, "world"}})
	n, err := archive.Load(ctx, tx, "notes", []string{"id", "text"}, rows)
	if err != nil {
		return err
	}
	fmt.Println("loaded", n)
	return tx.Commit()
}
