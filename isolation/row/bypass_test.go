package row_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/row"
)

// hole is a way past row security. Each is planted in a database that Install
// has prepared, where Verify found nothing.
type hole struct {
	name  string
	plant string // run by a superuser; $app is the runtime role
	want  [][2]string
	mend  bool // Install closes it again
	opts  []row.Option
}

// named leaves out tables that are made later.
var named = []row.Option{row.Tables("orders", "app.items")}

var roleHoles = []hole{
	{name: "superuser", plant: `ALTER ROLE $app SUPERUSER`, want: [][2]string{{"app_", "is a superuser"}}},
	{name: "bypassrls", plant: `ALTER ROLE $app BYPASSRLS`, want: [][2]string{{"app_", "bypasses row security"}}},
	{name: "createrole", plant: `ALTER ROLE $app CREATEROLE`, want: [][2]string{{"app_", "make itself other roles"}}},
	{name: "replication", plant: `ALTER ROLE $app REPLICATION`, want: [][2]string{{"app_", "replication"}}},
	{name: "member of a bypassing role", plant: `CREATE ROLE $app_b BYPASSRLS; CREATE ROLE $app_a; GRANT $app_b TO $app_a; GRANT $app_a TO $app`,
		want: [][2]string{{"_b", "is a member of it, and it bypasses row security"}}},
	{name: "member of a superuser", plant: `GRANT postgres TO $app`, want: [][2]string{{"postgres", "is a member of it, and it is a superuser"}}},
	{name: "server's files", plant: `GRANT pg_read_server_files TO $app`, want: [][2]string{{"pg_read_server_files", "files"}}},
	{name: "owner of a table", plant: `GRANT CREATE ON SCHEMA public TO $app; ALTER TABLE orders OWNER TO $app; REVOKE ALL ON orders FROM $app; GRANT SELECT ON orders TO $app; REVOKE CREATE ON SCHEMA public FROM $app`,
		want: [][2]string{{"public.orders", "owns it"}}},
	{name: "member of the owner", plant: `CREATE ROLE $app_o; ALTER TABLE orders OWNER TO $app_o; REVOKE ALL ON orders FROM $app_o; GRANT $app_o TO $app`,
		want: [][2]string{{"public.orders", "owns it through"}}},
	{name: "owner of the functions", plant: `ALTER FUNCTION tenancy.current_tenant() OWNER TO $app`, want: [][2]string{{"tenancy.current_tenant()", "owns it"}}},
	{name: "owner of a schema", plant: `ALTER SCHEMA app OWNER TO $app; REVOKE CREATE ON SCHEMA app FROM $app`, want: [][2]string{{"schema app", "owns it"}}},
}

var tableHoles = []hole{
	{name: "row security off", plant: `ALTER TABLE orders DISABLE ROW LEVEL SECURITY`, want: [][2]string{{"public.orders", "security is off"}}, mend: true},
	{name: "not forced", plant: `ALTER TABLE app.items NO FORCE ROW LEVEL SECURITY`, want: [][2]string{{"app.items", "not forced"}}, mend: true},
}

