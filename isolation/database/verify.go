package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
)

// Verify looks for what would weaken isolation: a login role that may too much, a
// template that accepts connections, databases that other roles may connect to.
// All that it finds is in the error, which wraps isolation.ErrUnsafe and says how
// to mend it. It needs the administrative connector.
func (s *Strategy) Verify(ctx context.Context) error {
	if err := s.verify(ctx); err != nil {
		return fmt.Errorf("isolation/database: verify: %w", err)
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
	conn, err := pghome.Checked(s.connector, pghome.Check()).Connect(ctx)
	found := []error{err}
	if err == nil {
		found = append(found, conn.Close())
	}
	err = pghome.With(ctx, s.admin, func(ctx context.Context, conn *sql.Conn) error {
		for _, l := range lints {
			objects, err := pghome.Texts(ctx, conn, ours+l.Query, login, s.prefix, s.templateName())
			if err != nil {
				return fmt.Errorf("look for %s: %w", l.Finding, err)
			}
			found = append(found, l.Report(objects))
		}
		return nil
	})
	return errors.Join(append(found, err)...)
}
