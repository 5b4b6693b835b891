package inspect_test

import (
	"database/sql/driver"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/inspect"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/schema"
)

// homeTables are a tenant's own, with what can carry rights.
func homeTables() fs.FS {
	return fstest.MapFS{"00001_orders.sql": {Data: []byte(`-- +goose Up
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text NOT NULL);
CREATE SEQUENCE numbers;
CREATE VIEW items AS SELECT item FROM orders;
-- +goose StatementBegin
CREATE FUNCTION count_of(what text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE n bigint;
BEGIN EXECUTE 'SELECT count(*) FROM ' || what INTO n; RETURN n; END $$;
-- +goose StatementEnd
`)}}
}

// homes provisions two tenants, and has the roles' names stand for $a, $ao, $b
// and $bo (those of owners).
func homes(t *testing.T, opts ...schema.Option) (*fixture, *schema.Strategy) {
	t.Helper()
	f := open(t, pgtest.Open(t))
	s, err := schema.New(f.app, append([]schema.Option{schema.Admin(f.admin), schema.Migrations(homeTables())}, opts...)...)
	require.NoError(t, err)
	require.NoError(t, s.Provision(t.Context(), acme))
	require.NoError(t, s.Provision(t.Context(), globex))
	f.exec(t, `CREATE ROLE $app_o NOLOGIN`)
	f.target = inspect.Schemas(f.role)
	return f, s
}

// homeNames replaces the homes' roles in holes by their names in f's database.
func (f *fixture) homeNames(t *testing.T, holes []hole) []hole {
	t.Helper()
	var a, ao, b, bo string
	require.NoError(t, f.root.QueryRowContext(t.Context(), `SELECT a.role_name, a.owner_name, b.role_name, b.owner_name FROM tenancy.homes a, tenancy.homes b
		WHERE a.tenant_id = 'acme' AND b.tenant_id = 'globex'`).Scan(&a, &ao, &b, &bo))
	named := make([]hole, len(holes))
	for i, h := range holes {
		h.plant = strings.NewReplacer("$ao", ao, "$bo", bo, "$app", "$app", "$a", a, "$b", b).Replace(h.plant)
		named[i] = h
	}
	return named
}

