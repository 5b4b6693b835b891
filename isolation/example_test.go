package isolation_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"testing/fstest"
	"time"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
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

// Each plan has its limits. Where package quota has the plans, they are what
// Enforcer.Plan returns: isolation.Limits(plan.Database).
func ExampleLimitsBy() {
	connector, err := postgres.NewConnector("postgres://app@localhost/saas")
	if err != nil {
		log.Fatal(err)
	}
	strategy, err := row.New(connector)
	if err != nil {
		log.Fatal(err)
	}
	plans := map[string]isolation.Limits{
		"free": {StatementTimeout: 5 * time.Second, IdleTimeout: 10 * time.Second, Connections: 3},
		"pro":  {StatementTimeout: 30 * time.Second, WorkMem: 16 << 20, Connections: 10},
	}
	pool, err := isolation.New(strategy, isolation.LimitsBy(func(_ context.Context, t tenant.Tenant) (isolation.Limits, error) {
		limits, ok := plans[t.Plan]
		if !ok {
			return isolation.Limits{}, fmt.Errorf("no plan %q", t.Plan)
		}
		return limits, nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	db := sql.OpenDB(pool)
	defer db.Close()

	acme := tenant.NewContext(context.Background(), tenant.Tenant{ID: "acme", Plan: "gold"})
	_, err = db.ExecContext(acme, `DELETE FROM orders`) // not even sent
	fmt.Println(err)
	// Output:
	// isolation: limits of tenant acme: no plan "gold"
}

// A handler tells what a plan ended from what failed.
func ExampleLimitError() {
	answer := func(err error) int {
		var limit *isolation.LimitError
		switch {
		case err == nil:
			return http.StatusOK
		case errors.As(err, &limit):
			fmt.Println(limit.Setting, limit.Limit)
			return http.StatusGatewayTimeout
		case errors.Is(err, isolation.ErrTenantBusy):
			return http.StatusTooManyRequests
		default:
			return http.StatusInternalServerError
		}
	}
	fmt.Println(answer(&isolation.LimitError{Setting: "statement_timeout", Limit: 5 * time.Second, Err: errors.New("pq: canceling statement")}))
	fmt.Println(answer(fmt.Errorf("orders: %w", isolation.ErrTenantBusy)))
	// Output:
	// statement_timeout 5s
	// 504
	// 429
}
