package isolationtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

var contextClauses = []clause{
	{name: "without a tenant nothing reaches the database", check: checkNoTenant},
	{name: "a malformed tenant ID is no tenant", check: checkMalformed},
	{name: "a system context fails where there is no system connector", needs: lacksSystem, check: checkNoSystem},
	{name: "a system context has connections of its own", needs: hasSystem, opts: conns(2), check: checkSystem},
	{name: "the system and the tenants take turns on a small pool", needs: hasSystem, opts: conns(1), check: checkSystem},
	{name: "a system context sees all tenants' rows in shared tables", check: checkSystemRows,
		needs: func(t Target) bool { return t.System && t.Shared }},
}

func hasSystem(t Target) bool   { return t.System }
func lacksSystem(t Target) bool { return !t.System }

// uses tries every way to the database with ctx and returns what each said.
func (s *suite) uses(ctx context.Context) map[string]error {
	errs := map[string]error{}
	_, errs["ExecContext"] = s.db.ExecContext(ctx, "DELETE FROM notes")
	errs["QueryRowContext"] = s.db.QueryRowContext(ctx, allNotes).Scan(new(string))
	errs["QueryContext"] = drained(s.db.QueryContext(ctx, allNotes))
	tx, err := s.db.BeginTx(ctx, nil)
	if err == nil {
		err = errors.Join(errNone, tx.Rollback())
	}
	errs["BeginTx"] = err
	errs["PrepareContext"] = s.prepares(ctx, allNotes)
	errs["Conn"] = s.withConn(ctx, func(conn *sql.Conn) error {
		return drained(conn.QueryContext(ctx, allNotes))
	})
	return errs
}

// prepares prepares a query and runs it.
func (s *suite) prepares(ctx context.Context, query string) error {
	stmt, err := s.db.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = stmt.Close() }() // nothing depends on it
	return drained(stmt.QueryContext(ctx))
}

func drained(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	for rows.Next() {
		err = errors.Join(err, errors.New("a row came back"))
	}
	return errors.Join(err, rows.Err(), rows.Close())
}

// refusesAll wants every use of ctx to fail with want, before a connection is
// opened.
func (s *suite) refusesAll(ctx context.Context, want error) error {
	before := s.Pool.Stats().Opened
	for way, err := range s.uses(ctx) {
		if err := wantErr(way, err, want); err != nil {
			return err
		}
	}
	if opened := s.Pool.Stats().Opened - before; opened != 0 {
		return fmt.Errorf("%d connections were opened", opened)
	}
	return nil
}

func checkNoTenant(ctx context.Context, s *suite) error {
	if err := s.refusesAll(ctx, tenant.ErrNoTenant); err != nil {
		return err
	}
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	if err := s.intact(ctx, a, b); err != nil {
		return err
	}
	if err := s.refusesAll(ctx, tenant.ErrNoTenant); err != nil { // with connections that a tenant left
		return err
	}
	return s.intact(ctx, a, b)
}

func checkMalformed(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	if err := s.intact(ctx, a, b); err != nil {
		return err
	}
	ids := []string{
		"", " ", ".", "..", "../" + string(a.ID), "/tmp/x", `x"; DROP TABLE notes; --`, "x'; DROP TABLE notes; --", "x' OR '1'='1",
		string(a.ID) + " ", string(a.ID) + "\x00", strings.ToUpper(string(a.ID[:8])) + "X", strings.Repeat("a", 64), "ä", "%", "*",
	}
	for _, id := range ids {
		t := a.Tenant
		t.ID = tenant.ID(id)
		if err := s.refusesAll(tenant.NewContext(a.in(ctx), t), tenant.ErrNoTenant); err != nil {
			return fmt.Errorf("tenant ID %q: %w", id, err)
		}
		if err := wantAnyErr(fmt.Sprintf("provisioning tenant ID %q", id), s.Provision(ctx, t)); err != nil {
			return err
		}
		if err := wantAnyErr(fmt.Sprintf("deprovisioning tenant ID %q", id), s.Deprovision(ctx, t)); err != nil {
			return err
		}
	}
	return s.intact(ctx, a, b)
}

func checkNoSystem(ctx context.Context, s *suite) error {
	guests, err := s.invite(ctx, 1)
	if err != nil {
		return err
	}
	if err := s.refusesAll(tenant.System(ctx, "isolationtest"), isolation.ErrNoSystem); err != nil {
		return err
	}
	return s.intact(ctx, guests...)
}

// checkSystem lets system and tenants take turns. Neither may see the other's
// rows through a connection that was the other's.
func checkSystem(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	var tenants, systems []int64
	for _, g := range []guest{a, b, a, b} {
		if err := s.intact(ctx, g); err != nil {
			return err
		}
		pid, err := s.backend(g.in(ctx))
		if err != nil {
			return err
		}
		tenants = append(tenants, pid)
		if err := s.systemBlind(ctx); err != nil {
			return err
		}
		pid, err = s.backend(tenant.System(ctx, "isolationtest"))
		if err != nil {
			return err
		}
		systems = append(systems, pid)
	}
	for _, pid := range systems {
		if s.Dialect == Postgres && slices.Contains(tenants, pid) {
			return fmt.Errorf("%w: the system and a tenant used the same connection, process %d", ErrLeak, pid)
		}
	}
	return s.intact(ctx, a, b)
}

// backend returns the server's process for ctx's connection, where there is one.
func (s *suite) backend(ctx context.Context) (int64, error) {
	query := "SELECT 1"
	if s.Dialect == Postgres {
		query = "SELECT pg_backend_pid()"
	}
	var pid int64
	if err := s.db.QueryRowContext(ctx, query).Scan(&pid); err != nil {
		return 0, fmt.Errorf("%s: %w", query, err)
	}
	return pid, nil
}

// systemBlind wants the system not to find itself confined to a tenant that has
// tables of its own.
func (s *suite) systemBlind(ctx context.Context) error {
	if s.Shared {
		return nil
	}
	rows, err := s.db.QueryContext(tenant.System(ctx, "isolationtest"), allNotes)
	if err != nil {
		return nil // there is no such table for the system
	}
	defer func() { _ = rows.Close() }() // Err tells
	if rows.Next() {
		return fmt.Errorf("%w: the system read a tenant's own table", ErrLeak)
	}
	return rows.Err()
}

func checkSystemRows(ctx context.Context, s *suite) error {
	guests, err := s.invite(ctx, 3)
	if err != nil {
		return err
	}
	system := tenant.System(ctx, "isolationtest")
	for _, g := range guests {
		if err := s.intact(ctx, g); err != nil {
			return err
		}
		query := "SELECT body FROM notes WHERE tenant_id = ?"
		for _, other := range guests {
			n, err := s.marks(system, s.db, other, query, string(other.ID))
			if err == nil && n != seeds {
				err = fmt.Errorf("the system read %d rows of tenant %s, want %d", n, other.ID, seeds)
			}
			if err != nil {
				return err
			}
		}
	}
	return s.intact(ctx, guests...)
}
