package isolationtest_test

import (
	"context"
	"fmt"
	"os"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/isolationtest"
	"github.com/tenancy-go/tenancy/tenant"
)

// A strategy that opens the same file for every tenant, and what Check says of it.
func ExampleCheck() {
	dir, err := os.MkdirTemp("", "isolationtest")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()

	ctx, home := context.Background(), tenant.Tenant{ID: "home"}
	strategy := oneFileStrategy{files{dir}, home}
	if err := strategy.files.Provision(ctx, home); err != nil {
		fmt.Println(err)
		return
	}
	open := func(opts ...isolation.Option) (isolationtest.Target, error) {
		pool, err := isolation.New(strategy, opts...)
		return isolationtest.Target{
			Pool:        pool,
			Provision:   func(_ context.Context, t tenant.Tenant) error { return t.ID.Validate() },
			Deprovision: func(_ context.Context, t tenant.Tenant) error { return t.ID.Validate() },
			Dialect:     isolationtest.SQLite,
		}, err
	}
	for _, finding := range isolationtest.Check(ctx, open, "tenants may use the same keys") {
		fmt.Println("does not hold:", finding.Clause)
	}
	// Output:
	// does not hold: tenants may use the same keys
}
