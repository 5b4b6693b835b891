package row

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

// HomeKeys returns the same key for all tenants.
func (s *Strategy) HomeKeys(ctx context.Context, ts []tenant.Tenant) ([]string, error) {
	for _, t := range ts {
		if err := t.ID.Validate(); err != nil {
			return nil, err
		}
	}
	if len(ts) == 0 {
		return nil, nil
	}
	var key string
	err := s.asAdmin(ctx, func(ctx context.Context, conn *sql.Conn) (err error) {
		key, err = s.homeKey(ctx, conn)
		return err
	})
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(ts))
	for i := range keys {
		keys[i] = key
	}
	return keys, nil
}

// Administer lets work into the tables that tenants share, with the search path of
// the administrative role. The functions that policies and defaults call are there
// before. Afterwards, even if work failed, it does what [Strategy.Install] does,
// so that tables which work made are served, and only under policies.
//
// Nothing is locked: work for one tenant keeps no other's waiting.
func (s *Strategy) Administer(ctx context.Context, t tenant.Tenant,
	work func(context.Context, *sql.Conn, isolation.Home) error,
) error {
	if err := t.ID.Validate(); err != nil {
		return err
	}
	if s.admin == nil {
		return fmt.Errorf("isolation/row: administer: %w", errNoAdmin)
	}
	runtime, err := identify(ctx, s.runtime)
	if err != nil {
		return err
	}
	if err := s.administerFor(ctx, runtime, s.installBase); err != nil {
		return err
	}
	err = s.asAdmin(ctx, func(ctx context.Context, conn *sql.Conn) error {
		h, err := s.sharedHome(ctx, conn)
		if err != nil {
			return err
		}
		return work(ctx, conn, h)
	})
	return errors.Join(err, s.administerFor(ctx, runtime, s.installAll))
}

func (s *Strategy) asAdmin(ctx context.Context, work func(context.Context, *sql.Conn) error) error {
	err := errNoAdmin
	if s.admin != nil {
		err = pghome.With(ctx, s.admin, work)
	}
	if err != nil {
		return fmt.Errorf("isolation/row: administer: %w", err)
	}
	return nil
}

// homeKey names the database by its number: one that was restored has another.
func (s *Strategy) homeKey(ctx context.Context, conn *sql.Conn) (string, error) {
	var oid int64
	err := conn.QueryRowContext(ctx, `SELECT d.oid::pg_catalog.int8 FROM pg_catalog.pg_database d
		WHERE d.datname = pg_catalog.current_database()`).Scan(&oid)
	return fmt.Sprintf("%s#%d", s.place.Key, oid), err
}

// schemasQuery finds where the tenants' tables are, the place for new ones first.
const schemasQuery = `SELECT nspname FROM (
	SELECT 0, pg_catalog.current_schema()::pg_catalog.text
	UNION SELECT 1, n.nspname::pg_catalog.text FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = $1 AND NOT a.attisdropped
	WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('information_schema', 'tenancy') AND n.nspname !~ '^pg_'
		AND n.nspname IS DISTINCT FROM pg_catalog.current_schema()
		AND ($2::text[] IS NULL OR n.nspname || '.' || c.relname = ANY ($2))) AS found (rank, nspname)
	WHERE nspname IS NOT NULL ORDER BY rank, nspname`

func (s *Strategy) sharedHome(ctx context.Context, conn *sql.Conn) (isolation.Home, error) {
	h := isolation.Home{Shared: true, Column: s.column, Dialect: "postgres", Versions: versionTable}
	var err error
	if h.Key, err = s.homeKey(ctx, conn); err != nil {
		return h, err
	}
	h.Schemas, err = pghome.Texts(ctx, conn, schemasQuery, s.column, pq.Array(s.tables))
	return h, err
}
