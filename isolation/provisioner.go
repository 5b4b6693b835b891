package isolation

import (
	"context"

	"github.com/tenancy-go/tenancy/tenant"
)

// Provisioner returns p with the pool's connections in mind: a tenant's are closed
// before its home is removed, and again after, for those that a late statement
// opened.
func (p *Pool) Provisioner(of Provisioner) Provisioner { return forgetful{of, p} }

type forgetful struct {
	Provisioner
	pool *Pool
}

// Deprovision removes t's home with all data in it.
func (f forgetful) Deprovision(ctx context.Context, t tenant.Tenant) error {
	f.pool.Forget(t.ID)
	defer f.pool.Forget(t.ID)
	return f.Provisioner.Deprovision(ctx, t)
}