// The role of home acme is $a, that of its owner $ao; of home globex $b and $bo.
var homeHoles = []hole{
	{name: "registered, but not there", plant: `DROP SCHEMA t_globex CASCADE`, want: []string{"home-missing"}, left: []string{"home-missing"}},
	{name: "right in another home", plant: `GRANT SELECT ON t_globex.orders TO $a`, want: []string{"home-foreign-right"}},
	{name: "usage of another home", plant: `GRANT USAGE ON SCHEMA t_globex TO $a`, want: []string{"home-foreign-right"}},
	{name: "right on a column in another home", plant: `GRANT UPDATE (item) ON t_globex.orders TO $a`, want: []string{"home-foreign-right"}},
	{name: "truncate in its own", plant: `GRANT TRUNCATE ON t_acme.orders TO $a`, want: []string{"home-excess-right"}},
	{name: "create in its own", plant: `GRANT CREATE ON SCHEMA t_acme TO $a`, want: []string{"home-excess-right"}},
	{name: "public in a home", plant: `GRANT SELECT ON t_acme.orders TO PUBLIC`, want: []string{"home-public-right"}},
	{name: "public uses a home", plant: `GRANT USAGE ON SCHEMA t_acme TO PUBLIC`, want: []string{"home-public-right"}},
	{name: "public creates", plant: `GRANT CREATE ON SCHEMA public TO PUBLIC`, want: []string{"public-creates"}},
	{name: "public makes temporary tables", plant: `GRANT TEMPORARY ON DATABASE $db TO PUBLIC`, want: []string{"public-creates"}},
	{name: "public reaches a view", plant: `CREATE VIEW public.peek AS SELECT * FROM t_acme.orders; GRANT USAGE ON SCHEMA public TO PUBLIC; GRANT SELECT ON public.peek TO PUBLIC`, want: []string{"public-reaches"}},
	{name: "member of another tenant's role", plant: `GRANT $b TO $a`, want: []string{"home-member"}},
	{name: "tenant's role is a superuser", plant: `ALTER ROLE $a SUPERUSER`, want: []string{"role-superuser"}},
	{name: "tenant's role bypasses", plant: `ALTER ROLE $a BYPASSRLS`, want: []string{"role-bypassrls"}},
	{name: "tenant's role makes databases", plant: `ALTER ROLE $a CREATEDB`, want: []string{"role-createdb"}},
	{name: "owner is a superuser", plant: `ALTER ROLE $ao SUPERUSER`, want: []string{"home-owner-power"}},
	{name: "table of another owner", plant: `CREATE TABLE t_acme.stray (id int); REVOKE ALL ON t_acme.stray FROM postgres`, want: []string{"home-owner"}},
	{name: "function of another owner", plant: `CREATE FUNCTION t_acme.stray() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION t_acme.stray() FROM PUBLIC`, want: []string{"home-owner"}},
	{name: "owner with rights in another home", plant: `GRANT SELECT ON t_globex.orders TO $ao; GRANT USAGE ON SCHEMA t_globex TO $ao`, want: []string{"home-owner-reaches"}},
	{name: "login role with rights of its own", plant: `GRANT SELECT ON t_acme.orders TO $app`, want: []string{"login-home-right"}},
	{name: "login role owns", plant: `CREATE TABLE public.mine (id int); ALTER TABLE public.mine OWNER TO $app`, want: []string{"role-owns-object"}},
	{name: "login role is a member of another", plant: `GRANT $app_o TO $app`, want: []string{"login-member"}},
	{name: "login role inherits", plant: `ALTER ROLE $app INHERIT`, want: []string{"role-inherits"}},
	{name: "login role makes roles", plant: `ALTER ROLE $app CREATEROLE`, want: []string{"role-createrole"}},
	{name: "tenant's role logs in", plant: `ALTER ROLE $a LOGIN`, want: []string{"home-login"}},
	{name: "definer function of a superuser", plant: `CREATE FUNCTION public.total() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT count(*) FROM t_acme.orders'`,
		want: []string{"home-definer-bypass"}},
	{name: "definer function without search_path", plant: `CREATE FUNCTION public.total() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::bigint'; ALTER FUNCTION public.total() OWNER TO $app_o`,
		want: []string{"home-definer-search-path"}},
	{name: "default privileges for public", plant: `ALTER DEFAULT PRIVILEGES FOR ROLE $ao IN SCHEMA t_acme GRANT SELECT ON TABLES TO PUBLIC`, want: []string{"home-default-privileges"}},
	{name: "default privileges for another tenant", plant: `ALTER DEFAULT PRIVILEGES FOR ROLE $ao IN SCHEMA t_acme GRANT SELECT ON TABLES TO $b`, want: []string{"home-default-privileges"}},
	{name: "publication", plant: `CREATE PUBLICATION $app_p FOR TABLE t_acme.orders`, want: []string{"publication"}},
	{name: "publication of a schema", plant: `CREATE PUBLICATION $app_p FOR TABLES IN SCHEMA t_acme`, want: []string{"publication-schema"}},
	{name: "trigger of a superuser", plant: `CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER note BEFORE INSERT ON t_acme.orders FOR EACH ROW EXECUTE FUNCTION public.note()`,
		want: []string{"trigger-bypass"}},
	{name: "stored role", plant: `ALTER ROLE $app IN DATABASE $db SET role = '$a'`, want: []string{"role-setting"}},
	{name: "dblink", plant: `CREATE EXTENSION dblink`, want: []string{"dblink", "extension"}},
	{name: "large object", plant: `SELECT lo_create(4711); GRANT SELECT ON LARGE OBJECT 4711 TO $a`, want: []string{"large-object"}, left: []string{"large-object"}},
}

func TestSchemasFindsEachHole(t *testing.T) {
	t.Parallel()
	f, s := homes(t)
	sites := make(chan *fixture, 1)
	sites <- f
	findEach(t, sites, f.homeNames(t, homeHoles))
	assert.NoError(t, f.run(t, f.target).Err(inspect.Low))
	assert.NoError(t, s.Verify(t.Context()))
}

