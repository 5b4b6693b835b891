package inspect_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database"
	"github.com/tenancy-go/tenancy/isolation/inspect"
)

// databaseSite is a maintenance database with two tenants' databases.
func databaseSite(t *testing.T, prefix string) (*fixture, *database.Strategy) {
	t.Helper()
	f := open(t, pgtest.Open(t))
	files := fstest.MapFS{"00001_orders.sql": {Data: []byte("-- +goose Up\nCREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);\n")}}
	s, err := database.New(f.app, database.Admin(f.admin), database.Migrations(files), database.Prefix(prefix))
	require.NoError(t, err)
	t.Cleanup(func() { f.dropDatabases(t, prefix) })
	require.NoError(t, s.Provision(t.Context(), acme))
	require.NoError(t, s.Provision(t.Context(), globex))
	f.exec(t, `CREATE ROLE $app_o NOLOGIN`)
	f.target = inspect.Databases(prefix, f.role)
	return f, s
}

// dropDatabases removes what a test has made beside its database.
func (f *fixture) dropDatabases(t *testing.T, prefix string) {
	t.Helper()
	f.execOutside(t, `ALTER DATABASE `+prefix+`_template IS_TEMPLATE false`)
	for _, name := range []string{"_template", "acme", "globex"} {
		f.execOutside(t, `DROP DATABASE IF EXISTS `+prefix+name+` WITH (FORCE)`)
	}
}

var databaseHoles = []hole{
	{name: "public connects", plant: `GRANT CONNECT ON DATABASE pre_acme TO PUBLIC`, want: []string{"database-public"}},
	{name: "another role connects", plant: `GRANT CONNECT ON DATABASE pre_acme TO $app_o`, want: []string{"database-foreign-right"}},
	{name: "the login role creates", plant: `GRANT CREATE ON DATABASE pre_acme TO $app`, want: []string{"database-excess-right"}},
	{name: "the login role connects to the template", plant: `GRANT CONNECT ON DATABASE pre__template TO $app`, want: []string{"database-excess-right"}},
	{name: "the login role owns", plant: `ALTER DATABASE pre_acme OWNER TO $app`, want: []string{"database-owner"}},
	{name: "open template", plant: `ALTER DATABASE pre__template ALLOW_CONNECTIONS true`, want: []string{"database-template"}},
	{name: "template that is none", plant: `ALTER DATABASE pre__template IS_TEMPLATE false`, want: []string{"database-template"}},
	{name: "the login role is a member", plant: `GRANT $app_o TO $app`, want: []string{"role-member"}},
	{name: "the login role is a superuser", plant: `ALTER ROLE $app SUPERUSER`, want: []string{"role-superuser"}},
	{name: "the login role inherits", plant: `ALTER ROLE $app INHERIT`, want: []string{"role-inherits"}},
	{name: "a way to other databases", plant: `CREATE EXTENSION dblink`, want: []string{"dblink", "extension"}},
	{name: "stored credentials", plant: `CREATE EXTENSION postgres_fdw; CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw; CREATE USER MAPPING FOR $app SERVER s`, want: []string{"extension", "foreign-server"}, left: []string{"extension"}},
}

func TestDatabasesFindsEachHole(t *testing.T) {
	t.Parallel()
	f, s := databaseSite(t, "pre_")
	require.NoError(t, f.run(t, f.target).Err(inspect.Low))
	sites := make(chan *fixture, 1)
	sites <- f
	findEach(t, sites, databaseHoles)
	assert.NoError(t, f.run(t, f.target).Err(inspect.Low))
	assert.NoError(t, s.Verify(t.Context()))
}

func TestDatabasesFindsWhatVerifyFinds(t *testing.T) {
	t.Parallel()
	f, s := databaseSite(t, "ver_")
	f.exec(t, `GRANT CONNECT ON DATABASE ver_acme TO PUBLIC; GRANT CREATE ON DATABASE ver_acme TO $app; ALTER DATABASE ver_globex OWNER TO $app;
		ALTER DATABASE ver__template ALLOW_CONNECTIONS true; GRANT $app_o TO $app`)
	err := s.Verify(t.Context())
	require.ErrorIs(t, err, isolation.ErrUnsafe)
	lints := lintsOf(f.run(t, f.target))
	for says, lint := range map[string]string{
		"PUBLIC has rights on tenants' databases": "database-public",
		"may more than connect":                   "database-excess-right",
		"the login role owns databases":           "database-owner",
		"the template accepts connections":        "database-template",
		"the login role is a member of roles":     "role-member",
	} {
		assert.ErrorContains(t, err, says)
		assert.Contains(t, lints, lint)
	}
}

// TestDatabasesByHand inspects databases with a role each, which no comment marks.
func TestDatabasesByHand(t *testing.T) {
	t.Parallel()
	f := open(t, pgtest.Open(t))
	f.exec(t, `CREATE ROLE $app_b LOGIN NOINHERIT`)
	other := pgtest.Open(t)
	f.exec(t, `REVOKE ALL ON DATABASE $db, `+other.Name+` FROM PUBLIC; GRANT CONNECT ON DATABASE $db TO $app; GRANT CONNECT ON DATABASE `+other.Name+` TO $app_b`)
	target := inspect.Databases("", f.role, f.role+"_b")
	byHand := inspect.Homes(inspect.Home{Name: f.Name, Role: f.role}, inspect.Home{Name: other.Name, Role: f.role + "_b"})
	require.NoError(t, f.run(t, target, byHand).Err(inspect.Low))
	f.exec(t, `GRANT CONNECT ON DATABASE $db TO $app_b`)
	assert.Equal(t, []string{"database-foreign-right"}, lintsOf(f.run(t, target, byHand)))
	assert.Equal(t, []string{"database-foreign-right", "database-missing"}, lintsOf(f.run(t, target, byHand, inspect.Homes(inspect.Home{Name: "gone"}))))
}
