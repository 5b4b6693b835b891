package fairshare

import (
	"context"
	"fmt"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// ByPlan takes shares from tenants' plans: the weight is the plan's, and Max is the
// limit of kind quota.Concurrent with this name. A plan without it gets nothing.
func ByPlan(e *quota.Enforcer, limit string) Shares {
	return func(ctx context.Context, t tenant.Tenant) (Share, error) {
		account, err := e.Account(tenant.NewContext(ctx, t))
		if err != nil {
			return Share{}, err
		}
		plan := account.Plan()
		l, ok := plan.Limits[limit]
		if !ok || l.Kind != quota.Concurrent || l.Max == 0 {
			return Share{}, fmt.Errorf("%w: %s", quota.ErrNotInPlan, limit)
		}
		return Share{Weight: plan.Weight, Max: max(0, l.Max)}, nil // quota.Unlimited is none here
	}
}
