package route

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

var _ isolation.Administrator = (*Router)(nil)

// fewTenants are so few that their placements are read one by one.
const fewTenants = 50

// HomeKeys implements isolation.Administrator. Each cell is asked once, at the same
// time as no other; placements are read by the thousand.
func (r *Router) HomeKeys(ctx context.Context, ts []tenant.Tenant) ([]string, error) {
	where, err := r.locate(ctx, ts)
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(ts))
	for _, c := range r.cells.all {
		var of []int
		var there []tenant.Tenant
		for i := range ts {
			if where[i] == c {
				of, there = append(of, i), append(there, ts[i])
			}
		}
		if len(of) == 0 {
			continue
		}
		a, err := c.administrator()
		if err != nil {
			return nil, err
		}
		found, err := a.HomeKeys(ctx, there)
		if err != nil {
			return nil, in(c, err)
		}
		for i, at := range of {
			keys[at] = c.homeKey(found[i])
		}
	}
	return keys, nil
}

// Administer implements isolation.Administrator.
func (r *Router) Administer(ctx context.Context, t tenant.Tenant, work func(ctx context.Context, conn *sql.Conn, home isolation.Home) error) error {
	where, err := r.locate(ctx, []tenant.Tenant{t})
	if err != nil {
		return err
	}
	c := where[0]
	if c == nil {
		return fmt.Errorf("%w: tenant %s", ErrUnplaced, t.ID)
	}
	a, err := c.administrator()
	if err != nil {
		return err
	}
	return a.Administer(ctx, t, func(ctx context.Context, conn *sql.Conn, home isolation.Home) error {
		home.Key = c.homeKey(home.Key)
		return work(ctx, conn, home)
	})
}

// administrator returns the cell's own.
func (c *Cell) administrator() (isolation.Administrator, error) {
	a, ok := c.Strategy.(isolation.Administrator)
	if !ok {
		return nil, fmt.Errorf("route: cell %s: %T lets no administrator in", c.Name, c.Strategy)
	}
	return a, nil
}

// homeKey tells the homes of this cell from those of others.
func (c *Cell) homeKey(key string) string {
	if key == "" {
		return ""
	}
	return c.Name + "/" + key
}

// locate returns the cell of each tenant as the store has it now, nil for those without
// one. Regions are not its affair: an administrator goes where the data is.
func (r *Router) locate(ctx context.Context, ts []tenant.Tenant) ([]*Cell, error) {
	where := make([]*Cell, len(ts))
	placements, err := r.placementsOf(ctx, ts)
	if err != nil {
		return nil, err
	}
	for i, t := range ts {
		var err error
		if r.records == nil {
			where[i], err = r.choose(ctx, t)
		} else if p, ok := placements[t.ID]; ok && p.State != Leaving {
			where[i], err = r.cells.named(p.Cell)
		}
		if err != nil && !errors.Is(err, ErrUnplaced) {
			return nil, fmt.Errorf("route: tenant %s: %w", t.ID, err)
		}
	}
	return where, nil
}

// placementsOf reads the recorded placements of ts.
func (r *Router) placementsOf(ctx context.Context, ts []tenant.Tenant) (map[tenant.ID]Placement, error) {
	wanted := make(map[tenant.ID]Placement, len(ts))
	for _, t := range ts {
		if err := t.ID.Validate(); err != nil {
			return nil, err
		}
		wanted[t.ID] = Placement{}
	}
	if r.records == nil {
		return nil, nil
	}
	if len(wanted) > fewTenants {
		return r.placementsByPage(ctx, wanted)
	}
	for id := range wanted {
		p, err := r.store.Find(ctx, id)
		switch {
		case errors.Is(err, ErrUnplaced):
			delete(wanted, id)
		case err != nil:
			return nil, fmt.Errorf("route: find tenant %s: %w", id, err)
		default:
			wanted[id] = p
		}
	}
	return wanted, nil
}

// placementsByPage reads page after page, up to the last tenant that is wanted.
func (r *Router) placementsByPage(ctx context.Context, wanted map[tenant.ID]Placement) (map[tenant.ID]Placement, error) {
	found := make(map[tenant.ID]Placement, len(wanted))
	last := slices.Max(slices.Collect(maps.Keys(wanted)))
	var q Query
	for q.After < last {
		page, err := r.store.List(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("route: list placements: %w", err)
		}
		for _, p := range page {
			if _, ok := wanted[p.Tenant]; ok {
				found[p.Tenant] = p
			}
		}
		if len(page) < MaxLimit {
			break
		}
		q.After = page[len(page)-1].Tenant
	}
	return found, nil
}