// TestSchemasFindsWhatVerifyFinds plants each hole that Verify knows, together.
func TestSchemasFindsWhatVerifyFinds(t *testing.T) {
	t.Parallel()
	f, s := homes(t)
	known := map[string]string{ // what Verify says, and the lint that says it here
		"rights outside their own schema":          "home-foreign-right",
		"rights beyond USAGE":                      "home-excess-right",
		"PUBLIC has rights on tenants' schemas":    "home-public-right",
		"PUBLIC may make things":                   "public-creates",
		"tenants' roles are members of other":      "home-member",
		"rights over the whole server":             "role-createdb",
		"homes are not owned by their own owner":   "home-owner",
		"owners of homes have rights in other":     "home-owner-reaches",
		"login role has rights of its own":         "login-home-right",
		"login role owns objects":                  "role-owns-object",
		"login role is a member of roles that are": "login-member",
		"tenants' roles can log in":                "home-login",
		"may create roles":                         "role-createrole",
	}
	for _, h := range f.homeNames(t, homeHoles) {
		switch h.name {
		case "right in another home", "truncate in its own", "public in a home", "public creates", "member of another tenant's role", "tenant's role makes databases",
			"table of another owner", "owner with rights in another home", "login role with rights of its own", "login role owns", "login role is a member of another",
			"tenant's role logs in", "login role makes roles":
			f.exec(t, h.plant)
		}
	}
	err := s.Verify(t.Context())
	require.ErrorIs(t, err, isolation.ErrUnsafe)
	report := f.run(t, f.target)
	for says, lint := range known {
		assert.ErrorContains(t, err, says)
		assert.Contains(t, lintsOf(report), lint)
	}
}

func (f *fixture) loginRoles() schema.Option {
	return schema.LoginRoles([]byte(strings.Repeat("s", 32)), func(role, password string) (driver.Connector, error) {
		return postgres.NewConnector(f.As(role, password))
	})
}

func TestSchemasWithLoginRoles(t *testing.T) {
	t.Parallel()
	f := open(t, pgtest.Open(t))
	s, err := schema.New(f.app, schema.Admin(f.admin), schema.Migrations(homeTables()), f.loginRoles())
	require.NoError(t, err)
	require.NoError(t, s.Provision(t.Context(), acme))
	require.NoError(t, s.Provision(t.Context(), globex))
	f.target = inspect.Schemas(f.role)
	require.NoError(t, f.run(t, f.target).Err(inspect.Low))

	sites := make(chan *fixture, 1)
	sites <- f
	findEach(t, sites, f.homeNames(t, []hole{
		{name: "login role takes on a tenant's role", plant: `GRANT $a TO $app`, want: []string{"login-takes-home"}},
		{name: "tenant's role is a member", plant: `GRANT $b TO $a`, want: []string{"home-member"}},
	}))
}

// TestSchemasByHand inspects schemas that somebody made without a registry.
func TestSchemasByHand(t *testing.T) {
	t.Parallel()
	f := open(t, pgtest.Open(t))
	_, err := inspect.Run(t.Context(), f.root, inspect.Schemas(f.role))
	require.ErrorContains(t, err, "option Homes")

	f.exec(t, `REVOKE ALL ON SCHEMA public FROM PUBLIC; REVOKE TEMPORARY ON DATABASE $db FROM PUBLIC;
		CREATE ROLE $app_o; CREATE ROLE $app_a; CREATE ROLE $app_b; GRANT $app_a, $app_b TO $app;
		CREATE SCHEMA one AUTHORIZATION $app_o; CREATE SCHEMA two AUTHORIZATION $app_o; CREATE TABLE one.t (id int); ALTER TABLE one.t OWNER TO $app_o;
		GRANT USAGE ON SCHEMA one TO $app_a; GRANT SELECT ON one.t TO $app_a; GRANT USAGE ON SCHEMA two TO $app_b`)
	byHand := inspect.Homes(inspect.Home{Name: "one", Role: f.role + "_a"}, inspect.Home{Name: "two", Role: f.role + "_b"})
	target := inspect.Schemas(f.role)
	require.NoError(t, f.run(t, target, byHand).Err(inspect.Low))
	f.exec(t, `GRANT USAGE ON SCHEMA one TO $app_b`)
	assert.Equal(t, []string{"home-foreign-right"}, lintsOf(f.run(t, target, byHand)))
}
