package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lib/pq"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/tenant"
)

var _ isolation.Administrator = (*Strategy)(nil)

// HomeKeys reads the registry, once. Keys have the schema's number, which a schema
// of the same name made later does not have.
func (s *Strategy) HomeKeys(ctx context.Context, ts []tenant.Tenant) ([]string, error) {
	if len(ts) == 0 {
		return nil, nil
	}
	ids := make([]string, len(ts))
	for i, t := range ts {
		if err := t.ID.Validate(); err != nil {
			return nil, err
		}
		ids[i] = string(t.ID)
	}
	keys := make([]string, len(ts))
	err := errNoAdmin
	if s.admin != nil {
		err = pghome.Reuse(ctx, s.admin, func(ctx context.Context, conn *sql.Conn) error {
			return s.homeKeys(ctx, conn, ids, keys)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("isolation/schema: find homes: %w", err)
	}
	return keys, nil
}

// homeKeys sets the keys of ids that have a home.
func (s *Strategy) homeKeys(ctx context.Context, conn *sql.Conn, ids, keys []string) error {
	var registry bool
	err := conn.QueryRowContext(ctx, `SELECT pg_catalog.to_regclass('tenancy.homes') IS NOT NULL`).Scan(&registry)
	if err != nil || !registry {
		return err
	}
	rows, err := conn.QueryContext(ctx, `SELECT w.i, n.nspname, n.oid::pg_catalog.int8
		FROM ROWS FROM (pg_catalog.unnest($1::text[])) WITH ORDINALITY AS w (id, i)
		JOIN tenancy.homes h ON h.tenant_id = w.id AND h.ready_at IS NOT NULL
		JOIN pg_catalog.pg_namespace n ON n.nspname = h.schema_name`, pq.Array(ids))
	if err != nil {
		return err
	}
	defer rows.Close() // rows.Err tells
	for rows.Next() {
		var i, oid int64
		var name string
		if err := rows.Scan(&i, &name, &oid); err != nil {
			return err
		}
		keys[i-1] = s.homeKey(name, oid)
	}
	return rows.Err()
}

func (s *Strategy) homeKey(schema string, oid int64) string {
	return fmt.Sprintf("%s/%s#%d", s.key, schema, oid)
}

// Administer lets work into t's schema as its owner, under the lock of t's home.
func (s *Strategy) Administer(ctx context.Context, t tenant.Tenant,
	work func(context.Context, *sql.Conn, isolation.Home) error,
) error {
	return s.administer(ctx, "administer", t.ID, func(ctx context.Context, conn *sql.Conn, _ *installation) error {
		r, err := readRecord(ctx, conn, t.ID)
		if errors.Is(err, sql.ErrNoRows) || err == nil && (!r.ready || r.schemaOID == 0) {
			return isolation.ErrNotProvisioned
		}
		if err != nil {
			return err
		}
		h := isolation.Home{
			Key:      s.homeKey(r.schema, r.schemaOID),
			Schemas:  []string{r.schema},
			Dialect:  "postgres",
			Versions: r.schema + "." + homeVersions,
		}
		// The connection is closed or cleared when work is done, and needs no way back.
		if _, err := conn.ExecContext(ctx, r.enter()); err != nil {
			return err
		}
		return work(ctx, conn, h)
	})
}
