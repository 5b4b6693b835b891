package row

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/lib/pq"

	"github.com/tenancy-go/tenancy/internal/sqlkit"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/tenant"
)

// versionTable records the host's migrations.
const versionTable = "tenancy_row_version"

// Provision makes nothing, since tenants share the tables. It returns an
// [*UnsafeError] unless these are as Install makes them, and another error if
// their tenant column cannot hold t's ID.
func (s *Strategy) Provision(ctx context.Context, t tenant.Tenant) error {
	return s.confined(ctx, t, func(tx *sql.Tx, tables []home) error {
		role, err := enterCatalog(ctx, tx)
		if err != nil {
			return fmt.Errorf("isolation/row: %w", err)
		}
		findings, err := s.auditTables(ctx, tx, role)
		if err != nil || len(findings) > 0 {
			return errors.Join(err, unsafeUnlessNone(findings))
		}
		tried := map[string]bool{}
		for _, h := range tables {
			if tried[h.call] {
				continue
			}
			tried[h.call] = true
			if _, err := tx.ExecContext(ctx, "SELECT "+h.call); err != nil {
				return fmt.Errorf("isolation/row: %s cannot hold tenant %s: %w", h.name, t.ID, err)
			}
		}
		return nil
	})
}

// Prepare runs the migrations, if any were given, on the tables that tenants
// share, and then [Strategy.Install]. Call it at start and after each release: Provision needs it.
func (s *Strategy) Prepare(ctx context.Context) error {
	if s.migrations != nil {
		if err := s.administer(ctx, s.installBase); err != nil {
			return err
		}
		db := sql.OpenDB(s.admin)
		defer db.Close()
		if err := sqlkit.Migrate(ctx, db, sqlkit.Postgres, s.migrations, versionTable); err != nil {
			return fmt.Errorf("isolation/row: %w", err)
		}
	}
	return s.Install(ctx)
}

// Migrate is [Strategy.Prepare]: t's tables are everyone's.
func (s *Strategy) Migrate(ctx context.Context, t tenant.Tenant) error {
	if err := t.ID.Validate(); err != nil {
		return err
	}
	return s.Prepare(ctx)
}

// Deprovision deletes t's rows from all tenant tables, as the runtime role
// confined to t, so that the policies hold even here. One statement deletes them
// all, and foreign keys are checked at its end, whatever way they point.
func (s *Strategy) Deprovision(ctx context.Context, t tenant.Tenant) error {
	return s.confined(ctx, t, func(tx *sql.Tx, tables []home) error {
		if len(tables) == 0 {
			return nil
		}
		deletions := make([]string, len(tables))
		for i, h := range tables {
			deletions[i] = fmt.Sprintf("d%d AS (DELETE FROM %s WHERE %s = (SELECT %s))", i, h.name, pq.QuoteIdentifier(s.column), h.call)
		}
		if _, err := tx.ExecContext(ctx, "WITH "+strings.Join(deletions, ", ")+" SELECT"); err != nil {
			return fmt.Errorf("isolation/row: delete rows of tenant %s: %w", t.ID, err)
		}
		return nil
	})
}

// confined runs work in a transaction of the runtime role, confined to t, on a
// connection that the pool does not know.
func (s *Strategy) confined(ctx context.Context, t tenant.Tenant, work func(tx *sql.Tx, tables []home) error) error {
	place, err := s.Place(ctx, t)
	if err != nil {
		return err
	}
	return pghome.ReuseUncleared(ctx, place.Connector, func(ctx context.Context, conn *sql.Conn) error { return s.confinedOn(ctx, conn, t, work) })
}

func (s *Strategy) confinedOn(ctx context.Context, conn *sql.Conn, t tenant.Tenant, work func(tx *sql.Tx, tables []home) error) error {
	if err := conn.Raw(func(raw any) error { return s.confineRaw(ctx, raw, t) }); err != nil {
		return err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("isolation/row: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	tables, err := s.homes(ctx, tx)
	if err != nil {
		return err
	}
	if err := work(tx, tables); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("isolation/row: %w", err)
	}
	return nil
}

func (s *Strategy) confineRaw(ctx context.Context, raw any, t tenant.Tenant) error {
	conn, ok := raw.(driver.Conn)
	if !ok {
		return fmt.Errorf("isolation/row: %T is no connection", raw)
	}
	return s.Confine(ctx, conn, t)
}

// home is a table with tenants' rows.
type home struct {
	name string // quoted
	call string // returns the tenant as its column has it
}

// homes returns the tenant tables.
func (s *Strategy) homes(ctx context.Context, tx *sql.Tx) ([]home, error) {
	const query = ` SELECT name, CASE atttypid WHEN 'uuid'::regtype THEN 'tenancy.current_tenant_uuid()' ELSE 'tenancy.current_tenant()' END
		FROM ten WHERE col IS NOT NULL ORDER BY name`
	rows, err := tx.QueryContext(ctx, scope+query, s.auditArgs(nil)...)
	if err != nil {
		return nil, fmt.Errorf("isolation/row: find tables: %w", err)
	}
	defer rows.Close()
	var tables []home
	for rows.Next() {
		var h home
		if err := rows.Scan(&h.name, &h.call); err != nil {
			return nil, fmt.Errorf("isolation/row: find tables: %w", err)
		}
		tables = append(tables, h)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("isolation/row: find tables: %w", err)
	}
	return tables, nil
}
