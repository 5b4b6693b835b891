package isolation

import (
	"context"

	"github.com/tenancy-go/tenancy/tenant"
)

// Sizer is a [Strategy] that can tell how much a tenant's data takes. Every strategy of
// this module is one. It is for a job in the background: measuring takes a connection of
// its own, beside the pool's, and reads what there is to read.
type Sizer interface {
	// Size returns how many bytes t's home takes. Where it is the tenant's own, that is
	// what its files take on the disk of its server, with indexes and what was deleted and
	// not yet reused; where tables are shared, an estimate of what the tenant's rows take.
	// Without a home the error wraps ErrNotProvisioned, save where homes are nothing but
	// rows.
	Size(ctx context.Context, t tenant.Tenant) (int64, error)
}
