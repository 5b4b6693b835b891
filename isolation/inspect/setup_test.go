package inspect_test

import (
	"context"
	"database/sql"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation/inspect"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

const password = "correct horse"

var (
	acme   = tenant.Tenant{ID: "acme"}
	globex = tenant.Tenant{ID: "globex"}
)

// fixture is a database of one test, with a login role.
type fixture struct {
	*pgtest.DB
	root  *sql.DB // superuser
	admin *postgres.Connector
	app   *postgres.Connector
	role  string

	target inspect.Target
}

func open(t testing.TB, db *pgtest.DB) *fixture {
	t.Helper()
	f := &fixture{DB: db, role: pgtest.Name(t, "app")}
	f.admin = connector(t, db.URL())
	f.root = sql.OpenDB(f.admin)
	t.Cleanup(func() { assert.NoError(t, f.root.Close()) })
	f.exec(t, `CREATE ROLE $app LOGIN NOINHERIT PASSWORD '`+password+`'`)
	f.app = connector(t, db.As(f.role, password))
	return f
}

func connector(t testing.TB, url string) *postgres.Connector {
	t.Helper()
	c, err := postgres.NewConnector(url)
	require.NoError(t, err)
	return c
}

// exec runs SQL as a superuser. $app stands for the login role, $db for the
// database.
func (f *fixture) exec(t testing.TB, query string) {
	t.Helper()
	_, err := f.root.ExecContext(t.Context(), f.names(query))
	require.NoError(t, err, query)
}

func (f *fixture) names(text string) string {
	return strings.NewReplacer("$app", f.role, "$db", f.Name).Replace(text)
}

// run inspects, with names in suppressions put in.
func (f *fixture) run(t testing.TB, target inspect.Target, opts ...inspect.Option) *inspect.Report {
	t.Helper()
	report, err := inspect.Run(t.Context(), f.root, target, opts...)
	require.NoError(t, err)
	return report
}

// lintsOf lists the lints of findings, without doubles.
func lintsOf(report *inspect.Report) []string {
	lints := []string{}
	for _, f := range report.Findings {
		lints = append(lints, f.Lint)
	}
	slices.Sort(lints)
	return slices.Compact(lints)
}

// shared are tenant tables with what can be mended and broken: a serial, a
// partitioned table, a child, a view, an owner who is no superuser.
const shared = `
	CREATE ROLE $app_o NOLOGIN;
	CREATE TABLE orders (tenant_id text NOT NULL, id int, title text, n serial, PRIMARY KEY (tenant_id, id));
	CREATE SCHEMA app;
	CREATE TABLE app.items (tenant_id text NOT NULL, id int, order_id int,
		PRIMARY KEY (tenant_id, id), FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id));
	CREATE TABLE events (tenant_id uuid NOT NULL, id int, PRIMARY KEY (tenant_id, id)) PARTITION BY LIST (tenant_id);
	CREATE TABLE events_rest PARTITION OF events DEFAULT;
	CREATE VIEW titles WITH (security_invoker = on) AS SELECT title FROM orders;
	GRANT SELECT ON titles TO $app;`

// clone returns a copy of f, a database in which row.Strategy has installed all,
// with a runtime role of its own. What a copy does not have, the rights on the
// database and the role's settings, is as Install makes it.
func (f *fixture) clone(t *testing.T) *fixture {
	t.Helper()
	db := &pgtest.DB{Name: pgtest.Name(t, "copy"), Server: f.Server}
	f.execOutside(t, `CREATE DATABASE `+db.Name+` TEMPLATE `+f.Name)
	t.Cleanup(func() { f.execOutside(t, `DROP DATABASE `+db.Name+` WITH (FORCE)`) })
	c := open(t, db)
	c.exec(t, strings.ReplaceAll(`
		REVOKE TEMPORARY, CREATE ON DATABASE $db FROM PUBLIC;
		REVOKE ALL ON ALL TABLES IN SCHEMA public, app FROM $base;
		REVOKE ALL ON ALL SEQUENCES IN SCHEMA public, app FROM $base;
		REVOKE ALL ON SCHEMA public, app FROM $base;
		GRANT USAGE ON SCHEMA public, app TO $app;
		GRANT SELECT, INSERT, UPDATE, DELETE ON orders, app.items, events TO $app;
		GRANT SELECT ON titles TO $app;
		GRANT USAGE ON SEQUENCE orders_n_seq TO $app;
		CREATE ROLE $app_o NOLOGIN;
		ALTER ROLE $app IN DATABASE $db SET search_path = app, public, pg_temp`, "$base", f.role))
	c.target = inspect.Rows(c.role)
	return c
}

// execOutside runs SQL in another database, so that a database can be cloned or
// dropped.
func (f *fixture) execOutside(t testing.TB, query string) {
	t.Helper()
	db := sql.OpenDB(connector(t, f.Server.URL("postgres")))
	defer db.Close()
	_, err := db.ExecContext(context.WithoutCancel(t.Context()), query)
	require.NoError(t, err, query)
}

// installed makes a database with the tables, and has row.Strategy install.
func installed(t *testing.T) *fixture {
	t.Helper()
	f := open(t, pgtest.Open(t))
	f.exec(t, shared)
	require.NoError(t, f.rows(t).Install(t.Context()))
	f.root.SetMaxIdleConns(0) // a database that is in use cannot be cloned
	return f
}

// rows returns the strategy for f's tables.
func (f *fixture) rows(t testing.TB, opts ...row.Option) *row.Strategy {
	t.Helper()
	s, err := row.New(f.app, append([]row.Option{row.Admin(f.admin)}, opts...)...)
	require.NoError(t, err)
	return s
}
