package route

import (
	"context"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

var _ isolation.Sizer = (*Router)(nil)

// Size asks the strategy of t's cell.
func (r *Router) Size(ctx context.Context, t tenant.Tenant) (int64, error) {
	where, err := r.locate(ctx, []tenant.Tenant{t})
	if err != nil {
		return 0, err
	}
	c := where[0]
	if c == nil {
		return 0, fmt.Errorf("%w: tenant %s", ErrUnplaced, t.ID)
	}
	s, ok := c.Strategy.(isolation.Sizer)
	if !ok {
		return 0, in(c, fmt.Errorf("%T measures no tenants", c.Strategy))
	}
	size, err := s.Size(ctx, t)
	if err != nil {
		return 0, in(c, err)
	}
	return size, nil
}
