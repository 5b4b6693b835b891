package isolationtest_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/internal/sqlguard"
	"github.com/tenancy-go/tenancy/internal/sqlkit"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pgsession"
	"github.com/tenancy-go/tenancy/isolation/isolationtest"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/tenant"
)

// The strategies of this file are right, and as small as can be. Those of
// broken_test.go differ from them in one mistake each.

// server is a fresh database with a role for the application.
type server struct {
	db    *pgtest.DB
	role  string
	admin *sql.DB
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{db: pgtest.Open(t), role: pgtest.Name(t, "app")}
	s.admin = sql.OpenDB(connector(t, s.db.URL()))
	t.Cleanup(func() { require.NoError(t, s.admin.Close()) })
	require.NoError(t, postgres.EnsureRole(t.Context(), s.admin, s.role, "secret"))
	return s
}

func connector(t *testing.T, url string) *postgres.Connector {
	t.Helper()
	c, err := postgres.NewConnector(url)
	require.NoError(t, err)
	return c
}

// app returns the application's connector.
func (s *server) app(t *testing.T) driver.Connector { return connector(t, s.db.As(s.role, "secret")) }

// migrate applies the suite's migrations and runs further statements.
func (s *server) migrate(t *testing.T, tables fs.FS, statements ...string) {
	t.Helper()
	require.NoError(t, sqlkit.Migrate(t.Context(), s.admin, sqlkit.Postgres, tables, "suite_version"))
	for _, statement := range statements {
		_, err := s.admin.ExecContext(t.Context(), strings.ReplaceAll(statement, "APP", s.role))
		require.NoError(t, err, statement)
	}
}

// kill ends the application's sessions and waits until they are gone.
func (s *server) kill(ctx context.Context) error {
	_, err := s.admin.ExecContext(ctx, `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = $1`, s.role)
	return err
}

// policies are what keeps tenants apart in shared tables.
var policies = []string{
	`GRANT SELECT, INSERT, UPDATE, DELETE ON notes, tags TO APP`,
	`ALTER TABLE notes ENABLE ROW LEVEL SECURITY`,
	`ALTER TABLE tags ENABLE ROW LEVEL SECURITY`,
	`ALTER TABLE notes ALTER tenant_id SET DEFAULT current_setting('app.tenant')`,
	`ALTER TABLE tags ALTER tenant_id SET DEFAULT current_setting('app.tenant')`,
	`CREATE POLICY own ON notes USING (tenant_id = current_setting('app.tenant', true))`,
	`CREATE POLICY own ON tags USING (tenant_id = current_setting('app.tenant', true))`,
}

// rows is row-level security by a setting of the session.
type rows struct {
	admin     *sql.DB
	connector driver.Connector
	system    driver.Connector // nil for none
}

func newRows(t *testing.T, s *server) *rows {
	t.Helper()
	return &rows{admin: s.admin, connector: s.app(t)}
}

func (r *rows) Place(context.Context, tenant.Tenant) (isolation.Place, error) {
	return isolation.Place{Key: "db", Connector: r.connector}, nil
}

func (r *rows) PlaceSystem(context.Context) (isolation.Place, error) {
	if r.system == nil {
		return isolation.Place{}, isolation.ErrNoSystem
	}
	return isolation.Place{Key: "db", Connector: r.system}, nil
}

func (r *rows) Confine(ctx context.Context, conn driver.Conn, t tenant.Tenant) error {
	return pgsession.Confine(ctx, conn, setTenant(t.ID))
}

func (r *rows) CanLimit() error { return nil }

func (r *rows) ConfineWithin(ctx context.Context, conn driver.Conn, t tenant.Tenant, l isolation.Limits) error {
	return pgsession.Confine(ctx, conn, setTenant(t.ID)+limitText(l))
}

// limitText returns the SET commands of l.
func limitText(l isolation.Limits) string { return pgsession.NewLimits().Settings(l).Text }

func setTenant(id tenant.ID) string {
	return "SELECT pg_catalog.set_config('app.tenant', " + pq.QuoteLiteral(string(id)) + ", false);"
}

func (r *rows) Prepare(context.Context) error { return nil }

func (r *rows) Migrate(context.Context, tenant.Tenant) error { return nil }

func (r *rows) Provision(_ context.Context, t tenant.Tenant) error { return t.ID.Validate() }

func (r *rows) Deprovision(ctx context.Context, t tenant.Tenant) error {
	if err := t.ID.Validate(); err != nil {
		return err
	}
	_, err := r.admin.ExecContext(ctx, `WITH x AS (DELETE FROM tags WHERE tenant_id = $1) DELETE FROM notes WHERE tenant_id = $1`, string(t.ID))
	return err
}

// schemas gives each tenant a schema and a role with rights on it alone.
type schemas struct {
	admin     *sql.DB
	role      string
	connector driver.Connector
	tables    string
}

