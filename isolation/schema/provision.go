package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/tenant"
)

// Provision makes t's schema, its roles and its entry in the registry in one
// transaction, runs the migrations, and only then marks the home as finished. One
// that a failure or a kill left unfinished is not routable, and is finished by
// the next call. Calls for one tenant wait for each other.
func (s *Strategy) Provision(ctx context.Context, t tenant.Tenant) error {
	return s.administer(ctx, "provision", t.ID, func(ctx context.Context, conn *sql.Conn, in *installation) error {
		r, err := s.reserve(ctx, conn, in, t.ID)
		if err != nil {
			return err
		}
		if err := s.bringUp(ctx, conn, in, r); err != nil {
			return err
		}
		_, err = conn.ExecContext(ctx,
			"UPDATE tenancy.homes SET ready_at = pg_catalog.now() WHERE tenant_id = $1 AND ready_at IS NULL", string(t.ID))
		return err
	})
}

// Migrate brings t's home to the current schema.
func (s *Strategy) Migrate(ctx context.Context, t tenant.Tenant) error {
	return s.administer(ctx, "migrate", t.ID, func(ctx context.Context, conn *sql.Conn, in *installation) error {
		r, err := readRecord(ctx, conn, t.ID)
		if errors.Is(err, sql.ErrNoRows) || err == nil && !r.ready {
			return isolation.ErrNotProvisioned
		}
		if err != nil {
			return err
		}
		return s.bringUp(ctx, conn, in, r)
	})
}

// Deprovision drops t's schema with all in it, its roles and its entry in the
// registry, in one transaction. It waits for transactions that use the schema.
// Connections that were confined to t before find nothing any more, not even in a
// new home of t: Pool.Forget closes them.
func (s *Strategy) Deprovision(ctx context.Context, t tenant.Tenant) error {
	err := s.administer(ctx, "deprovision", t.ID, func(ctx context.Context, conn *sql.Conn, _ *installation) error {
		r, err := readRecord(ctx, conn, t.ID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		return pghome.InTx(ctx, conn, func(tx *sql.Tx) error { return remove(ctx, tx, r) })
	})
	s.homes.Remove(t.ID)
	return err
}

// administer runs work on an administrative connection, under the lock of id's
// home.
func (s *Strategy) administer(ctx context.Context, what string, id tenant.ID,
	work func(context.Context, *sql.Conn, *installation) error,
) error {
	err := id.Validate()
	in := s.installed.Load()
	if err == nil && in == nil {
		in, err = s.install(ctx)
	}
	if err == nil {
		err = pghome.Reuse(ctx, s.admin, func(ctx context.Context, conn *sql.Conn) error {
			return pghome.WithLock(ctx, conn, pghome.Exclusive, "schema/home/"+string(id), func() error {
				return work(ctx, conn, in)
			})
		})
	}
	if err != nil {
		return fmt.Errorf("isolation/schema: %s tenant %s: %w", what, id, err)
	}
	return nil
}

// record is a row of the registry.
type record struct {
	schema, role, owner string
	schemaOID           int64 // 0 if the schema is not there
	ready               bool
}

// readRecord returns sql.ErrNoRows for a tenant that has no home.
func readRecord(ctx context.Context, conn *sql.Conn, id tenant.ID) (record, error) {
	var r record
	err := conn.QueryRowContext(ctx,
		`SELECT h.schema_name, h.role_name, h.owner_name, COALESCE(n.oid::pg_catalog.int8, 0), h.ready_at IS NOT NULL
		FROM tenancy.homes h LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = h.schema_name WHERE h.tenant_id = $1`, string(id)).
		Scan(&r.schema, &r.role, &r.owner, &r.schemaOID, &r.ready)
	return r, err
}

// reserve returns id's entry in the registry. If there is none, it makes it,
// with schema and roles. Whatever exists under these names already and is not
// registered is not taken over: the transaction fails.
func (s *Strategy) reserve(ctx context.Context, conn *sql.Conn, in *installation, id tenant.ID) (record, error) {
	r, err := readRecord(ctx, conn, id)
	if !errors.Is(err, sql.ErrNoRows) {
		return r, err
	}
	if r, err = s.newRecord(in, id); err != nil {
		return record{}, err
	}
	err = pghome.InTx(ctx, conn, func(tx *sql.Tx) error {
		if err := pghome.ExecAll(ctx, tx, s.creation(in, r)...); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx,
			"INSERT INTO tenancy.homes (tenant_id, schema_name, role_name, owner_name) VALUES ($1, $2, $3, $4)",
			string(id), r.schema, r.role, r.owner)
		return err
	})
	return r, err
}

