package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/tenant"
)

var _ isolation.Sizer = (*Strategy)(nil)

// sizeQuery adds up what tables, materialized views and sequences take, with their
// indexes and what is stored beside them.
const sizeQuery = `SELECT COALESCE((SELECT pg_catalog.sum(pg_catalog.pg_total_relation_size(c.oid))
		FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'm', 'S')), 0)::pg_catalog.int8
	FROM tenancy.homes h JOIN pg_catalog.pg_namespace n ON n.nspname = h.schema_name
	WHERE h.tenant_id = $1 AND h.ready_at IS NOT NULL`

// Size returns what all relations of t's schema take on disk. It asks the administrative
// connector.
func (s *Strategy) Size(ctx context.Context, t tenant.Tenant) (int64, error) {
	if err := t.ID.Validate(); err != nil {
		return 0, err
	}
	var size int64
	err := errNoAdmin
	if s.admin != nil {
		err = pghome.Reuse(ctx, s.admin, func(ctx context.Context, conn *sql.Conn) error {
			return conn.QueryRowContext(ctx, sizeQuery, string(t.ID)).Scan(&size)
		})
	}
	if state := pghome.State(err); errors.Is(err, sql.ErrNoRows) || state == "42P01" || state == "3F000" { // no registry yet
		err = isolation.ErrNotProvisioned
	}
	if err != nil {
		return 0, fmt.Errorf("isolation/schema: size of tenant %s: %w", t.ID, err)
	}
	return size, nil
}
