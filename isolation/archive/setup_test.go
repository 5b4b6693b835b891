package archive_test

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/archive"
	"github.com/tenancy-go/tenancy/isolation/database"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/isolation/schema"
	"github.com/tenancy-go/tenancy/tenant"
)

var (
	acme      = tenant.Tenant{ID: "acme"}
	globex    = tenant.Tenant{ID: "globex"}
	acmeTrial = tenant.Tenant{ID: "acme-trial"}
)

// kinds are the strategies, by name.
var kinds = []string{"row", "schema", "database", "sqlite"}

// place is a strategy with the pool of an application over it.
type place struct {
	name     string
	strategy archive.Strategy
	pool     *isolation.Pool
	db       *sql.DB
	role     string  // of the runtime
	url      string  // of the superuser's database; "" for SQLite
	admin    *sql.DB // the superuser's, in the database of row and schema; nil for SQLite
}

// files are the migrations of each strategy.
type files struct{ shared, own, sqlite fs.FS }

func testFiles() files { return files{sharedTables(), ownTables(), fileTables()} }

// newPlace makes a place of a kind, with the tests' tables.
func newPlace(t testing.TB, kind string) *place { return placeOf(t, kind, testFiles()) }

func placeOf(t testing.TB, kind string, f files) *place {
	t.Helper()
	if kind == "sqlite" {
		s, err := sqlitefile.New(t.TempDir(), sqlitefile.Migrations(f.sqlite))
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, s.Close()) })
		return pooled(t, &place{name: kind, strategy: s})
	}
	db := pgtest.Open(t)
	admin := connector(t, db.URL())
	root := sql.OpenDB(admin)
	t.Cleanup(func() { assert.NoError(t, root.Close()) })
	role := pgtest.Name(t, "app")
	require.NoError(t, postgres.EnsureRole(t.Context(), root, role, "secret"))
	app := connector(t, db.As(role, "secret"))
	p := &place{name: kind, role: role, admin: root, url: db.URL()}
	var err error
	switch kind {
	case "row":
		p.strategy, err = row.New(app, row.Admin(admin), row.Migrations(f.shared))
	case "schema":
		p.strategy, err = schema.New(app, schema.Admin(admin), schema.Migrations(f.own))
	case "database":
		prefix := pgtest.Name(t, "p") + "_"
		t.Cleanup(func() { dropAll(t, root, prefix) })
		p.strategy, err = database.New(app, database.Admin(admin), database.Prefix(prefix), database.Migrations(f.own))
	}
	require.NoError(t, err)
	return pooled(t, p)
}

func pooled(t testing.TB, p *place) *place {
	t.Helper()
	require.NoError(t, p.strategy.Prepare(t.Context()))
	pool, err := isolation.New(p.strategy)
	require.NoError(t, err)
	p.pool, p.db = pool, sql.OpenDB(pool)
	t.Cleanup(func() { assert.NoError(t, p.db.Close()) })
	return p
}

func connector(t testing.TB, url string) *postgres.Connector {
	t.Helper()
	c, err := postgres.NewConnector(url)
	require.NoError(t, err)
	return c
}

// dropAll drops the databases of tenants on the shared server.
func dropAll(t testing.TB, root *sql.DB, prefix string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	var names []string
	rows, err := root.QueryContext(ctx, `SELECT datname FROM pg_database WHERE starts_with(datname, $1)`, prefix)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		names = append(names, name)
	}
	require.NoError(t, rows.Err())
	for _, name := range names {
		_, err := root.ExecContext(ctx, fmt.Sprintf(`ALTER DATABASE %q IS_TEMPLATE false`, name))
		require.NoError(t, err)
		_, err = root.ExecContext(ctx, fmt.Sprintf(`DROP DATABASE %q WITH (FORCE)`, name))
		require.NoError(t, err)
	}
}

func (p *place) archiver(t testing.TB, opts ...archive.Option) *archive.Archiver {
	t.Helper()
	a, err := archive.New(p.strategy, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, a.Close()) })
	return a
}

func in(t testing.TB, who tenant.Tenant) context.Context { return tenant.NewContext(t.Context(), who) }

func (p *place) exec(t testing.TB, who tenant.Tenant, query string, args ...any) {
	t.Helper()
	_, err := p.db.ExecContext(in(t, who), query, args...)
	require.NoError(t, err, "%s: %s", p.name, query)
}

func one[T any](t testing.TB, p *place, who tenant.Tenant, query string, args ...any) T {
	t.Helper()
	var v T
	require.NoError(t, p.db.QueryRowContext(in(t, who), query, args...).Scan(&v), "%s: %s", p.name, query)
	return v
}

// fill gives tenants a home in a place on PostgreSQL, and rows.
func (p *place) fill(t testing.TB, who ...tenant.Tenant) {
	t.Helper()
	for _, w := range who {
		require.NoError(t, p.strategy.Provision(t.Context(), w))
		for _, query := range fill {
			p.exec(t, w, query, string(w.ID)+" ")
		}
	}
}

// hashes are a tenant's tables as Export tells them.
func (p *place) hashes(t testing.TB, who tenant.Tenant) map[string]string {
	t.Helper()
	m, err := p.archiver(t).Export(t.Context(), who, discardWriter{})
	require.NoError(t, err)
	return hashesOf(m)
}

func hashesOf(m archive.Manifest) map[string]string {
	hashes := map[string]string{}
	for _, table := range m.Tables {
		hashes[table.Name] = fmt.Sprint(table.Rows, " ", table.Hash)
	}
	return hashes
}

type discardWriter struct{}

func (discardWriter) Write(p []byte) (int, error) { return len(p), nil }
