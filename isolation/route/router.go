package route

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// Router is an isolation.Strategy that sends each tenant to the strategy of its cell.
// It is safe for concurrent use.
type Router struct {
	config
	cells     cells
	rule      Rule     // nil: placements are recorded by hand
	records   *records // nil: the rule is asked for every statement
	sightings *sightings
}

var _ interface {
	isolation.Strategy
	isolation.SystemPlacer
	isolation.StatementChecker
	isolation.Mover
	isolation.Provisioner
	isolation.Limiter
} = (*Router)(nil)

// New returns a router over cells, in which rule places tenants. With [Record], rule may
// be nil: then tenants live only where somebody recorded it.
func New(cells []Cell, rule Rule, opts ...Option) (*Router, error) {
	c := defaults()
	for _, opt := range opts {
		opt(&c)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if rule == nil && !c.recorded {
		return nil, errors.New("route: want a rule, or a store of placements (Record)")
	}
	known, err := newCells(cells)
	if err != nil {
		return nil, err
	}
	if c.systemCell != "" && known.byName[c.systemCell] == nil {
		return nil, fmt.Errorf("route: SystemCell: %w", noCell(c.systemCell))
	}
	seen, err := newSightings(c.cacheSize)
	if err != nil {
		return nil, err
	}
	r := &Router{config: c, cells: known, rule: rule, sightings: seen}
	if c.recorded {
		if r.records, err = newRecords(c); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Place returns the place of t in its cell. Without a cell the error wraps
// [ErrUnplaced]; with one outside t's region it is a [RegionError].
func (r *Router) Place(ctx context.Context, t tenant.Tenant) (isolation.Place, error) {
	c, err := r.cell(ctx, t)
	if err != nil {
		return isolation.Place{}, err
	}
	r.sightings.note(t.ID, c)
	place, err := c.Strategy.Place(ctx, t)
	if place.Via == nil { // else the cell is a router itself
		place.Via = c.Strategy
	}
	return place, err
}

// cell returns the cell in which t's statements run.
func (r *Router) cell(ctx context.Context, t tenant.Tenant) (*Cell, error) {
	if err := t.ID.Validate(); err != nil {
		return nil, err
	}
	if r.records == nil {
		return r.choose(ctx, t)
	}
	p, err := r.records.find(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	return r.admit(t, p)
}

// choose returns the cell that the rule names.
func (r *Router) choose(ctx context.Context, t tenant.Tenant) (*Cell, error) {
	if r.rule == nil {
		return nil, fmt.Errorf("%w: tenant %s, and no rule to choose by", ErrUnplaced, t.ID)
	}
	name, err := r.rule.Cell(ctx, t)
	if err != nil {
		return nil, err
	}
	c, err := r.cells.named(name)
	if err != nil {
		return nil, err
	}
	return c, checkRegion(t.ID, t.Region, c)
}

// admit returns the cell of p, if t may be served there.
func (r *Router) admit(t tenant.Tenant, p Placement) (*Cell, error) {
	if p.Tenant != t.ID {
		return nil, fmt.Errorf("route: the store answered for tenant %s when asked for %s", p.Tenant, t.ID)
	}
	if p.State == Leaving {
		return nil, fmt.Errorf("%w: tenant %s is being removed", ErrUnplaced, t.ID)
	}
	c, err := r.cells.named(p.Cell)
	if err != nil {
		return nil, err
	}
	if err := checkRegion(t.ID, p.Region, c); err != nil {
		return nil, err
	}
	return c, checkRegion(t.ID, t.Region, c)
}

// checkRegion returns a [RegionError] unless a tenant of region, which may be none, may
// live in c.
func checkRegion(id tenant.ID, region string, c *Cell) error {
	if region == "" || region == c.Region {
		return nil
	}
	return &RegionError{Tenant: id, Want: region, Cell: c.Name, Region: c.Region}
}

// PlaceSystem returns the system's place in the cell that the context or the option
// [SystemCell] names, or in the only one.
func (r *Router) PlaceSystem(ctx context.Context) (isolation.Place, error) {
	c, err := r.systemCellOf(ctx)
	if err != nil {
		return isolation.Place{}, err
	}
	s, ok := c.Strategy.(isolation.SystemPlacer)
	if !ok {
		return isolation.Place{}, fmt.Errorf("route: cell %s: %w", c.Name, isolation.ErrNoSystem)
	}
	place, err := s.PlaceSystem(ctx)
	if err != nil {
		return isolation.Place{}, fmt.Errorf("route: cell %s: %w", c.Name, err)
	}
	if place.Via == nil {
		place.Via = c.Strategy
	}
	return place, nil
}

func (r *Router) systemCellOf(ctx context.Context) (*Cell, error) {
	name := cellOf(ctx)
	if name == "" {
		name = r.systemCell
	}
	switch {
	case name != "":
		return r.cells.named(name)
	case len(r.cells.all) == 1:
		return r.cells.all[0], nil
	default:
		return nil, fmt.Errorf("%w: nothing says in which cell; use route.InCell, or the option SystemCell", isolation.ErrNoSystem)
	}
}

// Confine refuses: which cell opened conn is known to its place alone. Use the Via of
// the place, as the pool does.
func (r *Router) Confine(_ context.Context, _ driver.Conn, t tenant.Tenant) error {
	return fmt.Errorf("%w: route: a connection of tenant %s is confined by the Via of its place, not by the router", isolation.ErrUnsafe, t.ID)
}

// ConfineWithin refuses, as Confine does.
func (r *Router) ConfineWithin(ctx context.Context, conn driver.Conn, t tenant.Tenant, _ isolation.Limits) error {
	return r.Confine(ctx, conn, t)
}

// CanLimit returns nil if the strategy of any cell can limit sessions. A tenant in one of
// the others is refused, if its limits are of the session.
func (r *Router) CanLimit() error {
	var why error
	for _, c := range r.cells.all {
		err := fmt.Errorf("%w: %T is no isolation.Limiter", isolation.ErrNoLimiter, c.Strategy)
		if l, ok := c.Strategy.(isolation.Limiter); ok {
			err = l.CanLimit()
		}
		if err == nil {
			return nil
		}
		why = errors.Join(why, fmt.Errorf("route: cell %s: %w", c.Name, err))
	}
	return why
}

// CheckStatement lets everything pass: the cell's strategy, which the pool asks once it
// knows the place, has the dialect.
func (r *Router) CheckStatement(string, bool) error { return nil }

// OnMove implements isolation.Mover.
func (r *Router) OnMove(moved func(tenant.ID)) (stop func()) {
	stops := []func(){r.sightings.add(moved)}
	for _, c := range r.cells.all {
		if m, ok := c.Strategy.(isolation.Mover); ok {
			stops = append(stops, m.OnMove(moved))
		}
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}
