package route

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// Prepare prepares every cell whose strategy makes homes. One that fails does not keep
// it from the others.
func (r *Router) Prepare(ctx context.Context) error {
	var failed error
	for _, c := range r.cells.all {
		if p, ok := c.Strategy.(isolation.Provisioner); ok {
			failed = errors.Join(failed, in(c, p.Prepare(ctx)))
		}
	}
	return failed
}

// Provision makes t's home in its cell. A tenant without a placement gets the one that
// the rule chooses, recorded before anything is made: called again, after whatever
// failure, it goes on in the same cell.
func (r *Router) Provision(ctx context.Context, t tenant.Tenant) error {
	c, err := r.assigned(ctx, t)
	if err != nil {
		return err
	}
	p, err := c.provisioner()
	if err != nil {
		return err
	}
	return in(c, p.Provision(ctx, t))
}

// assigned returns t's cell, chosen and recorded if need be.
func (r *Router) assigned(ctx context.Context, t tenant.Tenant) (*Cell, error) {
	c, err := r.settled(ctx, t)
	if r.records == nil || !errors.Is(err, ErrUnplaced) {
		return c, err
	}
	if c, err = r.choose(ctx, t); err != nil {
		return nil, err
	}
	_, err = r.Create(ctx, Placement{Tenant: t.ID, Cell: c.Name, Region: c.Region, State: Placed})
	if errors.Is(err, ErrPlaced) { // by another meanwhile, or it is being removed
		return r.settled(ctx, t)
	}
	return c, err
}

// settled returns t's cell as the store has it now.
func (r *Router) settled(ctx context.Context, t tenant.Tenant) (*Cell, error) {
	if err := t.ID.Validate(); err != nil {
		return nil, err
	}
	if r.records == nil {
		return r.choose(ctx, t)
	}
	p, err := r.store.Find(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	return r.admit(t, p)
}

// Migrate brings t's home to the current schema.
func (r *Router) Migrate(ctx context.Context, t tenant.Tenant) error {
	c, err := r.settled(ctx, t)
	if err != nil {
		return err
	}
	p, err := c.provisioner()
	if err != nil {
		return err
	}
	return in(c, p.Migrate(ctx, t))
}

// Deprovision removes t's home, also one that a move left behind or had begun, and its
// placement last. From its beginning on t is refused, in this process at once.
func (r *Router) Deprovision(ctx context.Context, t tenant.Tenant) error {
	if err := t.ID.Validate(); err != nil {
		return err
	}
	if r.records == nil {
		c, err := r.choose(ctx, t)
		if err != nil {
			return err
		}
		return r.remove(ctx, t, c.Name)
	}
	p, err := r.leave(ctx, t.ID)
	if errors.Is(err, ErrUnplaced) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := errors.Join(r.remove(ctx, t, p.Cell), r.remove(ctx, t, p.Other)); err != nil {
		return err
	}
	defer r.changed(t.ID)
	if err := r.store.Delete(ctx, t.ID, p.Version); !errors.Is(err, ErrUnplaced) {
		return err
	}
	return nil
}

// leave marks id's placement as Leaving.
func (r *Router) leave(ctx context.Context, id tenant.ID) (Placement, error) {
	for {
		p, err := r.store.Find(ctx, id)
		if err != nil || p.State == Leaving {
			return p, err
		}
		p.State = Leaving
		p, err = r.store.Update(ctx, p)
		r.changed(id)
		if !errors.Is(err, ErrConflict) {
			return p, err
		}
	}
}

// remove removes t's home in the cell of this name, if there is one.
func (r *Router) remove(ctx context.Context, t tenant.Tenant, name string) error {
	if name == "" {
		return nil
	}
	c, err := r.cells.named(name)
	if err != nil {
		return err
	}
	p, err := c.provisioner()
	if err != nil {
		return err
	}
	return in(c, p.Deprovision(ctx, t))
}

// in says in which cell something failed.
func in(c *Cell, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("route: cell %s: %w", c.Name, err)
}
