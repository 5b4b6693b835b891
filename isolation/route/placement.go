package route

import (
	"context"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/tenancy-go/tenancy/tenant"
)

// Placement is where a tenant lives.
type Placement struct {
	Tenant tenant.ID
	Cell   string // where statements run
	Region string // the cell's region, pinned; empty means that it is not pinned
	State  State
	Other  string // the cell that the tenant moves to, or came from; empty unless State says so

	Version int64 // grows with each change, and is never used twice in a store
}

// State is how a tenant stands in its cell. Statements run in Cell whatever the state,
// but for Leaving.
type State string

// The states.
const (
	Placed  State = "placed"  // it lives in Cell
	Moving  State = "moving"  // and is being copied to Other
	Moved   State = "moved"   // and what it left behind in Other is not removed yet
	Leaving State = "leaving" // it is being removed, and refused
)

const (
	maxNameLen   = 63
	maxRegionLen = 255
)

// Validate returns an error wrapping [ErrInvalid], or tenant.ErrInvalidID, unless p may
// be stored.
func (p Placement) Validate() error {
	if err := p.Tenant.Validate(); err != nil {
		return err
	}
	switch p.State {
	case Placed, Leaving, Moving, Moved:
	default:
		return fmt.Errorf("%w: unknown state %q", ErrInvalid, p.State)
	}
	between := p.State == Moving || p.State == Moved
	switch {
	case !isName(p.Cell):
		return fmt.Errorf("%w: cell %q: want 1 to %d lower-case letters, digits and hyphens", ErrInvalid, p.Cell, maxNameLen)
	case !isRegion(p.Region):
		return fmt.Errorf("%w: region: want at most %d bytes without control characters", ErrInvalid, maxRegionLen)
	case between && (!isName(p.Other) || p.Other == p.Cell):
		return fmt.Errorf("%w: state %s: want another cell than %s in Other, got %q", ErrInvalid, p.State, p.Cell, p.Other)
	case p.State == Placed && p.Other != "":
		return fmt.Errorf("%w: state %s has no other cell, got %q", ErrInvalid, p.State, p.Other)
	case p.Other != "" && !isName(p.Other):
		return fmt.Errorf("%w: cell %q: want 1 to %d lower-case letters, digits and hyphens", ErrInvalid, p.Other, maxNameLen)
	}
	return nil
}

// Follows returns nil if p may take the place of kept, with the errors of
// [Store.Update]. It is for implementations of Store.
func (p Placement) Follows(kept Placement) error {
	if p.Version != kept.Version {
		return fmt.Errorf("%w: tenant %s is at version %d, not %d; read it again", ErrConflict, p.Tenant, kept.Version, p.Version)
	}
	if p.Region != kept.Region && p.Region != "" && kept.Region != "" {
		return fmt.Errorf("%w: tenant %s is pinned to %q, so it cannot be pinned to %q; lift the pin first", ErrRegion, p.Tenant, kept.Region, p.Region)
	}
	return nil
}

// isName reports whether s may name a cell.
func isName(s string) bool {
	return len(s) <= maxNameLen && tenant.ID(s).Validate() == nil // the rules are the same
}

func isRegion(s string) bool {
	if len(s) > maxRegionLen || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// Store keeps placements. It must be safe for concurrent use. routetest.TestStore
// checks an implementation against these comments. A context that has ended is its
// error.
type Store interface {
	// Find returns id's placement, or ErrUnplaced; any other error means that the
	// answer is unknown. It sees every change that was returned before it began.
	Find(ctx context.Context, id tenant.ID) (Placement, error)

	// Create records the placement of a tenant that has none, else ErrPlaced, and
	// returns it with its Version. p must pass Validate; its Version is ignored.
	Create(ctx context.Context, p Placement) (Placement, error)

	// Update replaces the placement of p.Tenant if its Version is p.Version (else
	// ErrConflict, or ErrUnplaced), and returns it with the new Version. Comparison and
	// change are one atomic step. A Region that is set may be emptied but not replaced
	// (ErrRegion). p must pass Validate.
	Update(ctx context.Context, p Placement) (Placement, error)

	// Delete forgets the placement of id if its Version is version (else ErrConflict,
	// or ErrUnplaced).
	Delete(ctx context.Context, id tenant.ID, version int64) error

	// List returns placements in the order of the tenants' IDs, as q selects.
	List(ctx context.Context, q Query) ([]Placement, error)
}

// Query selects placements.
type Query struct {
	Cell  string    // whose Cell or Other is this; empty means any
	After tenant.ID // those after this tenant; empty means from the first
	Limit int       // at most so many: 1 to MaxLimit; 0 means MaxLimit
}

// MaxLimit bounds the placements of one list.
const MaxLimit = 1000

// Check returns q with its Limit filled in, or an error wrapping [ErrInvalid]. It is
// for implementations of Store.
func (q Query) Check() (Query, error) {
	if q.Limit < 0 || q.Limit > MaxLimit {
		return Query{}, fmt.Errorf("%w: limit: want 1 to %d, or 0 for the most, got %d", ErrInvalid, MaxLimit, q.Limit)
	}
	if q.Limit == 0 {
		q.Limit = MaxLimit
	}
	return q, nil
}

// Selects reports whether p is among those that q asks for. It is for implementations
// of Store.
func (q Query) Selects(p Placement) bool {
	return p.Tenant > q.After && (q.Cell == "" || q.Cell == p.Cell || q.Cell == p.Other)
}
