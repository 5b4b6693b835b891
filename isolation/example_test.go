package isolation_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"testing/fstest"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/tenant"
)

// Two tenants run the same statements on one *sql.DB. Here each has a SQLite file;
// with another strategy nothing but the first lines would differ.
func Example() {
	dir, err := os.MkdirTemp("", "tenants")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	tables := fstest.MapFS{"00001_notes.sql": {Data: []byte("-- +goose Up\nCREATE TABLE notes (body TEXT NOT NULL);\n")}}
	strategy, err := sqlitefile.New(dir, sqlitefile.Migrations(tables))
	if err != nil {
		log.Fatal(err)
	}
	defer strategy.Close()
	pool, err := isolation.New(strategy, isolation.MaxConns(10))
	if err != nil {
		log.Fatal(err)
	}
	db := sql.OpenDB(pool)
	defer db.Close()

	ctx := context.Background()
	for _, t := range []tenant.Tenant{{ID: "acme"}, {ID: "globex"}} {
		if err := strategy.Provision(ctx, t); err != nil {
			log.Fatal(err)
		}
		as := tenant.NewContext(ctx, t)
		if _, err := db.ExecContext(as, `INSERT INTO notes (body) VALUES ($1)`, "of "+t.ID); err != nil {
			log.Fatal(err)
		}
		var n int
		var body string
		if err := db.QueryRowContext(as, `SELECT count(*), max(body) FROM notes`).Scan(&n, &body); err != nil {
			log.Fatal(err)
		}
		fmt.Println(n, "note", body)
	}
	_, err = db.ExecContext(ctx, `DELETE FROM notes`)
	fmt.Println(err)
	_, err = db.ExecContext(tenant.NewContext(ctx, tenant.Tenant{ID: "acme"}), `/* sly */ BEGIN`)
	fmt.Println(err)
	// Output:
	// 1 note of acme
	// 1 note of globex
	// isolation: tenant: no tenant in the statement's context; pass on the request's, or use tenant.NewContext
	// isolation: statement controls the session or transaction: BEGIN: use BeginTx, Commit and Rollback of database/sql
}
