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

var _ isolation.Sizer = (*Strategy)(nil)

const sizeQuery = `SELECT pg_catalog.pg_database_size(d.oid) FROM pg_catalog.pg_database d
	WHERE d.datname = $1 AND pg_catalog.shobj_description(d.oid, 'pg_database') = $2`

// Size returns what t's database takes on disk, with the server's own tables in it: some
// 7 MB before there is any data. It asks the maintenance database.
func (s *Strategy) Size(ctx context.Context, t tenant.Tenant) (int64, error) {
	if err := t.ID.Validate(); err != nil {
		return 0, err
	}
	var size int64
	err := errNoAdmin
	if s.admin != nil {
		err = pghome.Reuse(ctx, s.admin, func(ctx context.Context, conn *sql.Conn) error {
			return conn.QueryRowContext(ctx, sizeQuery, s.homeName(t.ID), homeMark(t.ID)).Scan(&size)
		})
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = isolation.ErrNotProvisioned
	}
	if err != nil {
		return 0, fmt.Errorf("isolation/database: size of tenant %s: %w", t.ID, err)
	}
	return size, nil
}
