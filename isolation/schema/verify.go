package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
)

// Verify looks for what would let tenants meet: rights that were given by hand
// to the login role, to tenants' roles or to PUBLIC. All that it finds is in the
// error, which wraps isolation.ErrUnsafe and says how to mend it. It needs the
// administrative connector, which reads the registry.
func (s *Strategy) Verify(ctx context.Context) error {
	if err := s.verify(ctx); err != nil {
		return fmt.Errorf("isolation/schema: verify: %w", err)
	}
	return nil
}

func (s *Strategy) verify(ctx context.Context) error {
	if s.admin == nil {
		return errNoAdmin
	}
	login, err := s.loginRole(ctx)
	if err != nil {
		return err
	}
	found := []error{s.verifyLogin(ctx)}
	err = pghome.With(ctx, s.admin, func(ctx context.Context, conn *sql.Conn) error {
		for _, l := range s.lints() {
			objects, err := pghome.Texts(ctx, conn, homesOf+l.Query, login)
			if err != nil {
				return fmt.Errorf("look for %s: %w", l.Finding, err)
			}
			found = append(found, l.Report(objects))
		}
		return nil
	})
	return errors.Join(append(found, err)...)
}

// verifyLogin opens a connection, which checks its login role.
func (s *Strategy) verifyLogin(ctx context.Context) error {
	conn, err := s.checked.Connect(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

// lints returns the queries that apply.
func (s *Strategy) lints() []pghome.Lint {
	all := append([]pghome.Lint(nil), lints...)
	if s.login == nil {
		return append(all, pghome.Lint{
			Finding: "tenants' roles can log in",
			Remedy:  "ALTER ROLE ... NOLOGIN, or use LoginRoles",
			Query:   `SELECT r.rolname FROM homes h JOIN pg_roles r ON r.oid = h.role WHERE r.rolcanlogin`,
		})
	}
	return append(all, pghome.Lint{
		Finding: "the login role can take on tenants' roles",
		Remedy:  "REVOKE them from it: with LoginRoles it needs none",
		Query:   `SELECT h.role::regrole::text FROM homes h, login l, pg_auth_members m WHERE m.member = l.oid AND m.roleid = h.role`,
	})
}
