package main

import (
	"cmp"
	"context"
	"database/sql"
	_ "embed"
	"fmt"
	"math"

	"github.com/tenancy-go/tenancy/examples/saas/web"
	"github.com/tenancy-go/tenancy/examples/saas/workspace"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

//go:embed plans.json
var plansJSON []byte

// openPlans reads plans.json, and returns it with an enforcer of what it says. Tenants'
// overrides are added to the source; a platform with an operator keeps both in its
// database.
func openPlans(db *sql.DB) (*quota.MemorySource, *quota.Enforcer, error) {
	catalog, err := quota.ParseCatalog(plansJSON)
	if err != nil {
		return nil, nil, fmt.Errorf("plans.json: %w", err)
	}
	plans := quota.NewMemorySource(catalog)
	enforcer, err := quota.New(plans, quota.WithLevels(workspace.Levels(db)))
	return plans, enforcer, err
}

// limitsOf tells the pool what a tenant's plan lets its statements take.
func limitsOf(enforcer **quota.Enforcer) func(context.Context, tenant.Tenant) (isolation.Limits, error) {
	return func(ctx context.Context, _ tenant.Tenant) (isolation.Limits, error) {
		plan, err := (*enforcer).Plan(ctx)
		if err != nil {
			return isolation.Limits{}, err
		}
		return isolation.Limits(plan.Database), nil
	}
}

// openGuard limits strangers, before anybody asks which tenant they want.
func openGuard(cfg Config, ui *web.UI) (*quota.Guard, error) {
	perMinute := quota.Window{Per: quota.Minute, Limit: cmp.Or(cfg.PerAddress, math.MaxInt32)}
	return quota.NewGuard(quota.Limit{Windows: []quota.Window{perMinute}}, quota.GuardErrorHandler(ui.RefuseAddress))
}
