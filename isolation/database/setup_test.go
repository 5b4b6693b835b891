package database_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

const ordersUp = `-- +goose Up
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text NOT NULL);
CREATE SCHEMA ledger;
CREATE TABLE ledger.entries (amount bigint);
`

func orders() fstest.MapFS { return fstest.MapFS{"00001_orders.sql": {Data: []byte(ordersUp)}} }

// fixture is a maintenance database with a login role, and a prefix of its own.
type fixture struct {
	*pgtest.DB
	admin, app *postgres.Connector
	root       *sql.DB // the superuser's
	login      string
	prefix     string
	kept       pghome.Connections // of the suite's provisioning
}

func newFixture(t testing.TB) *fixture { return fixtureOn(t, pgtest.Open(t)) }

func fixtureOn(t testing.TB, db *pgtest.DB) *fixture {
	t.Helper()
	f := &fixture{DB: db, login: pgtest.Name(t, "app"), prefix: pgtest.Name(t, "p") + "_"}
	f.admin = connector(t, db.URL())
	f.root = sql.OpenDB(f.admin)
	t.Cleanup(func() {
		f.dropAll(t)
		require.NoError(t, errors.Join(f.kept.Close(), f.root.Close()))
	})
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

// dropAll removes what the test has made on the shared server.
func (f *fixture) dropAll(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*soon)
	defer cancel()
	for _, name := range f.databases(t, ctx) {
		_, err := f.root.ExecContext(ctx, `ALTER DATABASE "`+name+`" IS_TEMPLATE false`)
		require.NoError(t, err)
		_, err = f.root.ExecContext(ctx, `DROP DATABASE "`+name+`" WITH (FORCE)`)
		require.NoError(t, err)
	}
}

// databases lists what there is under the fixture's prefix.
func (f *fixture) databases(t testing.TB, ctx context.Context) []string { //nolint:revive // t first, as in testify
	t.Helper()
	rows, err := f.root.QueryContext(ctx, `SELECT datname FROM pg_database WHERE starts_with(datname, $1) ORDER BY 1`, f.prefix)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	names := []string{}
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		names = append(names, name)
	}
	require.NoError(t, rows.Err())
	return names
}

// strategy returns a strategy over f with [orders], unless opts say otherwise.
func (f *fixture) strategy(t testing.TB, opts ...database.Option) *database.Strategy {
	t.Helper()
	return f.migrating(t, orders(), opts...)
}

func (f *fixture) migrating(t testing.TB, files fs.FS, opts ...database.Option) *database.Strategy {
	t.Helper()
	s, err := database.New(f.app, append([]database.Option{
		database.Admin(f.admin), database.Migrations(files), database.Prefix(f.prefix),
	}, opts...)...)
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
func provision(t testing.TB, s *database.Strategy, db *sql.DB, ids ...string) {
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

// soon is the bound of whatever a test waits for.
const soon = time.Minute
