package inspect_test

import (
	"crypto/rand"
	"database/sql"
	"io/fs"
	"os"

	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database"
	"github.com/tenancy-go/tenancy/isolation/inspect"
	"github.com/tenancy-go/tenancy/isolation/isolationtest"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/isolation/schema"
	"github.com/tenancy-go/tenancy/tenant/sqlstore"
)

var _ inspect.DB = (*sqlx.DB)(nil)

// flagship returns the migrations of examples/saas.
func flagship(kind string) fs.FS {
	return os.DirFS("../../examples/saas/workspace/migrations/" + kind)
}

// provisioned makes homes of two tenants, beside the directory of tenants as a
// host has it.
func provisioned(t *testing.T, f *fixture, s isolation.Provisioner) {
	t.Helper()
	store, err := sqlstore.New(f.root, sqlstore.Postgres)
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	require.NoError(t, s.Prepare(t.Context()))
	require.NoError(t, s.Provision(t.Context(), acme))
	require.NoError(t, s.Provision(t.Context(), globex))
}

// assertClean wants no finding at all.
func (f *fixture) assertClean(t *testing.T, opts ...inspect.Option) {
	t.Helper()
	assert.NoError(t, f.run(t, f.target, opts...).Err(inspect.Low))
}

func TestRowsOfOursAreClean(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		tables fs.FS
		rows   []row.Option
		opts   []inspect.Option
	}{
		{name: "the suite's tables", tables: isolationtest.SharedTables()},
		{name: "the suite's tables with UUIDs", tables: isolationtest.SharedUUIDTables()},
		{name: "the flagship's tables", tables: flagship("shared"), rows: []row.Option{row.Tables("conversations", "messages", "documents", "usage_events")},
			opts: []inspect.Option{inspect.Tables("conversations", "messages", "documents", "usage_events")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := open(t, pgtest.Open(t))
			f.target = inspect.Rows(f.role)
			s := f.rows(t, append(tt.rows, row.Migrations(tt.tables))...)
			require.NoError(t, s.Prepare(t.Context()))
			if tt.rows != nil { // the directory has a tenant_id, and is none of the tenants'
				provisioned(t, f, s)
			}
			f.assertClean(t, tt.opts...)
			assert.Positive(t, f.run(t, f.target, tt.opts...).Tables)

			asApp := sql.OpenDB(f.app)
			defer asApp.Close()
			report, err := inspect.Run(t.Context(), asApp, f.target, tt.opts...)
			require.NoError(t, err)
			assert.NoError(t, report.Err(inspect.Low), "whoever asks")

			hostile := f.run(t, f.target, append(tt.opts, inspect.Injection())...)
			assert.Equal(t, []string{"context-forgeable", "language-usage", "large-object-functions", "query-functions", "session-functions", "set-config"}, lintsOf(hostile))
		})
	}
}

// TestRowsThatSQLCannotForgeAreClean installs the modes whose tenant is no setting,
// and what Harden takes away: then nothing is left for injected SQL, either.
func TestRowsThatSQLCannotForgeAreClean(t *testing.T) {
	t.Parallel()
	key, err := row.NewKey("1", []byte(rand.Text()+rand.Text()))
	require.NoError(t, err)
	everyones := []string{"language-usage", "large-object-functions", "query-functions", "session-functions", "set-config"}
	tests := []struct {
		name string
		rows []row.Option
		left []string // with Injection
	}{
		{name: "sealed", rows: []row.Option{row.Sealed(key)}, left: everyones},
		{name: "signed", rows: []row.Option{row.Signed(key)}, left: everyones},
		{name: "signed, transaction-scoped", rows: []row.Option{row.Signed(key), row.TransactionScoped()}, left: everyones},
		{name: "sealed and hardened", rows: []row.Option{row.Sealed(key), row.Harden()}, left: []string{}},
		{name: "signed and hardened", rows: []row.Option{row.Signed(key), row.Harden()}, left: []string{}},
		{name: "plain and hardened", rows: []row.Option{row.Harden()}, left: []string{"context-forgeable"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := open(t, pgtest.Open(t))
			f.target = inspect.Rows(f.role)
			s := f.rows(t, append(tt.rows, row.Migrations(isolationtest.SharedTables()))...)
			require.NoError(t, s.Prepare(t.Context()))
			require.NoError(t, s.Verify(t.Context()))
			f.assertClean(t)
			report := f.run(t, f.target, inspect.Injection())
			assert.Equal(t, tt.left, lintsOf(report), "%v", report.Err(inspect.Low))
		})
	}
}

