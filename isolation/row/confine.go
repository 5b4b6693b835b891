package row

import (
	"context"
	"database/sql/driver"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pgsession"
	"github.com/tenancy-go/tenancy/tenant"
)

var (
	_ isolation.Strategy     = (*Strategy)(nil)
	_ isolation.SystemPlacer = (*Strategy)(nil)
	_ isolation.Provisioner  = (*Strategy)(nil)
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

// Confine clears conn's session and makes t its tenant, in one round trip; with
// [TransactionScoped], in none, since that happens along with each statement.
func (s *Strategy) Confine(ctx context.Context, conn driver.Conn, t tenant.Tenant) error {
	if err := t.ID.Validate(); err != nil {
		return err
	}
	if s.scoped {
		return pgsession.Enter(conn, s.mode.local(conn, t.ID))
	}
	enter, err := s.mode.enter(conn, t.ID)
	if err != nil {
		return err
	}
	return pgsession.Confine(ctx, conn, enter)
}
