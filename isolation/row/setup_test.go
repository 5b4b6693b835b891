package row_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
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

// fixture is a database of one test, with a runtime role and two tenant tables.
type fixture struct {
	db      *pgtest.DB
	admin   *sql.DB // superuser
	role    string
	runtime *postgres.Connector
	kept    pghome.Connections // of the suite's provisioning
}

// provisioner makes and removes homes, on the same connections.
func (f *fixture) provisioner(s *row.Strategy) (provision, deprovision func(context.Context, tenant.Tenant) error) {
	return func(ctx context.Context, t tenant.Tenant) error { return s.Provision(f.kept.Keep(ctx), t) },
		func(ctx context.Context, t tenant.Tenant) error { return s.Deprovision(f.kept.Keep(ctx), t) }
}

const tables = `
	CREATE TABLE orders (tenant_id text NOT NULL, id int, title text, PRIMARY KEY (tenant_id, id));
	CREATE SCHEMA app;
	CREATE TABLE app.items (tenant_id text NOT NULL, id int, order_id int,
		PRIMARY KEY (tenant_id, id), FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id));`

// open makes a fixture with the given DDL; Install is the test's own affair.
func open(t testing.TB, ddl string) *fixture {
	t.Helper()
	f := &fixture{db: pgtest.Open(t), role: pgtest.Name(t, "app")}
	f.admin = sql.OpenDB(f.connector(t, f.db.URL()))
	t.Cleanup(func() { assert.NoError(t, errors.Join(f.kept.Close(), f.admin.Close())) })
	require.NoError(t, postgres.EnsureRole(t.Context(), f.admin, f.role, password))
	f.runtime = f.connector(t, f.db.As(f.role, password))
	f.exec(t, ddl)
	return f
}

func (f *fixture) connector(t testing.TB, url string) *postgres.Connector {
	t.Helper()
	c, err := postgres.NewConnector(url)
	require.NoError(t, err)
	return c
}

// exec runs SQL as a superuser; $app stands for the runtime role.
func (f *fixture) exec(t testing.TB, query string) {
	t.Helper()
	_, err := f.admin.ExecContext(t.Context(), strings.ReplaceAll(query, "$app", f.role))
	require.NoError(t, err)
}

// strategy returns one with an administrator, who is a superuser.
func (f *fixture) strategy(t testing.TB, opts ...row.Option) *row.Strategy {
	t.Helper()
	opts = append([]row.Option{row.Admin(f.connector(t, f.db.URL()))}, opts...)
	s, err := row.New(f.runtime, opts...)
	require.NoError(t, err)
	return s
}

// installed returns a strategy whose tables are ready.
func (f *fixture) installed(t testing.TB, opts ...row.Option) *row.Strategy {
	t.Helper()
	s := f.strategy(t, opts...)
	require.NoError(t, s.Install(t.Context()))
	return s
}

// session is a connection of the strategy's place.
type session struct {
	t    testing.TB
	conn driver.Conn
}

func newSession(t testing.TB, s *row.Strategy) session {
	t.Helper()
	place, err := s.Place(t.Context(), acme)
	require.NoError(t, err)
	conn, err := place.Connector.Connect(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return session{t: t, conn: conn}
}

func (s session) confine(strategy *row.Strategy, to tenant.Tenant) {
	s.t.Helper()
	require.NoError(s.t, strategy.Confine(s.t.Context(), s.conn, to))
}

// enter confines the session and runs a statement, which the tenant travels with.
func (s session) enter(strategy *row.Strategy, to tenant.Tenant) error {
	if err := strategy.Confine(s.t.Context(), s.conn, to); err != nil {
		return err
	}
	return s.exec(`SELECT 1`)
}

func (s session) exec(query string) error {
	_, err := s.conn.(driver.ExecerContext).ExecContext(s.t.Context(), query, nil)
	return err
}

func (s session) must(query string) {
	s.t.Helper()
	require.NoError(s.t, s.exec(query))
}

// column returns the first column of query's rows, as text.
func (s session) column(query string) []string {
	s.t.Helper()
	rows, err := s.conn.(driver.QueryerContext).QueryContext(s.t.Context(), query, nil)
	require.NoError(s.t, err)
	defer rows.Close()
	var values []string
	dest := make([]driver.Value, len(rows.Columns()))
	for err = rows.Next(dest); err == nil; err = rows.Next(dest) {
		if b, ok := dest[0].([]byte); ok {
			dest[0] = string(b)
		}
		values = append(values, fmt.Sprint(dest[0]))
	}
	require.ErrorIs(s.t, err, io.EOF)
	return values
}

// assertUnsafe wants err to have exactly the findings, each as "object: problem"
// in which some words are enough.
func assertUnsafe(t *testing.T, err error, want ...[2]string) {
	t.Helper()
	require.ErrorIs(t, err, isolation.ErrUnsafe)
	var unsafe *row.UnsafeError
	require.ErrorAs(t, err, &unsafe)
	left := slices.Clone(unsafe.Findings)
	for _, w := range want {
		i := slices.IndexFunc(left, func(f row.Finding) bool {
			return strings.Contains(f.Object, w[0]) && strings.Contains(f.Problem, w[1])
		})
		if !assert.GreaterOrEqual(t, i, 0, "no finding %q: %q in\n%v", w[0], w[1], err) {
			continue
		}
		assert.NotEmpty(t, left[i].Remedy)
		left = slices.Delete(left, i, i+1)
	}
	assert.Empty(t, left, "more findings than were planted")
}
