package route

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/tenancy-go/tenancy/isolation"
)

// Cell is a strategy over one cluster.
type Cell struct {
	// Name is what rules and placements call it: 1 to 63 lower-case letters, digits
	// and hyphens. It is kept in the placements of its tenants, so it stays.
	Name string
	// Region is where its servers are, such as "eu". Tenants that belong to a region
	// are let into cells of that region alone; one without lets in only tenants
	// without.
	Region   string
	Strategy isolation.Strategy
}

// provisioner returns the cell's own, if its strategy makes the homes of its tenants.
func (c *Cell) provisioner() (isolation.Provisioner, error) {
	p, ok := c.Strategy.(isolation.Provisioner)
	if !ok {
		return nil, fmt.Errorf("route: cell %s: %T makes no homes; make the tenant's by hand", c.Name, c.Strategy)
	}
	return p, nil
}

// cells are those of a router, by name.
type cells struct {
	all    []*Cell // in the order given
	byName map[string]*Cell
}

func newCells(given []Cell) (cells, error) {
	if len(given) == 0 {
		return cells{}, errors.New("route: want at least one cell")
	}
	known := cells{byName: make(map[string]*Cell, len(given))}
	for _, c := range given {
		if err := known.add(c); err != nil {
			return cells{}, err
		}
	}
	return known, nil
}

func (k *cells) add(c Cell) error {
	switch {
	case !isName(c.Name):
		return fmt.Errorf("route: cell %q: want a name of 1 to 63 lower-case letters, digits and hyphens", c.Name)
	case !isRegion(c.Region):
		return fmt.Errorf("route: cell %s: want a region of at most %d bytes without control characters", c.Name, maxRegionLen)
	case k.byName[c.Name] != nil:
		return fmt.Errorf("route: cell %s is given twice", c.Name)
	case c.Strategy == nil || !reflect.ValueOf(c.Strategy).Comparable():
		return fmt.Errorf("route: cell %s: want a strategy that is a pointer, not %T", c.Name, c.Strategy)
	}
	for _, other := range k.all {
		if other.Strategy == c.Strategy {
			return fmt.Errorf("route: cells %s and %s have one strategy; a cell is a place of its own", other.Name, c.Name)
		}
	}
	k.all = append(k.all, &c)
	k.byName[c.Name] = &c
	return nil
}

func (k *cells) named(name string) (*Cell, error) {
	if c, ok := k.byName[name]; ok {
		return c, nil
	}
	return nil, noCell(name)
}

type cellKey struct{}

// InCell returns ctx for statements of the platform itself in the cell of this name:
//
//	ctx = route.InCell(tenant.System(ctx, "nightly report"), "eu-shared")
//
// In a tenant's context it means nothing.
func InCell(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, cellKey{}, name)
}

// cellOf returns the name given to InCell, or "".
func cellOf(ctx context.Context) string {
	name, _ := ctx.Value(cellKey{}).(string)
	return name
}
