// Quickstart: two tenants behind one *sql.DB, each in a SQLite file of its own.
//
//	go run ./examples/quickstart
package main

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/tenant"
)

//go:embed migrations/*.sql
var files embed.FS

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "quickstart")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	migrations, err := fs.Sub(files, "migrations")
	if err != nil {
		return err
	}

	// Where tenants live. On PostgreSQL this is row.New, schema.New or database.New.
	strategy, err := sqlitefile.New(dir, sqlitefile.Migrations(migrations))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, strategy.Close()) }()
	pool, err := isolation.New(strategy)
	if err != nil {
		return err
	}
	db := sql.OpenDB(pool) // one ordinary *sql.DB for all tenants
	defer func() { err = errors.Join(err, db.Close()) }()

	acme := tenant.Tenant{ID: "acme", Slug: "acme", Name: "Acme", Status: tenant.StatusActive}
	globex := tenant.Tenant{ID: "globex", Slug: "globex", Name: "Globex", Status: tenant.StatusActive}
	if err := errors.Join(strategy.Provision(ctx, acme), strategy.Provision(ctx, globex)); err != nil {
		return err
	}

	// In a web application, tenant.Gate puts the tenant into each request's context.
	asAcme, asGlobex := tenant.NewContext(ctx, acme), tenant.NewContext(ctx, globex)
	return errors.Join(
		add(asAcme, db, "rockets"), add(asAcme, db, "anvils"), add(asGlobex, db, "lasers"),
		show(asAcme, db, out), show(asGlobex, db, out), show(ctx, db, out))
}

// add and show know nothing of tenants: the context decides whose notes they are.
func add(ctx context.Context, db *sql.DB, text string) error {
	_, err := db.ExecContext(ctx, `INSERT INTO notes (text) VALUES (?)`, text)
	return err
}

func show(ctx context.Context, db *sql.DB, out io.Writer) error {
	t, _ := tenant.FromContext(ctx) // for its name only
	rows, err := db.QueryContext(ctx, `SELECT id, text FROM notes`)
	if errors.Is(err, tenant.ErrNoTenant) {
		fmt.Fprintln(out, "refused:", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int
		var text string
		if err := rows.Scan(&id, &text); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s note %d: %s\n", t.Name, id, text)
	}
	return rows.Err()
}
