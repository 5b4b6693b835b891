package fleet

import (
	"context"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// Bring brings one tenant's home to the target and notes it in the ledger, whatever
// the ledger says of it. It waits for no other runner: the lock of the home is enough.
// (A SQLite file has none but its transactions. Two processes that are at the same
// NO TRANSACTION file of one tenant at the same time may both run a statement.)
func (f *Fleet) Bring(ctx context.Context, t tenant.Tenant) error {
	r := &run{Fleet: f}
	v := &visit{}
	err := r.persist(ctx, t, v)
	if err == nil || ctx.Err() != nil || v.home.Key == "" {
		return err
	}
	if _, ledgerErr := f.ledger.fell(ctx, v.home.Key, v, err, 0); ledgerErr != nil {
		return fmt.Errorf("%w; and %w", err, ledgerErr)
	}
	return err
}

// Provisioner returns p with the ledger in mind: a home that it made is brought to
// the target and noted at once, and one that it removed is forgotten. Without it the
// next run finds out.
func (f *Fleet) Provisioner(p isolation.Provisioner) isolation.Provisioner { return noting{p, f} }

type noting struct {
	isolation.Provisioner
	fleet *Fleet
}

// Provision makes t's home.
func (n noting) Provision(ctx context.Context, t tenant.Tenant) error {
	if err := n.Provisioner.Provision(ctx, t); err != nil {
		return err
	}
	return n.fleet.Bring(ctx, t)
}

// Migrate brings t's home to the target.
func (n noting) Migrate(ctx context.Context, t tenant.Tenant) error { return n.fleet.Bring(ctx, t) }

// Deprovision removes t's home.
func (n noting) Deprovision(ctx context.Context, t tenant.Tenant) error {
	if err := n.Provisioner.Deprovision(ctx, t); err != nil {
		return err
	}
	return n.fleet.ledger.Forget(ctx, t.ID)
}
