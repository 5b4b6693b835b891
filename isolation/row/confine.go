package row

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pgsession"
	"github.com/tenancy-go/tenancy/tenant"
)

var (
	_ isolation.Strategy     = (*Strategy)(nil)
	_ isolation.SystemPlacer = (*Strategy)(nil)
	_ isolation.Provisioner  = (*Strategy)(nil)
	_ isolation.Limiter      = (*Strategy)(nil)
)

// Place returns the one place that all tenants share. Its connector refuses
// connections on which the policies would not hold.
func (s *Strategy) Place(_ context.Context, t tenant.Tenant) (isolation.Place, error) {
	if err := t.ID.Validate(); err != nil {
		return isolation.Place{}, err
	}
	return s.place, nil
}

// PlaceSystem returns the place of the System connector, or isolation.ErrNoSystem.
func (s *Strategy) PlaceSystem(context.Context) (isolation.Place, error) {
	if s.system == nil {
		return isolation.Place{}, isolation.ErrNoSystem
	}
	return isolation.Place{Key: "system " + key(s.system), Connector: s.system}, nil
}

// Confine clears conn's session and makes t its tenant, in the flight of the next
// statement, or in a round trip of its own where lib/pq has TLS to itself
// ([postgres.Conn.Rides]). With [TransactionScoped], that happens with each statement.
func (s *Strategy) Confine(ctx context.Context, conn driver.Conn, t tenant.Tenant) error {
	return s.ConfineWithin(ctx, conn, t, isolation.Limits{})
}

// ConfineWithin is Confine with l in the same flight; in modes [Sealed] and [Signed], in
// one more where lib/pq has TLS to itself.
func (s *Strategy) ConfineWithin(ctx context.Context, conn driver.Conn, t tenant.Tenant, l isolation.Limits) error {
	if err := t.ID.Validate(); err != nil {
		return err
	}
	limits := s.limits.Settings(l)
	if s.scoped {
		return pgsession.Enter(conn, s.mode.local(conn, t.ID, limits))
	}
	if rides(conn) {
		return pgsession.Enter(conn, limits.Ride(s.mode.ride(conn, t.ID)))
	}
	return s.mode.enter(ctx, conn, t.ID, limits)
}

// CanLimit refuses [TransactionScoped] together with [Harden], which takes away what
// would set limits for a transaction.
func (s *Strategy) CanLimit() error {
	if s.scoped && s.harden {
		return fmt.Errorf("%w: isolation/row: Harden takes set_config away, which limits need to be TransactionScoped", isolation.ErrNoLimiter)
	}
	return nil
}

// RenewAfter returns how long a connection may serve the tenant that it was confined
// to before it has to be confined anew, since a token expires. 0 means for ever.
func (s *Strategy) RenewAfter() time.Duration {
	if s.scoped {
		return 0 // each transaction has a token of its own
	}
	return s.mode.renewAfter()
}

// rides reports whether conn takes a tenant along with a statement.
func rides(conn driver.Conn) bool {
	r, ok := conn.(interface{ Rides() bool })
	return ok && r.Rides()
}
