package route

import (
	"context"
	"errors"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

var errUnrecorded = errors.New("route: placements are not recorded; give New a store with Record")

// Cells returns the router's cells, in the order they were given.
func (r *Router) Cells() []Cell {
	given := make([]Cell, len(r.cells.all))
	for i, c := range r.cells.all {
		given[i] = *c
	}
	return given
}

// Cell returns the cell of this name, or an error wrapping [ErrNoCell].
func (r *Router) Cell(name string) (Cell, error) {
	c, err := r.cells.named(name)
	if err != nil {
		return Cell{}, err
	}
	return *c, nil
}

// Placement returns id's placement as the store has it now, or ErrUnplaced.
func (r *Router) Placement(ctx context.Context, id tenant.ID) (Placement, error) {
	if r.records == nil {
		return Placement{}, errUnrecorded
	}
	return r.store.Find(ctx, id)
}

// MaxAge returns the option's value: how long after an Update another process may begin
// statements at the old place, at most.
func (r *Router) MaxAge() time.Duration { return r.maxAge }

// Create records the placement of a tenant that has none. [Router.Provision] does so
// by the router's rule.
func (r *Router) Create(ctx context.Context, p Placement) (Placement, error) {
	return r.write(ctx, p, Store.Create)
}

// Update records p in place of the version that it was read at, and lets it take effect
// in this process before it returns; the package comment says what that means. A cell
// outside the region that p is pinned to is refused with a [RegionError]. After an
// error, read the placement again: the change may have been made.
func (r *Router) Update(ctx context.Context, p Placement) (Placement, error) {
	return r.write(ctx, p, Store.Update)
}

func (r *Router) write(ctx context.Context, p Placement, by func(Store, context.Context, Placement) (Placement, error)) (Placement, error) {
	if r.records == nil {
		return Placement{}, errUnrecorded
	}
	if err := r.checkCells(p); err != nil {
		return Placement{}, err
	}
	defer r.changed(p.Tenant) // also after an error
	return by(r.store, ctx, p)
}

// checkCells returns nil if p's cells are known and in its region.
func (r *Router) checkCells(p Placement) error {
	if err := p.Validate(); err != nil {
		return err
	}
	for _, name := range []string{p.Cell, p.Other} {
		if name == "" || name == p.Other && p.State != Moving {
			continue // where it came from may be elsewhere, and gone
		}
		c, err := r.cells.named(name)
		if err != nil {
			return err
		}
		if err := checkRegion(p.Tenant, p.Region, c); err != nil {
			return err
		}
	}
	return nil
}

// Follow lets the changes that w tells of, such as those of other processes, take effect
// here, until ctx ends or w fails. It returns w's error: a host runs it beside its
// server, and starts it again if it fails before ctx ends.
func (r *Router) Follow(ctx context.Context, w tenant.Watcher) error {
	if w == nil {
		return errors.New("route: want a watcher to follow, not nil")
	}
	if r.records == nil {
		return errUnrecorded
	}
	return w.Watch(ctx, func(c tenant.Change) {
		if c.ID == "" {
			r.records.outdateAll()
			return
		}
		r.changed(c.ID)
	})
}

// changed forgets what is known of id, and has its connections closed.
func (r *Router) changed(id tenant.ID) {
	r.records.outdate(id)
	r.sightings.tell(id)
}
