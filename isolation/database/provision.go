package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/tenant"
)

// Provision clones the template into t's database, or brings the one that is
// there to the current schema. A template is made first if there is none for
// the migrations as they are. What a killed call left behind is cleared away.
// Calls for one tenant wait for each other; several tenants clone at once.
func (s *Strategy) Provision(ctx context.Context, t tenant.Tenant) error {
	return s.administer(ctx, "provision", t.ID, func(ctx context.Context, conn *sql.Conn) error {
		state, err := s.inspect(ctx, conn, t.ID)
		if err != nil {
			return err
		}
		login, err := s.loginRole(ctx)
		if err != nil {
			return err
		}
		if state == home {
			return s.bringUp(ctx, s.homeName(t.ID), login)
		}
		if err := s.drop(ctx, conn, t.ID, state); err != nil {
			return err
		}
		return s.build(ctx, conn, t.ID, login)
	})
}

// Migrate brings t's database to the current schema.
func (s *Strategy) Migrate(ctx context.Context, t tenant.Tenant) error {
	return s.administer(ctx, "migrate", t.ID, func(ctx context.Context, conn *sql.Conn) error {
		state, err := s.inspect(ctx, conn, t.ID)
		if err != nil {
			return err
		}
		if state != home {
			return isolation.ErrNotProvisioned
		}
		login, err := s.loginRole(ctx)
		if err != nil {
			return err
		}
		return s.bringUp(ctx, s.homeName(t.ID), login)
	})
}

// Deprovision drops t's database and ends the sessions in it.
func (s *Strategy) Deprovision(ctx context.Context, t tenant.Tenant) error {
	err := s.administer(ctx, "deprovision", t.ID, func(ctx context.Context, conn *sql.Conn) error {
		state, err := s.inspect(ctx, conn, t.ID)
		if err != nil {
			return err
		}
		return s.drop(ctx, conn, t.ID, state)
	})
	s.places.Remove(t.ID)
	return err
}

// administer runs work on a connection to the maintenance database, under the
// lock of id's home.
func (s *Strategy) administer(ctx context.Context, what string, id tenant.ID, work func(context.Context, *sql.Conn) error) error {
	err := id.Validate()
	if err == nil && s.admin == nil {
		err = errNoAdmin
	}
	if err == nil {
		err = pghome.Reuse(ctx, s.admin, func(ctx context.Context, conn *sql.Conn) error {
			return pghome.WithLock(ctx, conn, pghome.Exclusive, "database/home/"+s.homeName(id), func() error { return work(ctx, conn) })
		})
	}
	if err != nil {
		return fmt.Errorf("isolation/database: %s tenant %s: %w", what, id, err)
	}
	return nil
}

var errNoAdmin = errors.New("no administrative connector was given; use the option Admin")

// loginRole returns whom the tenants' connector logs in as.
func (s *Strategy) loginRole(ctx context.Context) (string, error) {
	if role := s.login.Load(); role != nil {
		return *role, nil
	}
	var role string
	err := pghome.With(ctx, s.connector, func(ctx context.Context, conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, "SELECT SESSION_USER::pg_catalog.text").Scan(&role)
	})
	if err != nil {
		return "", fmt.Errorf("connect as the tenants' login role (postgres.EnsureRole makes one; it needs CONNECT on %s): %w",
			s.connector.Database(), err)
	}
	s.login.Store(&role)
	return role, nil
}

// state is what the server has under the name of a tenant's home.
type state int

const (
	absent  state = iota
	home          // the tenant's
	removed       // the tenant's, while its removal was cut short
)

// inspect returns an error if there is a database that is not id's home.
func (s *Strategy) inspect(ctx context.Context, conn *sql.Conn, id tenant.ID) (state, error) {
	name := s.homeName(id)
	mark, exists, err := readMark(ctx, conn, name)
	switch {
	case err != nil:
		return absent, err
	case !exists:
		return absent, nil
	case mark == homeMark(id):
		return home, nil
	case mark == removedMark(id):
		return removed, nil
	default:
		return absent, fmt.Errorf("%w: database %s is not marked as the home of tenant %s (its comment is %q); "+
			"rename it, or use another Prefix", isolation.ErrUnsafe, name, id, mark)
	}
}

// readMark returns a database's comment.
func readMark(ctx context.Context, conn *sql.Conn, name string) (mark string, exists bool, err error) {
	err = conn.QueryRowContext(ctx,
		"SELECT COALESCE(pg_catalog.shobj_description(oid, 'pg_database'), '') FROM pg_catalog.pg_database WHERE datname = $1", name).
		Scan(&mark)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return mark, err == nil, err
}

// build clones the template under another name, and in one transaction gives the
// clone its rights, its mark and its name.
func (s *Strategy) build(ctx context.Context, conn *sql.Conn, id tenant.ID, login string) error {
	draft, name := pghome.Quote(s.unfinished(id)), pghome.Quote(s.homeName(id))
	if err := s.clone(ctx, conn, draft, login); err != nil {
		return err
	}
	return pghome.InTx(ctx, conn, func(tx *sql.Tx) error {
		return pghome.ExecAll(ctx, tx,
			"REVOKE ALL ON DATABASE "+draft+" FROM PUBLIC",
			"GRANT CONNECT ON DATABASE "+draft+" TO "+pghome.Quote(login),
			"COMMENT ON DATABASE "+draft+" IS "+pghome.Literal(homeMark(id)),
			"ALTER DATABASE "+draft+" RENAME TO "+name)
	})
}

// drop removes id's database, if there is one, and a draft of it. The mark comes
// first, so that what is half gone is never taken for a home.
func (s *Strategy) drop(ctx context.Context, conn *sql.Conn, id tenant.ID, found state) error {
	name := pghome.Quote(s.homeName(id))
	if found == home {
		err := pghome.InTx(ctx, conn, func(tx *sql.Tx) error {
			return pghome.ExecAll(ctx, tx,
				"COMMENT ON DATABASE "+name+" IS "+pghome.Literal(removedMark(id)),
				"ALTER DATABASE "+name+" ALLOW_CONNECTIONS false")
		})
		if err != nil {
			return err
		}
	}
	if found != absent {
		if err := pghome.ExecAll(ctx, conn, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			return err
		}
	}
	return pghome.ExecAll(ctx, conn, "DROP DATABASE IF EXISTS "+pghome.Quote(s.unfinished(id))+" WITH (FORCE)")
}
