package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/isolation/internal/pgsession"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/tenant"
)

// home is a finished home as the registry has it.
type home struct {
	schema, role       string
	schemaOID, roleOID uint32
	place              isolation.Place
	confine            string // SQL that confines a session that was reset
}

// same reports whether h and other are one and the same home.
func (h *home) same(other *home) bool {
	return h.schemaOID == other.schemaOID && h.roleOID == other.roleOID && h.schema == other.schema && h.role == other.role
}

// defaultName names a home after its tenant.
func defaultName(id tenant.ID) string { return pghome.Name("t_", id) }

// home returns id's home, from memory or from the registry. Homes that are not
// there are not remembered, since another process may be making them.
func (s *Strategy) home(ctx context.Context, id tenant.ID) (*home, error) {
	if h, ok := s.homes.Get(id); ok {
		return h, nil
	}
	if err := id.Validate(); err != nil {
		return nil, err
	}
	select {
	case s.lookups <- struct{}{}:
		defer func() { <-s.lookups }()
	case <-ctx.Done():
		return nil, fmt.Errorf("isolation/schema: find home of tenant %s: %w", id, ctx.Err())
	}
	if h, ok := s.homes.Get(id); ok { // found by another meanwhile
		return h, nil
	}
	h, err := s.lookup(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("isolation/schema: find home of tenant %s: %w", id, err)
	}
	s.homes.Add(id, h)
	return h, nil
}

// forget drops h from memory, unless another has taken its place.
func (s *Strategy) forget(id tenant.ID, h *home) {
	if now, ok := s.homes.Peek(id); ok && now == h {
		s.homes.Remove(id)
	}
}

const homeQuery = `SELECT schema_name, role_name, schema_oid, role_oid FROM tenancy.home_of($1)`

// lookup reads the registry over a connection of its own, which it closes: it
// runs once for each tenant and process.
func (s *Strategy) lookup(ctx context.Context, id tenant.ID) (*home, error) {
	h := &home{}
	err := pghome.With(ctx, s.connector, func(ctx context.Context, conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, homeQuery, string(id)).Scan(&h.schema, &h.role, &h.schemaOID, &h.roleOID)
	})
	switch state := pghome.State(err); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, isolation.ErrNotProvisioned
	case state == "3F000" || state == "42883": // no schema tenancy, or no function in it
		return nil, fmt.Errorf("%w: the database has no registry of homes yet; Prepare or Provision makes it", isolation.ErrNotProvisioned)
	case err != nil:
		return nil, err
	}
	return h, s.complete(h)
}

// complete fills in what follows from h's names.
func (s *Strategy) complete(h *home) error {
	h.confine = confinement(h, s.login != nil)
	h.place = isolation.Place{Key: s.key, Connector: s.checked}
	if s.login == nil {
		return nil
	}
	connector, err := s.login.connector(h.role)
	if err != nil {
		return err
	}
	h.place = isolation.Place{Key: s.key + "/" + h.role, Connector: connector}
	return nil
}

// confinement returns the SQL that confines a session to h: a check that h is still
// what it was, role and path. pg_temp comes last, so that nothing in it shadows a
// table.
func confinement(h *home, loggedIn bool) string {
	check, take := h.isCurrent(), "SET ROLE "+pghome.Quote(h.role)+";"
	if loggedIn {
		check += fmt.Sprintf(" AND SESSION_USER::pg_catalog.text OPERATOR(pg_catalog.=) %s::pg_catalog.text", pghome.Literal(h.role))
		take = ""
	}
	return "SELECT " + failUnless(check) + ";" + take + "SET search_path TO " + h.path() + ";"
}

// entry gives h to one transaction. The login role may not be what an earlier
// statement has left, so it comes first. Should the server evaluate the rest in
// another order, the session is left with the login role's rights, which are none. The
// limits are in the same SELECT, since the tenant's role may not call set_config with
// [RevokeSetConfig]: rights are checked before any of it is evaluated.
func (s *Strategy) entry(id tenant.ID, h *home, limits *pgsession.Settings) postgres.Entry {
	return postgres.Entry{
		Local: true,
		Statements: []postgres.Statement{
			{Query: "SET SESSION AUTHORIZATION DEFAULT"},
			{
				Query: "SELECT tenancy.clear(), " + failUnless(h.isCurrent()) +
					", pg_catalog.set_config('search_path', $1, true), pg_catalog.set_config('role', $2, true)" + limits.Local,
				Args: []string{h.path(), h.role},
			},
		},
		Failed: func(err error) {
			if isStale(err) {
				s.forget(id, h)
			}
		},
	}
}

// path is what names are looked up in.
func (h *home) path() string { return pghome.Quote(h.schema) + ", pg_temp" }

// isCurrent returns a condition: that h's names still mean what they meant when the
// registry was read.
func (h *home) isCurrent() string {
	return fmt.Sprintf("%s::pg_catalog.regrole::pg_catalog.oid OPERATOR(pg_catalog.=) %d::pg_catalog.oid"+
		" AND %s::pg_catalog.regnamespace::pg_catalog.oid OPERATOR(pg_catalog.=) %d::pg_catalog.oid",
		pghome.Literal(pghome.Quote(h.role)), h.roleOID, pghome.Literal(pghome.Quote(h.schema)), h.schemaOID)
}

// failUnless returns an expression that fails unless the condition holds, by a cast
// of 'stale home' to a number, and so undoes the whole transaction.
func failUnless(condition string) string {
	return "(CASE WHEN " + condition + " THEN '1' ELSE 'stale home' END)::pg_catalog.int4"
}
