package route

import (
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// The classes of failure.
var (
	// ErrUnplaced means that nothing says where the tenant lives, or that it is being
	// removed. It wraps isolation.ErrNotProvisioned.
	ErrUnplaced = fmt.Errorf("route: tenant has no placement: %w", isolation.ErrNotProvisioned)
	// ErrPlaced means that the tenant has a placement already.
	ErrPlaced = errors.New("route: tenant has a placement already")
	// ErrConflict means that the placement changed since it was read.
	ErrConflict = errors.New("route: placement version conflict")
	// ErrInvalid means that a placement breaks a rule.
	ErrInvalid = errors.New("route: invalid placement")
	// ErrRegion means that a tenant would leave its region. A router wraps it in a
	// [RegionError].
	ErrRegion = errors.New("route: outside the tenant's region")
	// ErrNoCell means that a rule or a placement names a cell that the router was not
	// given.
	ErrNoCell = errors.New("route: no such cell")
)

// RegionError is a refusal to use a cell of another region than the tenant's. It wraps
// [ErrRegion].
type RegionError struct {
	Tenant tenant.ID
	Want   string // the tenant's region
	Cell   string
	Region string // the cell's
}

func (e *RegionError) Error() string {
	return fmt.Sprintf("%v: tenant %s belongs to %q, cell %s to %q", ErrRegion, e.Tenant, e.Want, e.Cell, e.Region)
}

func (e *RegionError) Unwrap() error { return ErrRegion }

func noCell(name string) error {
	return fmt.Errorf("%w: %q (give it to New, or mend the rule or placement that names it)", ErrNoCell, name)
}
