package isolationtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
)

var homeClauses = []clause{
	{name: "a tenant that was never provisioned has no home", check: checkUnprovisioned},
	{name: "provisioning again changes nothing", check: checkProvisionTwice},
	{name: "deprovisioning removes the tenant's data and no others'", check: checkDeprovision},
}

// homeless wants g's statements to fail for want of a home. Where tables are
// shared, finding no rows will do.
func (s *suite) homeless(ctx context.Context, g guest) error {
	n, err := s.read(ctx, s.db, g, allNotes)
	if err == nil && s.Shared && n == 0 {
		return nil
	}
	if err == nil && n > 0 {
		return fmt.Errorf("%w: tenant %s without a home read %d rows", ErrLeak, g.ID, n)
	}
	return wantErr("a query of a tenant without a home", err, isolation.ErrNotProvisioned)
}

func checkUnprovisioned(ctx context.Context, s *suite) error {
	stranger := newGuest()
	if err := s.homeless(ctx, stranger); err != nil {
		return err
	}
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	if err := s.homeless(ctx, stranger); err != nil {
		return err
	}
	return s.intact(ctx, a, b)
}

func checkProvisionTwice(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for range 2 {
		if err := s.Provision(ctx, a.Tenant); err != nil {
			return fmt.Errorf("provisioning again: %w", err)
		}
		if err := s.intact(ctx, a, b); err != nil {
			return err
		}
	}
	return nil
}

func checkDeprovision(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for round := range 2 { // the second finds nothing to remove
		s.Pool.Forget(a.ID)
		if err := s.Deprovision(ctx, a.Tenant); err != nil {
			return fmt.Errorf("deprovisioning, round %d: %w", round+1, err)
		}
		if err := errors.Join(s.homeless(ctx, a), s.intact(ctx, b)); err != nil {
			return err
		}
	}
	if err := s.Provision(ctx, a.Tenant); err != nil {
		return fmt.Errorf("provisioning anew: %w", err)
	}
	if err := s.expect(ctx, s.db, a, 0, allNotes); err != nil {
		return fmt.Errorf("%w: data outlived the home: %w", ErrLeak, err)
	}
	return s.intact(ctx, b)
}