func newSchemas(t *testing.T, s *server) *schemas {
	t.Helper()
	tables, err := fs.ReadFile(isolationtest.OwnTables(isolationtest.Postgres), "00001_tables.sql")
	require.NoError(t, err)
	return &schemas{admin: s.admin, role: s.role, connector: s.app(t), tables: string(tables)}
}

// schemaOf returns the quoted name of t's schema, which is its role's, too.
func schemaOf(t tenant.Tenant) string { return pq.QuoteIdentifier("t_" + string(t.ID)) }

func qualified(t tenant.Tenant, table string) string { return schemaOf(t) + "." + table }

func (s *schemas) Place(ctx context.Context, t tenant.Tenant) (isolation.Place, error) {
	var n int
	err := s.admin.QueryRowContext(ctx, `SELECT count(*) FROM pg_namespace WHERE nspname = $1`, "t_"+string(t.ID)).Scan(&n)
	if err != nil {
		return isolation.Place{}, err
	}
	if n == 0 {
		return isolation.Place{}, isolation.ErrNotProvisioned
	}
	return isolation.Place{Key: "db", Connector: s.connector}, nil
}

func (s *schemas) Confine(ctx context.Context, conn driver.Conn, t tenant.Tenant) error {
	return pgsession.Confine(ctx, conn, "SET search_path = "+schemaOf(t)+", pg_temp; SET ROLE "+schemaOf(t)+";")
}

func (s *schemas) Provision(ctx context.Context, t tenant.Tenant) error {
	if err := t.ID.Validate(); err != nil {
		return err
	}
	if _, err := s.Place(ctx, t); err == nil {
		return nil
	}
	name := schemaOf(t)
	_, err := s.admin.ExecContext(ctx, strings.Join([]string{
		"CREATE ROLE " + name,
		"GRANT " + name + " TO " + s.role,
		"CREATE SCHEMA " + name,
		"SET LOCAL search_path = " + name,
		s.tables,
		"GRANT USAGE ON SCHEMA " + name + " TO " + name,
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA " + name + " TO " + name,
	}, ";\n"))
	return err
}

func (s *schemas) Deprovision(ctx context.Context, t tenant.Tenant) error {
	if err := t.ID.Validate(); err != nil {
		return err
	}
	name := schemaOf(t)
	_, err := s.admin.ExecContext(ctx, "DROP SCHEMA IF EXISTS "+name+" CASCADE; DROP ROLE IF EXISTS "+name)
	return err
}

// files gives each tenant a SQLite file.
type files struct{ dir string }

func (f files) path(t tenant.Tenant) string { return filepath.Join(f.dir, string(t.ID)+".db") }

func (f files) url(t tenant.Tenant) string {
	return "file:" + f.path(t) + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=foreign_keys(1)&_txlock=immediate"
}

func (f files) Place(_ context.Context, t tenant.Tenant) (isolation.Place, error) {
	if _, err := os.Stat(f.path(t)); err != nil {
		return isolation.Place{}, fmt.Errorf("%w: %w", isolation.ErrNotProvisioned, err)
	}
	return isolation.Place{Key: string(t.ID), Connector: fileConnector(f.url(t))}, nil
}

func (f files) Confine(context.Context, driver.Conn, tenant.Tenant) error { return nil }

func (f files) CheckStatement(query string, inTx bool) error {
	if err := sqlguard.SQLite(query, inTx); err != nil {
		return fmt.Errorf("%w: %w", isolation.ErrControl, err)
	}
	return nil
}

func (f files) Provision(ctx context.Context, t tenant.Tenant) error {
	if err := t.ID.Validate(); err != nil {
		return err
	}
	db := sql.OpenDB(fileConnector(f.url(t)))
	defer func() { _ = db.Close() }()
	return sqlkit.Migrate(ctx, db, sqlkit.SQLite, isolationtest.OwnTables(isolationtest.SQLite), "suite_version")
}

func (f files) Deprovision(_ context.Context, t tenant.Tenant) error {
	if err := t.ID.Validate(); err != nil {
		return err
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(f.path(t) + suffix); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

// fileConnector opens a SQLite file by its URL.
type fileConnector string

func (c fileConnector) Driver() driver.Driver { return &sqlite.Driver{} }

func (c fileConnector) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.Driver().Open(string(c))
	if err != nil {
		return nil, err
	}
	return fileConn{conn.(sqliteConn)}, nil
}

type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
}

// fileConn counts the parameters of its statements, by which the pool knows that
// they may be prepared again elsewhere.
type fileConn struct{ sqliteConn }

func (c fileConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	stmt, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return fileStmt{stmt.(sqliteStmt), strings.Count(query, "?")}, nil
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type fileStmt struct {
	sqliteStmt
	parameters int
}

func (s fileStmt) NumInput() int { return s.parameters }
