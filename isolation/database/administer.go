package database

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/lib/pq"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/tenant"
)

var _ isolation.Administrator = (*Strategy)(nil)

// HomeKeys asks the maintenance database, once. Keys have the database's number,
// which a database of the same name made later does not have.
func (s *Strategy) HomeKeys(ctx context.Context, ts []tenant.Tenant) ([]string, error) {
	if len(ts) == 0 {
		return nil, nil
	}
	names, marks := make([]string, len(ts)), make([]string, len(ts))
	for i, t := range ts {
		if err := t.ID.Validate(); err != nil {
			return nil, err
		}
		names[i], marks[i] = s.homeName(t.ID), homeMark(t.ID)
	}
	keys := make([]string, len(ts))
	err := errNoAdmin
	if s.admin != nil {
		err = pghome.Reuse(ctx, s.admin, func(ctx context.Context, conn *sql.Conn) error {
			return s.homeKeys(ctx, conn, names, marks, keys)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("isolation/database: find homes: %w", err)
	}
	return keys, nil
}

// homeKeys sets the keys of those whose database is there, with their mark.
func (s *Strategy) homeKeys(ctx context.Context, conn *sql.Conn, names, marks, keys []string) error {
	rows, err := conn.QueryContext(ctx, `SELECT w.i, d.oid::pg_catalog.int8
		FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) WITH ORDINALITY AS w (name, mark, i)
		JOIN pg_catalog.pg_database d ON d.datname = w.name
		WHERE pg_catalog.shobj_description(d.oid, 'pg_database') = w.mark`, pq.Array(names), pq.Array(marks))
	if err != nil {
		return err
	}
	defer rows.Close() // rows.Err tells
	for rows.Next() {
		var i, oid int64
		if err := rows.Scan(&i, &oid); err != nil {
			return err
		}
		keys[i-1] = s.homeKey(names[i-1], oid)
	}
	return rows.Err()
}

func (s *Strategy) homeKey(name string, oid int64) string {
	return fmt.Sprintf("%s%s#%d", s.key, name, oid)
}

// tablesQuery finds the schemas of a home, the place for new tables first. All but the
// server's own are the tenant's, since nobody else is in there.
const tablesQuery = `SELECT n.nspname FROM pg_catalog.pg_namespace n
	WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
	ORDER BY n.nspname IS DISTINCT FROM pg_catalog.current_schema(), n.nspname`

// Administer lets work into t's database, on a connection beside the one to the
// maintenance database that holds the lock of t's home.
func (s *Strategy) Administer(ctx context.Context, t tenant.Tenant,
	work func(context.Context, *sql.Conn, isolation.Home) error,
) error {
	return s.administer(ctx, "administer", t.ID, func(ctx context.Context, conn *sql.Conn) error {
		found, err := s.inspect(ctx, conn, t.ID)
		if err != nil {
			return err
		}
		if found != home {
			return isolation.ErrNotProvisioned
		}
		name := s.homeName(t.ID)
		return pghome.With(ctx, s.admin.WithDatabase(name), func(ctx context.Context, conn *sql.Conn) error {
			h := isolation.Home{Dialect: "postgres", Versions: homeVersions}
			var oid int64
			err := conn.QueryRowContext(ctx, `SELECT d.oid::pg_catalog.int8 FROM pg_catalog.pg_database d
				WHERE d.datname = pg_catalog.current_database()`).Scan(&oid)
			if err != nil {
				return err
			}
			h.Key = s.homeKey(name, oid)
			if h.Schemas, err = pghome.Texts(ctx, conn, tablesQuery); err != nil {
				return err
			}
			return work(ctx, conn, h)
		})
	})
}
