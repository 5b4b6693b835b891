package main

import (
	"context"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// tellingStore tells the directory of every change, so that it shows at once: a
// workspace opens as soon as it is made, and closes as soon as it is suspended.
type tellingStore struct {
	tenant.Store
	directory *tenant.Directory
}

// Create adds t and forgets that its names were unknown.
func (s tellingStore) Create(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
	defer s.directory.Invalidate(t.ID)
	return s.Store.Create(ctx, t)
}

// Update changes t and forgets what it was.
func (s tellingStore) Update(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
	defer s.directory.Invalidate(t.ID)
	return s.Store.Update(ctx, t)
}

// Delete removes the tenant and forgets it.
func (s tellingStore) Delete(ctx context.Context, id tenant.ID, version int64) (tenant.Tenant, error) {
	defer s.directory.Invalidate(id)
	return s.Store.Delete(ctx, id, version)
}

// homes closes a tenant's idle connections before its home is removed.
type homes struct {
	isolation.Provisioner
	pool *isolation.Pool
}

// Deprovision removes t's home with all data in it.
func (h homes) Deprovision(ctx context.Context, t tenant.Tenant) error {
	h.pool.Forget(t.ID)
	return h.Provisioner.Deprovision(ctx, t)
}
