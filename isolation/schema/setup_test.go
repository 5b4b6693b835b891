package schema_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/schema"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// ordersUp is a home with what can carry rights: a table with an identity, a
// sequence, a view, functions with the rights of caller and of owner.
const ordersUp = `-- +goose Up
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text NOT NULL);
CREATE SEQUENCE numbers;
CREATE VIEW items AS SELECT item FROM orders;
-- +goose StatementBegin
CREATE FUNCTION spy(victim text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE n bigint;
BEGIN EXECUTE 'SELECT count(*) FROM ' || victim INTO n; RETURN n; END $$;
-- +goose StatementEnd
`

func orders() fs.FS { return fstest.MapFS{"00001_orders.sql": {Data: []byte(ordersUp)}} }

// fixture is a database with a login role, and the superuser's way into it.
type fixture struct {
	*pgtest.DB
	admin, app *postgres.Connector
	root       *sql.DB // the superuser's
	login      string
	kept       pghome.Connections // of the suite's provisioning
}

func newFixture(t testing.TB) *fixture { return fixtureOn(t, pgtest.Open(t)) }

func fixtureOn(t testing.TB, db *pgtest.DB) *fixture {
	t.Helper()
	f := &fixture{DB: db, login: pgtest.Name(t, "app")}
	f.admin = connector(t, db.URL())
	f.root = sql.OpenDB(f.admin)
	t.Cleanup(func() { require.NoError(t, errors.Join(f.kept.Close(), f.root.Close())) })
	require.NoError(t, postgres.EnsureRole(t.Context(), f.root, f.login, "secret"))
	f.app = connector(t, db.As(f.login, "secret"))
	return f
}

func connector(t testing.TB, url string) *postgres.Connector {
	t.Helper()
	c, err := postgres.NewConnector(url)
	require.NoError(t, err)
	return c
}

// strategy returns a strategy over f with [orders], unless opts say otherwise.
func (f *fixture) strategy(t testing.TB, opts ...schema.Option) *schema.Strategy {
	t.Helper()
	s, err := schema.New(f.app, append([]schema.Option{schema.Admin(f.admin), schema.Migrations(orders())}, opts...)...)
	require.NoError(t, err)
	return s
}

// open returns s as a *sql.DB that is closed when the test ends.
func open(t testing.TB, s isolation.Strategy, opts ...isolation.Option) *sql.DB {
	t.Helper()
	pool, err := isolation.New(s, opts...)
	require.NoError(t, err)
	db := sql.OpenDB(pool)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func tenantOf(id string) tenant.Tenant {
	return tenant.Tenant{ID: tenant.ID(id), Slug: id, Name: id, Status: tenant.StatusActive, Version: 1}
}

func in(ctx context.Context, id string) context.Context { return tenant.NewContext(ctx, tenantOf(id)) }

// provision makes homes and puts one order into each, which names its tenant.
func provision(t testing.TB, s *schema.Strategy, db *sql.DB, ids ...string) {
	t.Helper()
	for _, id := range ids {
		require.NoError(t, s.Provision(t.Context(), tenantOf(id)))
		_, err := db.ExecContext(in(t.Context(), id), `INSERT INTO orders (item) VALUES ($1)`, "of "+id)
		require.NoError(t, err)
	}
}

// one returns the only value of a query.
func one[T any](t testing.TB, ctx context.Context, db *sql.DB, query string, args ...any) T { //nolint:revive // t first, as in testify
	t.Helper()
	var v T
	require.NoError(t, db.QueryRowContext(ctx, query, args...).Scan(&v), query)
	return v
}