// newRecord names a new home. Roles belong to the whole server, so their names
// carry the database's number.
func (s *Strategy) newRecord(in *installation, id tenant.ID) (record, error) {
	schema := s.name(id)
	if err := pghome.ValidName(schema); err != nil {
		return record{}, fmt.Errorf("option Name: %w", err)
	}
	if schema == "public" || schema == "tenancy" || schema == "information_schema" || slices.Contains(in.reserved, schema) {
		return record{}, fmt.Errorf("option Name: name %q is taken by PostgreSQL or by this package", schema)
	}
	role := fmt.Sprintf("%s_%d", schema, in.databaseOID)
	return record{schema: schema, role: pghome.Shorten(role), owner: pghome.Shorten(role + "_owner")}, nil
}

// creation returns the statements that make a home. The tenant's role owns
// nothing. What its owner makes later carries the tenant's rights from the start,
// and nothing for PUBLIC.
func (s *Strategy) creation(in *installation, r record) []string {
	role, owner, schema := pghome.Quote(r.role), pghome.Quote(r.owner), pghome.Quote(r.schema)
	statements := []string{
		"CREATE ROLE " + owner + " NOLOGIN",
		"CREATE ROLE " + role + " NOLOGIN NOINHERIT",
	}
	if !in.superuser { // who made a role is not its member yet
		statements = append(statements, "GRANT "+owner+", "+role+" TO CURRENT_USER"+in.membership(true))
	}
	defaults := "ALTER DEFAULT PRIVILEGES FOR ROLE " + owner
	return append(statements,
		"CREATE SCHEMA "+schema+" AUTHORIZATION "+owner,
		"GRANT USAGE ON SCHEMA "+schema+" TO "+role,
		defaults+" REVOKE EXECUTE ON ROUTINES FROM PUBLIC",
		defaults+" REVOKE USAGE ON TYPES FROM PUBLIC",
		defaults+" IN SCHEMA "+schema+" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "+role,
		defaults+" IN SCHEMA "+schema+" GRANT USAGE ON SEQUENCES TO "+role,
		defaults+" IN SCHEMA "+schema+" GRANT EXECUTE ON ROUTINES TO "+role,
		defaults+" IN SCHEMA "+schema+" GRANT USAGE ON TYPES TO "+role,
	)
}

// membership returns the clause of GRANT role that says how the member has the
// role's rights: with inherit at once, else through SET ROLE alone. Before
// PostgreSQL 16 the member's own INHERIT or NOINHERIT decides.
func (f facts) membership(inherit bool) string {
	switch {
	case f.version < 160000:
		return ""
	case inherit:
		return " WITH INHERIT TRUE, SET TRUE"
	default:
		return " WITH INHERIT FALSE, SET TRUE"
	}
}

// remove drops a home. DROP OWNED takes what the schema did not contain: rights
// given by hand, default privileges, large objects.
func remove(ctx context.Context, tx *sql.Tx, r record) error {
	if err := pghome.ExecAll(ctx, tx, "DROP SCHEMA IF EXISTS "+pghome.Quote(r.schema)+" CASCADE"); err != nil {
		return err
	}
	for _, role := range []string{r.role, r.owner} {
		var exists bool
		err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1)", role).Scan(&exists)
		if err != nil {
			return err
		}
		if !exists {
			continue
		}
		if err := pghome.ExecAll(ctx, tx, "DROP OWNED BY "+pghome.Quote(role)+" CASCADE", "DROP ROLE "+pghome.Quote(role)); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM tenancy.homes WHERE schema_name = $1", r.schema)
	return err
}
