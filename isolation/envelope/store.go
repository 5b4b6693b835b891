package envelope

import (
	"context"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Record is a data key as a [Store] keeps it: wrapped, of no use without the
// provider.
type Record struct {
	Tenant  tenant.ID
	Purpose Purpose
	Version uint32 // from 1, without gaps at the upper end: the highest seals, all open
	Wrapped Wrapped
	Created time.Time // UTC, in microseconds
}

// Position is a place in the order of records over all tenants. The zero Position
// comes before them all.
type Position struct {
	Tenant  tenant.ID
	Purpose Purpose
	Version uint32
}

// Position returns r's place.
func (r Record) Position() Position { return Position{r.Tenant, r.Purpose, r.Version} }

// Tombstone says that a tenant's keys were destroyed, and when and why.
type Tombstone struct {
	Tenant tenant.ID
	At     time.Time // UTC, in microseconds
	Reason string
}

// Journal remembers tombstones for ever. It must be safe for concurrent use, by
// several processes at once. envelopetest.TestJournal checks one.
type Journal interface {
	// Shred destroys all of a tenant's records, where there are any, and keeps t,
	// in one step that is durable when it returns. The tenant never has records
	// again. If there is a tombstone already, it stays as it is.
	Shred(ctx context.Context, t Tombstone) error
	// Tombstone returns the tenant's tombstone, and whether it has one.
	Tombstone(ctx context.Context, id tenant.ID) (Tombstone, bool, error)
	// Tombstones returns up to limit tombstones of the tenants whose IDs come
	// after, in the order of the IDs' bytes.
	Tombstones(ctx context.Context, after tenant.ID, limit int) ([]Tombstone, error)
}

// Store keeps data keys. It must be safe for concurrent use, by several processes
// at once. envelopetest.TestStore checks one against these comments.
type Store interface {
	Journal

	// Load returns the records of a tenant's purpose in the order of their
	// versions. For a tenant with a tombstone the error wraps ErrShredded.
	Load(ctx context.Context, id tenant.ID, p Purpose) ([]Record, error)
	// Create adds r, whose version follows the highest one there is, or is 1. Of
	// several who add the same version one succeeds; the others' error wraps
	// ErrConflict, as for any other version. For a tenant with a tombstone, before
	// or at the same time, it wraps ErrShredded.
	Create(ctx context.Context, r Record) error
	// Rewrap puts wrapped in the place of old.Wrapped, if that is what the record
	// still has; else the error wraps ErrConflict.
	Rewrap(ctx context.Context, old Record, wrapped Wrapped) error
	// Remove destroys the records of a tenant's purpose with a version below. The
	// highest always stays. It returns how many it destroyed.
	Remove(ctx context.Context, id tenant.ID, p Purpose, below uint32) (int, error)
	// List returns up to limit records of all tenants that come after a position,
	// in the order of tenant, purpose (both by bytes) and version.
	List(ctx context.Context, after Position, limit int) ([]Record, error)
}
