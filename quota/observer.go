package quota

import (
	"context"

	"github.com/tenancy-go/tenancy/tenant"
)

// Observer is told what tenants use, as it is counted: for metering. It is called
// on the way of a request, from many goroutines, and must not block.
type Observer interface {
	// Used says that the tenant used n units of the limit; or gave them back, if n is
	// negative.
	Used(ctx context.Context, id tenant.ID, limit string, n int64)
}

// Event is something to tell people about.
type Event struct {
	Kind   EventKind
	Tenant tenant.ID
	Limit  string
	Key    string // of a limit per key
	Window Period // whose limit it is about; "" where there is no window
	N      int64  // units asked for
}

// EventKind is the kind of an [Event].
type EventKind string

const (
	// Warned means that use passed the soft limit: once for each time it does so.
	Warned EventKind = "warned"
	// Refused means that a decision refused.
	Refused EventKind = "refused"
	// Shadowed means that a decision would have refused, but that the limit is only
	// there to look at.
	Shadowed EventKind = "shadowed"
	// Degraded means that a limit let in what the store that replicas share could not say:
	// see Decision.Degraded.
	Degraded EventKind = "degraded"
	// StoreDown means that the store that replicas share, or one of its servers, does not
	// answer: limits do what their Outage says. It is of no tenant.
	StoreDown EventKind = "store down"
	// StoreUp means that the store answers again.
	StoreUp EventKind = "store up"
)