// TestRowsOfAnOrdinaryOwnerAreClean has an administrator who is no superuser.
func TestRowsOfAnOrdinaryOwnerAreClean(t *testing.T) {
	t.Parallel()
	f := open(t, pgtest.Open(t))
	f.exec(t, `CREATE ROLE $app_admin LOGIN CREATEROLE PASSWORD '`+password+`'; ALTER DATABASE $db OWNER TO $app_admin;
		CREATE ROLE $app_home NOLOGIN; GRANT $app_home TO $app_admin`)
	admin := connector(t, f.As(f.role+"_admin", password))
	s, err := row.New(f.app, row.Admin(admin), row.Owner(f.role+"_home"), row.Migrations(isolationtest.SharedTables()))
	require.NoError(t, err)
	require.NoError(t, s.Prepare(t.Context()))
	f.target = inspect.Rows(f.role)
	f.assertClean(t)
}

func TestSchemasOfOursAreClean(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		tables fs.FS
		opts   func(*fixture) []schema.Option
		left   []string // with Injection
	}{
		{name: "shared login", tables: isolationtest.OwnTables(isolationtest.Postgres), left: []string{"language-usage", "large-object-functions", "query-functions", "session-functions", "set-config"}},
		{name: "shared login, flagship", tables: flagship("own"), left: []string{"language-usage", "large-object-functions", "query-functions", "session-functions", "set-config"}},
		{name: "without set_config", tables: homeTables(), opts: func(*fixture) []schema.Option { return []schema.Option{schema.RevokeSetConfig()} },
			left: []string{"large-object-functions", "query-functions", "session-functions"}},
		{name: "login roles", tables: isolationtest.OwnTables(isolationtest.Postgres), opts: func(f *fixture) []schema.Option { return []schema.Option{f.loginRoles()} },
			left: []string{"language-usage", "large-object-functions", "query-functions", "session-functions", "set-config"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := open(t, pgtest.Open(t))
			opts := []schema.Option{schema.Admin(f.admin), schema.Migrations(tt.tables)}
			if tt.opts != nil {
				opts = append(opts, tt.opts(f)...)
			}
			s, err := schema.New(f.app, opts...)
			require.NoError(t, err)
			provisioned(t, f, s)
			f.target = inspect.Schemas(f.role)
			f.assertClean(t)
			assert.Equal(t, tt.left, lintsOf(f.run(t, f.target, inspect.Injection())))
		})
	}
}

func TestDatabasesOfOursAreClean(t *testing.T) {
	t.Parallel()
	for prefix, tables := range map[string]fs.FS{"own_": isolationtest.OwnTables(isolationtest.Postgres), "saas_": flagship("own")} {
		t.Run(prefix, func(t *testing.T) {
			t.Parallel()
			f := open(t, pgtest.Open(t))
			s, err := database.New(f.app, database.Admin(f.admin), database.Migrations(tables), database.Prefix(prefix))
			require.NoError(t, err)
			t.Cleanup(func() { f.dropDatabases(t, prefix) })
			provisioned(t, f, s)
			f.target = inspect.Databases(prefix, f.role)
			f.assertClean(t)
			home := sql.OpenDB(f.admin.WithDatabase(prefix + "acme"))
			defer home.Close()
			report, err := inspect.Run(t.Context(), home, f.target)
			require.NoError(t, err)
			assert.NoError(t, report.Err(inspect.Low), "from within a tenant's database")
		})
	}
}
