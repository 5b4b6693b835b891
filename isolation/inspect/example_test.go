package inspect_test

import (
	"context"
	"fmt"
	"os"

	"github.com/jmoiron/sqlx"

	"github.com/tenancy-go/tenancy/isolation/inspect"
)

// A step of a build, or of start-up.
func ExampleRun() {
	check := func(ctx context.Context, db *sqlx.DB) error {
		report, err := inspect.Run(ctx, db, inspect.Rows("app"), inspect.Suppress(
			inspect.Suppression{Lint: "shared-table-readable", Object: "public.plans", Reason: "the price list is everyone's"},
		))
		if err != nil {
			return err
		}
		if err := report.WriteTable(os.Stderr); err != nil {
			return err
		}
		return report.Err(inspect.Medium)
	}
	_ = check
}

func ExampleReport_WriteTable() {
	report := inspect.Report{
		Database: "saas", Server: "17.6", Strategy: "row", Lints: 77, Tables: 3,
		Findings: []inspect.Finding{{
			Lint: "key-without-tenant", Severity: inspect.Medium, Object: "public.orders orders_number_key",
			Title:  "a unique key or exclusion constraint lacks the tenant column",
			Detail: "CREATE UNIQUE INDEX orders_number_key ON public.orders USING btree (number)",
			Why:    "PostgreSQL checks keys past the policies: from a conflict one tenant learns which values others have.",
			Remedy: "ALTER TABLE public.orders DROP CONSTRAINT orders_number_key, ADD CONSTRAINT orders_number_key UNIQUE (tenant_id, number);",
		}},
	}
	if err := report.WriteTable(os.Stdout); err != nil {
		fmt.Println(err)
	}
	fmt.Println(report.Err(inspect.High))
	// Output:
	// medium    key-without-tenant: public.orders orders_number_key
	//   what    a unique key or exclusion constraint lacks the tenant column: CREATE UNIQUE INDEX
	//           orders_number_key ON public.orders USING btree (number)
	//   why     PostgreSQL checks keys past the policies: from a conflict one tenant learns which values
	//           others have.
	//   mend    ALTER TABLE public.orders DROP CONSTRAINT orders_number_key, ADD CONSTRAINT
	//           orders_number_key UNIQUE (tenant_id, number);
	// saas: 1 medium (row isolation, 3 tenant tables, 77 lints, PostgreSQL 17.6)
	// <nil>
}