var holes = []hole{
	{name: "view of a superuser", plant: `CREATE VIEW v AS SELECT title FROM orders; GRANT SELECT ON v TO $app`, want: [][2]string{{"public.v", "view"}}},
	{name: "view over such a view", plant: `CREATE ROLE $app_o; CREATE VIEW v AS SELECT title FROM orders; GRANT SELECT ON v TO $app_o; CREATE VIEW w AS SELECT * FROM v; ALTER VIEW w OWNER TO $app_o; GRANT SELECT ON w TO $app`,
		want: [][2]string{{"public.w", "view"}}},
	{name: "materialized view", plant: `CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM orders; GRANT SELECT ON m TO $app`, want: [][2]string{{"public.m", "materialized"}}},
	{name: "copy of a table", opts: named, plant: `CREATE TABLE copy AS SELECT * FROM orders; GRANT SELECT ON copy TO $app`, want: [][2]string{{"public.copy", "not among the tenant tables"}}},
	{name: "foreign table", plant: `CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE far (tenant_id text) SERVER s; GRANT SELECT ON far TO $app`,
		want: [][2]string{{"public.far", "foreign tables have no row security"}}},
	{name: "definer function of a superuser", plant: `CREATE FUNCTION total() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT count(*) FROM public.orders'`,
		want: [][2]string{{"function public.total()", "bypasses row security"}}},
	{name: "definer function that trusts search_path", plant: `CREATE ROLE $app_o; CREATE FUNCTION total() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::bigint'; ALTER FUNCTION total() OWNER TO $app_o`,
		want: [][2]string{{"function public.total()", "whatever search_path"}}},
	{name: "check that is always true", plant: `ALTER POLICY tenancy_allow ON orders WITH CHECK (true)`, want: [][2]string{{"public.orders", "tenancy_allow is not as Install"}}, mend: true},
	{name: "policy that fails open", plant: `ALTER POLICY tenancy_only ON orders USING (current_setting('tenancy.tenant', true) IS NULL OR tenant_id = (SELECT tenancy.current_tenant()))`,
		want: [][2]string{{"public.orders", "tenancy_only is not as Install"}}, mend: true},
	{name: "policy evaluated for each row", plant: `ALTER POLICY tenancy_only ON orders USING (tenant_id = tenancy.current_tenant())`, want: [][2]string{{"public.orders", "tenancy_only is not as Install"}}, mend: true},
	{name: "policy for some roles", plant: `ALTER POLICY tenancy_only ON orders TO postgres`, want: [][2]string{{"public.orders", "tenancy_only is not as Install"}}, mend: true},
	{name: "no restrictive policy", plant: `DROP POLICY tenancy_only ON orders`, want: [][2]string{{"public.orders", "tenancy_only is missing"}}, mend: true},
	{name: "immutable function", plant: `ALTER FUNCTION tenancy.current_tenant() IMMUTABLE`, want: [][2]string{{"function tenancy.current_tenant()", "not as Install"}}, mend: true},
	{name: "function that lies", plant: `CREATE OR REPLACE FUNCTION tenancy.current_tenant() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS 'BEGIN RETURN $$acme$$; END'`,
		want: [][2]string{{"function tenancy.current_tenant()", "not as Install"}}, mend: true},
	{name: "no default", plant: `ALTER TABLE orders ALTER tenant_id DROP DEFAULT`, want: [][2]string{{"public.orders", "not filled in"}}, mend: true},
	{name: "inherited table", plant: `CREATE TABLE old_orders () INHERITS (orders); GRANT SELECT ON old_orders TO $app`, want: [][2]string{{"public.old_orders", "past the policies"}}, mend: true},
	{name: "truncate", plant: `GRANT TRUNCATE ON orders TO $app`, want: [][2]string{{"public.orders", "TRUNCATE"}}, mend: true},
	{name: "trigger", plant: `GRANT TRIGGER ON orders TO PUBLIC`, want: [][2]string{{"public.orders", "TRIGGER"}}, mend: true},
	{name: "references", plant: `GRANT REFERENCES (id) ON orders TO $app`, want: [][2]string{{"public.orders", "REFERENCES"}}, mend: true},
	{name: "truncate through a role", plant: `CREATE ROLE $app_g; GRANT TRUNCATE ON orders TO $app_g; GRANT $app_g TO $app`, want: [][2]string{{"public.orders", "TRUNCATE"}}},
	{name: "create in a schema", plant: `GRANT CREATE ON SCHEMA app TO PUBLIC`, want: [][2]string{{"schema app", "create objects"}}, mend: true},
	{name: "create in the database", plant: `DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO $app', current_database()); END $$`, want: [][2]string{{"database", "create schemas"}}, mend: true},
	{name: "temporary tables", plant: `DO $$ BEGIN EXECUTE format('GRANT TEMP ON DATABASE %I TO PUBLIC', current_database()); END $$`, want: [][2]string{{"database", "temporary tables"}}, mend: true},
	{name: "sequence", plant: `ALTER TABLE orders ADD n serial; GRANT SELECT ON SEQUENCE orders_n_seq TO $app`, want: [][2]string{{"sequence", "other tenants write"}}, mend: true},
	{name: "large object", plant: `SET ROLE $app; SELECT lo_create(0); RESET ROLE`, want: [][2]string{{"large objects", "no row security"}}},
	{name: "rule", plant: `CREATE RULE peek AS ON INSERT TO orders DO ALSO SELECT count(*) FROM orders`, want: [][2]string{{"public.orders", "rule peek"}}},
	{name: "search_path", plant: `DO $$ BEGIN EXECUTE format('ALTER ROLE $app IN DATABASE %I RESET search_path', current_database()); END $$`, want: [][2]string{{"role app_", "search_path"}}, mend: true},
	{name: "nullable column", plant: `CREATE TABLE loose (tenant_id text)`, want: [][2]string{{"public.loose", "may be null"}, {"public.loose", "security is off"}, {"public.loose", "tenancy_allow is missing"}, {"public.loose", "tenancy_only is missing"}, {"public.loose", "not filled in"}}},
}

func TestVerifyFindsHoles(t *testing.T) {
	t.Parallel()
	for _, h := range holes {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			f, s := plant(t, h)
			f.mend(t, s, h)
		})
	}
}

func TestConnectionsAreRefused(t *testing.T) {
	t.Parallel()
	for _, h := range slices.Concat(roleHoles, tableHoles) {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			f, s := plant(t, h)
			place, err := s.Place(t.Context(), acme)
			require.NoError(t, err)
			conn, err := place.Connector.Connect(t.Context())
			assert.Nil(t, conn)
			require.ErrorIs(t, err, isolation.ErrUnsafe)
			assert.ErrorContains(t, err, h.want[0][1])
			f.mend(t, s, h)
		})
	}
}

// plant digs h in a database of its own that was without holes.
func plant(t *testing.T, h hole) (*fixture, *row.Strategy) {
	t.Helper()
	f := open(t, tables)
	s := f.installed(t, h.opts...)
	require.NoError(t, s.Verify(t.Context()))
	f.exec(t, h.plant)
	assertUnsafe(t, s.Verify(t.Context()), h.want...)
	return f, s
}

// mend calls Install, which closes the holes that it can and reports the others.
func (f *fixture) mend(t *testing.T, s *row.Strategy, h hole) {
	t.Helper()
	err := s.Install(t.Context())
	if !h.mend {
		require.ErrorIs(t, err, isolation.ErrUnsafe)
		return
	}
	require.NoError(t, err)
	assert.NoError(t, s.Verify(t.Context()))
}
