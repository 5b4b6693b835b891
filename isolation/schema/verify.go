package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
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
			objects, err := pghome.Texts(ctx, conn, homesOf+l.query, login)
			if err != nil {
				return fmt.Errorf("look for %s: %w", l.finding, err)
			}
			if len(objects) > 0 {
				found = append(found, l.report(objects))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return errors.Join(found...)
}

// verifyLogin opens a connection, which checks its login role.
func (s *Strategy) verifyLogin(ctx context.Context) error {
	conn, err := s.checked.Connect(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

// lint is a query for names of objects that endanger isolation, and what to say
// about them.
type lint struct {
	finding string
	remedy  string
	query   string
}

// maxNamed is how many objects a finding names.
const maxNamed = 5

func (l lint) report(objects []string) error {
	more := ""
	if n := len(objects) - maxNamed; n > 0 {
		objects, more = objects[:maxNamed], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("%w: %s: %q%s; %s", isolation.ErrUnsafe, l.finding, objects, more, l.remedy)
}

// lints returns the queries that apply.
func (s *Strategy) lints() []lint {
	all := append([]lint(nil), lints...)
	if s.login == nil {
		return append(all, lint{
			finding: "tenants' roles can log in",
			remedy:  "ALTER ROLE ... NOLOGIN, or use LoginRoles",
			query:   `SELECT r.rolname FROM homes h JOIN pg_roles r ON r.oid = h.role WHERE r.rolcanlogin`,
		})
	}
	return append(all, lint{
		finding: "the login role can take on tenants' roles",
		remedy:  "REVOKE them from it: with LoginRoles it needs none",
		query:   `SELECT h.role::regrole::text FROM homes h, login l, pg_auth_members m WHERE m.member = l.oid AND m.roleid = h.role`,
	})
}
