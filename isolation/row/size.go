package row

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/tenant"
)

var _ isolation.Sizer = (*Strategy)(nil)

// sizeSQL returns the query that measures the rows that the session sees. A row takes 28
// bytes (its header and its place in the page) beside its columns. Columns are measured
// one by one: of a value that is stored apart, only its size is read. Tables with the tenant
// column that the role may read are the tenants', each once: the connector refuses a
// role that reaches others, or partitions by themselves.
const sizeSQL = `WITH tables AS (
	SELECT pg_catalog.format('SELECT 28 * pg_catalog.count(*) + COALESCE(pg_catalog.sum(%s), 0) FROM %I.%I',
		pg_catalog.string_agg(pg_catalog.format('COALESCE(pg_catalog.pg_column_size(%I), 0)', k.attname), ' + '), n.nspname, c.relname) AS query
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = $1 AND NOT a.attisdropped
		JOIN pg_catalog.pg_attribute k ON k.attrelid = c.oid AND k.attnum > 0 AND NOT k.attisdropped
	WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('information_schema', 'tenancy') AND n.nspname !~ '^pg_'
		AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_column_privilege(c.oid, k.attnum, 'SELECT')
	GROUP BY n.nspname, c.relname)
SELECT 'SELECT pg_catalog.sum(bytes)::pg_catalog.int8 FROM (' || pg_catalog.string_agg(query, ' UNION ALL ') || ') AS tables (bytes)' FROM tables`

// Size returns an estimate of what t's rows take in all tenants' tables: the rows as
// they are stored, compressed and apart, without indexes, and without what was deleted. It
// reads the rows on a connection of its own that is confined to t, as the runtime role:
// what that may not read does not count.
func (s *Strategy) Size(ctx context.Context, t tenant.Tenant) (int64, error) {
	if err := t.ID.Validate(); err != nil {
		return 0, err
	}
	var size int64
	err := pghome.With(ctx, confined{s, t}, func(ctx context.Context, conn *sql.Conn) error {
		var query sql.NullString
		err := conn.QueryRowContext(ctx, sizeSQL, s.column).Scan(&query)
		if err != nil || !query.Valid { // no tables yet
			return err
		}
		return conn.QueryRowContext(ctx, query.String).Scan(&size)
	})
	if err != nil {
		return 0, fmt.Errorf("isolation/row: size of tenant %s: %w", t.ID, err)
	}
	return size, nil
}

// confined opens connections that are confined to one tenant.
type confined struct {
	strategy *Strategy
	t        tenant.Tenant
}

// Driver returns that of the runtime connector.
func (c confined) Driver() driver.Driver { return c.strategy.runtime.Driver() }

// Connect opens and confines a connection.
func (c confined) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.strategy.place.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.strategy.Confine(ctx, conn, c.t); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}
