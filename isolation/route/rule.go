package route

import (
	"context"
	"fmt"
	"maps"

	"github.com/tenancy-go/tenancy/tenant"
)

// Rule says which cell a tenant belongs in. It must be safe for concurrent use.
type Rule interface {
	// Cell returns the name of t's cell. An error wrapping [ErrUnplaced] means that t
	// belongs nowhere; there is no default.
	Cell(ctx context.Context, t tenant.Tenant) (string, error)
}

// RuleFunc is a [Rule] that is a function.
type RuleFunc func(ctx context.Context, t tenant.Tenant) (string, error)

// Cell calls f.
func (f RuleFunc) Cell(ctx context.Context, t tenant.Tenant) (string, error) { return f(ctx, t) }

// ByPlan places tenants by their plan: the keys of cells are plans, its values names of
// cells. A plan that is not among them is refused.
func ByPlan(cells map[string]string) Rule {
	return table{"plan", maps.Clone(cells), func(t tenant.Tenant) string { return t.Plan }}
}

// ByRegion places tenants by their region: the keys of cells are regions, its values
// names of cells. A region that is not among them is refused.
func ByRegion(cells map[string]string) Rule {
	return table{"region", maps.Clone(cells), func(t tenant.Tenant) string { return t.Region }}
}

// ByRegionAndPlan places tenants by both: cells has a name for each region and plan.
func ByRegionAndPlan(cells map[string]map[string]string) Rule {
	regions := make(map[string]Rule, len(cells))
	for region, plans := range cells {
		regions[region] = ByPlan(plans)
	}
	return RuleFunc(func(ctx context.Context, t tenant.Tenant) (string, error) {
		plans, ok := regions[t.Region]
		if !ok {
			return "", unruled("region", t.Region, t)
		}
		return plans.Cell(ctx, t)
	})
}

// table is a rule by one field of the tenant.
type table struct {
	field string
	cells map[string]string
	value func(tenant.Tenant) string
}

func (r table) Cell(_ context.Context, t tenant.Tenant) (string, error) {
	value := r.value(t)
	if name, ok := r.cells[value]; ok {
		return name, nil
	}
	return "", unruled(r.field, value, t)
}

func unruled(field, value string, t tenant.Tenant) error {
	return fmt.Errorf("%w: tenant %s: no cell is given for the %s %q", ErrUnplaced, t.ID, field, value)
}
