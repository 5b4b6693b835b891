package bandwidth

import (
	"context"
	"fmt"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// ByPlan returns a function for [New] that takes the rates from the limits of tenants'
// plans, of kind quota.Bandwidth, with these names. An empty name is no limit; a limit
// that the plan does not have lets nothing move.
func ByPlan(e *quota.Enforcer, ingress, egress string) func(ctx context.Context, t tenant.Tenant) (Limits, error) {
	return func(ctx context.Context, t tenant.Tenant) (Limits, error) {
		account, err := e.Account(tenant.NewContext(ctx, t))
		if err != nil {
			return Limits{}, err
		}
		var limits Limits
		if limits.Ingress, err = rateOf(account, ingress); err != nil {
			return Limits{}, err
		}
		limits.Egress, err = rateOf(account, egress)
		return limits, err
	}
}

// rateOf returns the rate that the account's plan has by that name. A Rate of zero is
// none, so a limit of nothing is an error.
func rateOf(account *quota.Account, name string) (Rate, error) {
	if name == "" {
		return Rate{}, nil
	}
	limit, ok := account.Plan().Limits[name]
	switch {
	case !ok || limit.Kind != quota.Bandwidth || limit.Max == 0:
		return Rate{}, fmt.Errorf("%w: %s", quota.ErrNotInPlan, name)
	case limit.Max == quota.Unlimited:
		return Rate{}, nil
	default:
		return Rate{BytesPerSecond: limit.Max, Burst: limit.Burst}, nil
	}
}
