package inspect_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/inspect"
	"github.com/tenancy-go/tenancy/isolation/row"
)

// named leaves out tables that are made later.
var named = []inspect.Option{inspect.Tables("orders", "app.items", "events")}

const byPolicy = `tenant_id = (SELECT tenancy.current_tenant())`

var roleHoles = []hole{
	{name: "superuser", plant: `ALTER ROLE $app SUPERUSER`, want: []string{"role-superuser"}},
	{name: "member of a superuser", plant: `GRANT postgres TO $app`, want: []string{"role-superuser"}},
	{name: "bypassrls", plant: `ALTER ROLE $app BYPASSRLS`, want: []string{"role-bypassrls"}},
	{name: "member of a member of a bypassing role", plant: `CREATE ROLE $app_b BYPASSRLS; CREATE ROLE $app_a; GRANT $app_b TO $app_a; GRANT $app_a TO $app`,
		want: []string{"role-bypassrls"}},
	{name: "createrole", plant: `ALTER ROLE $app CREATEROLE`, want: []string{"role-createrole"}},
	{name: "createdb", plant: `ALTER ROLE $app CREATEDB`, want: []string{"role-createdb"}},
	{name: "replication", plant: `ALTER ROLE $app REPLICATION`, want: []string{"role-replication"}},
	{name: "server's files", plant: `GRANT pg_read_server_files TO $app`, want: []string{"role-server-access"}},
	{name: "server's programs", plant: `GRANT pg_execute_server_program TO $app`, want: []string{"role-server-access"}},
	{name: "reads all data", plant: `GRANT pg_read_all_data TO $app`,
		want: []string{"catalog-readable", "partition-reachable", "role-reads-all", "sequence"}},
	{name: "monitors", plant: `GRANT pg_monitor TO $app`, want: []string{"role-watches"}},
	{name: "ends sessions", plant: `GRANT pg_signal_backend TO $app`, want: []string{"role-watches"}},
	{name: "member of some role", plant: `GRANT $app_o TO $app`, want: []string{"role-member"}},
	{name: "owner of a table", plant: `ALTER TABLE orders OWNER TO $app; REVOKE ALL ON orders FROM $app; GRANT SELECT ON orders TO $app; REVOKE ALL ON SEQUENCE orders_n_seq FROM $app`,
		want: []string{"role-owns-object", "role-owns-table"}},
	{name: "member of the owner of a table", plant: `ALTER TABLE orders OWNER TO $app_o; REVOKE ALL ON orders FROM $app_o; REVOKE ALL ON SEQUENCE orders_n_seq FROM $app_o; GRANT $app_o TO $app`,
		want: []string{"role-member", "role-owns-object", "role-owns-table"}},
	{name: "owner of a schema", plant: `ALTER SCHEMA app OWNER TO $app; REVOKE CREATE ON SCHEMA app FROM $app`, want: []string{"role-owns-around"}},
	{name: "owner of the functions", plant: `ALTER FUNCTION tenancy.current_tenant() OWNER TO $app`, want: []string{"role-owns-around"}},
	{name: "owner of the database", plant: `ALTER DATABASE $db OWNER TO $app; REVOKE ALL ON DATABASE $db FROM $app`,
		want: []string{"role-owns-around", "schema-create"}},
	{name: "owner of a view", plant: `ALTER VIEW titles OWNER TO $app`, want: []string{"role-owns-object"}},
	{name: "default tenant", plant: `ALTER ROLE $app SET tenancy.tenant = 'acme'`, want: []string{"role-setting"}},
	{name: "default tenant in the database", plant: `ALTER DATABASE $db SET tenancy.tenant = 'acme'`, want: []string{"role-setting"}},
	{name: "default of a setting that a policy reads", plant: `ALTER ROLE $app IN DATABASE $db SET app.current = 'acme';
		CREATE POLICY mine ON orders USING (tenant_id = (SELECT current_setting('app.current')))`, want: []string{"role-setting"}},
	{name: "row_security off", plant: `ALTER ROLE $app SET row_security = off`, want: []string{"role-setting"}},
	{name: "another role", plant: `ALTER ROLE $app SET role = '$app_o'`, want: []string{"role-setting"}},
	{name: "triggers do not fire", plant: `ALTER ROLE $app IN DATABASE $db SET session_replication_role = replica`, want: []string{"role-setting"}},
	{name: "search_path", plant: `ALTER ROLE $app IN DATABASE $db RESET search_path`, want: []string{"role-search-path"}},
	{name: "search_path without pg_temp", plant: `ALTER ROLE $app IN DATABASE $db SET search_path = app, public`, want: []string{"role-search-path"}},
}

var tableHoles = []hole{
	{name: "table that is not there", opts: []inspect.Option{inspect.Tables("orders", "app.items", "events", "gone")}, plant: `SELECT`, want: []string{"table-missing"}, left: []string{"table-missing"}},
	{name: "no tenant column", opts: []inspect.Option{inspect.Tables("orders", "app.items", "events", "loose")}, want: []string{"tenant-missing"},
		plant: `CREATE TABLE loose (id int); ALTER TABLE loose ENABLE ROW LEVEL SECURITY; ALTER TABLE loose FORCE ROW LEVEL SECURITY`,
		left:  []string{"policy-unrestricted", "tenant-default", "tenant-index"}},
	{name: "copy of a table", opts: named, plant: `CREATE TABLE copy AS SELECT * FROM orders; GRANT SELECT ON copy TO $app`, want: []string{"table-unlisted"}},
	{name: "row security off", plant: `ALTER TABLE orders DISABLE ROW LEVEL SECURITY`, want: []string{"rls-off"}},
	{name: "row security off on a partitioned table", plant: `ALTER TABLE events DISABLE ROW LEVEL SECURITY`, want: []string{"rls-off"}},
	{name: "a forgotten table", plant: `CREATE TABLE loose (tenant_id text); GRANT SELECT ON loose TO $app`,
		want: []string{"policy-missing", "policy-unrestricted", "rls-off", "tenant-default", "tenant-index", "tenant-nullable"}},
	{name: "not forced", plant: `ALTER TABLE app.items NO FORCE ROW LEVEL SECURITY`, want: []string{"rls-not-forced"}},
	{name: "nullable column", plant: `ALTER TABLE orders DROP CONSTRAINT orders_pkey CASCADE; ALTER TABLE orders ALTER tenant_id DROP NOT NULL; CREATE UNIQUE INDEX ON orders (tenant_id, id)`,
		want: []string{"tenant-nullable"}},
	{name: "no default", plant: `ALTER TABLE orders ALTER tenant_id DROP DEFAULT`, want: []string{"tenant-default"}},
	{name: "constant default", plant: `ALTER TABLE orders ALTER tenant_id SET DEFAULT 'acme'`, want: []string{"tenant-default"}},
	{name: "inexact type", plant: `CREATE EXTENSION citext; CREATE TABLE loose (tenant_id citext NOT NULL DEFAULT current_setting('tenancy.tenant')::citext PRIMARY KEY);
		ALTER TABLE loose ENABLE ROW LEVEL SECURITY; ALTER TABLE loose FORCE ROW LEVEL SECURITY;
		CREATE POLICY tenancy_only ON loose AS RESTRICTIVE USING (tenant_id = (SELECT tenancy.current_tenant())::citext)`, want: []string{"index-leaky", "tenant-type"}, left: []string{"index-leaky", "tenant-type"}},
	{name: "inexact collation", plant: `CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
		CREATE TABLE loose (tenant_id text COLLATE ci NOT NULL DEFAULT tenancy.current_tenant() PRIMARY KEY);
		ALTER TABLE loose ENABLE ROW LEVEL SECURITY; ALTER TABLE loose FORCE ROW LEVEL SECURITY;
		CREATE POLICY tenancy_only ON loose AS RESTRICTIVE USING (tenant_id = (SELECT tenancy.current_tenant()))`, want: []string{"tenant-collation"}, left: []string{"tenant-collation"}},
	{name: "no index on the tenant", plant: `ALTER TABLE app.items DROP CONSTRAINT items_pkey; CREATE INDEX ON app.items (order_id)`, want: []string{"tenant-index"}},
}

var policyHoles = []hole{
	{name: "no policy", plant: `DROP POLICY tenancy_allow ON orders`, want: []string{"policy-missing"}},
	{name: "a command without a policy", plant: `DROP POLICY tenancy_allow ON orders; CREATE POLICY r ON orders FOR SELECT USING (` + byPolicy + `); CREATE POLICY a ON orders FOR INSERT WITH CHECK (` + byPolicy + `); CREATE POLICY d ON orders FOR DELETE USING (` + byPolicy + `)`,
		want: []string{"policy-missing"}},
	{name: "policies for another role", plant: `ALTER POLICY tenancy_allow ON orders TO $app_o`, want: []string{"policy-missing"}},
	{name: "no restrictive policy", plant: `DROP POLICY tenancy_only ON orders`, want: []string{"policy-unrestricted"}},
	{name: "restrictive policy for some", plant: `ALTER POLICY tenancy_only ON orders TO $app_o`, want: []string{"policy-unrestricted"}},
	{name: "restrictive policy that fails open", plant: `ALTER POLICY tenancy_only ON orders USING (current_setting('tenancy.tenant', true) IS NULL OR ` + byPolicy + `)`,
		want: []string{"policy-unrestricted"}},
	{name: "second permissive policy", plant: `DROP POLICY tenancy_only ON orders; CREATE POLICY more ON orders FOR SELECT USING (title LIKE 'b%')`, want: []string{"policy-unrestricted", "policy-widens"}},
	{name: "second permissive policy behind the restrictive one", plant: `CREATE POLICY more ON orders FOR SELECT USING (title LIKE 'b%')`, want: []string{"policy-one-net"}},
	{name: "policy for all that is true", plant: `DROP POLICY tenancy_only ON orders; ALTER POLICY tenancy_allow ON orders USING (true)`, want: []string{"policy-unrestricted", "policy-widens"}},
	{name: "policy with one constant tenant", plant: `DROP POLICY tenancy_only ON orders; CREATE POLICY more ON orders USING (tenant_id = 'acme')`, want: []string{"policy-unrestricted", "policy-widens"}},
	{name: "IS NULL OR", plant: `DROP POLICY tenancy_only ON orders; ALTER POLICY tenancy_allow ON orders USING (current_setting('tenancy.tenant', true) IS NULL OR ` + byPolicy + `)`,
		want: []string{"policy-fails-open", "policy-unrestricted"}},
	{name: "coalesce to itself", plant: `DROP POLICY tenancy_only ON orders; ALTER POLICY tenancy_allow ON orders USING (tenant_id = coalesce(nullif(current_setting('tenancy.tenant', true), ''), tenant_id))`,
		want: []string{"policy-fails-open", "policy-per-row", "policy-unrestricted"}},
	{name: "insert without check", plant: `DROP POLICY tenancy_only ON orders; CREATE POLICY more ON orders FOR INSERT WITH CHECK (true)`, want: []string{"policy-unchecked", "policy-unrestricted"}},
	{name: "update without check", plant: `DROP POLICY tenancy_only ON orders; CREATE POLICY more ON orders FOR UPDATE USING (` + byPolicy + `) WITH CHECK (true)`, want: []string{"policy-unchecked", "policy-unrestricted"}},
	{name: "check that is true behind the restrictive policy", plant: `ALTER POLICY tenancy_allow ON orders WITH CHECK (true)`, want: []string{"policy-one-net"}},
	{name: "immutable function", plant: `ALTER FUNCTION tenancy.current_tenant() IMMUTABLE`, want: []string{"policy-immutable"}},
	{name: "function of a login role", plant: `CREATE ROLE $app_d LOGIN; ALTER FUNCTION tenancy.current_tenant() OWNER TO $app_d`, want: []string{"policy-function-owner"}},
	{name: "function that lies", plant: `CREATE OR REPLACE FUNCTION tenancy.current_tenant() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS 'BEGIN RETURN $$acme$$; END'`,
		want: []string{"policy-function-blind"}, left: []string{"policy-function-blind"}},
	{name: "evaluated for each row", plant: `ALTER POLICY tenancy_only ON orders USING (tenant_id = tenancy.current_tenant()) WITH CHECK (tenant_id = tenancy.current_tenant())`, want: []string{"policy-per-row"}},
}

var keyHoles = []hole{
	{name: "unique constraint", plant: `ALTER TABLE orders ADD UNIQUE (title)`, want: []string{"key-without-tenant"}},
	{name: "unique index", plant: `CREATE UNIQUE INDEX ON orders (title) WHERE title <> ''`, want: []string{"key-without-tenant"}},
	{name: "primary key", plant: `ALTER TABLE app.items DROP CONSTRAINT items_pkey; ALTER TABLE app.items ADD PRIMARY KEY (id); CREATE INDEX ON app.items (tenant_id)`, want: []string{"key-without-tenant"}},
	{name: "exclusion constraint", plant: `CREATE EXTENSION btree_gist; ALTER TABLE orders ADD COLUMN room int, ADD EXCLUDE USING gist (room WITH =)`, want: []string{"key-without-tenant"}},
	{name: "foreign key", plant: `ALTER TABLE orders ADD UNIQUE (id); ALTER TABLE app.items ADD FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE`,
		want: []string{"fk-without-tenant", "key-without-tenant"}},
	{name: "index on numeric", plant: `ALTER TABLE orders ADD COLUMN price numeric; CREATE INDEX ON orders (tenant_id, price)`, want: []string{"index-leaky"}, left: []string{"index-leaky"}},
	{name: "index on jsonb", plant: `ALTER TABLE orders ADD COLUMN doc jsonb; CREATE INDEX ON orders USING gin (doc)`, want: []string{"index-leaky"}, left: []string{"index-leaky"}},
	{name: "index on lower()", plant: `CREATE INDEX ON orders (tenant_id, lower(title))`, want: []string{"index-leaky"}, left: []string{"index-leaky"}},
	{name: "index for LIKE", plant: `CREATE INDEX ON orders (tenant_id, title text_pattern_ops)`, want: []string{"index-leaky"}, left: []string{"index-leaky"}},
}

var reachHoles = []hole{
	{name: "view of a superuser", plant: `ALTER VIEW titles RESET (security_invoker)`, want: []string{"view-bypass"}},
	{name: "view over such a view", plant: `CREATE VIEW v AS SELECT title FROM orders; GRANT SELECT ON v TO $app_o; CREATE VIEW w AS SELECT * FROM v; ALTER VIEW w OWNER TO $app_o; GRANT SELECT ON w TO $app`,
		want: []string{"view-bypass"}},
	{name: "view of a partition", plant: `CREATE VIEW v AS SELECT * FROM events_rest; GRANT SELECT ON v TO $app`, want: []string{"view-bypass"}},
	{name: "view of a bound owner", plant: `GRANT SELECT ON orders TO $app_o; ALTER VIEW titles RESET (security_invoker); ALTER VIEW titles OWNER TO $app_o`, want: []string{"view-definer"}},
	{name: "materialized view", plant: `CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM orders; GRANT SELECT ON m TO $app`, want: []string{"materialized-view"}},
	{name: "view over a materialized view", plant: `CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM orders; CREATE VIEW w AS SELECT * FROM m; GRANT SELECT ON w TO $app`, want: []string{"view-bypass"}},
	{name: "foreign table", plant: `CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE far (tenant_id text) SERVER s; GRANT SELECT ON far TO $app`,
		want: []string{"foreign-table"}},
	{name: "partition", plant: `GRANT SELECT ON events_rest TO $app`, want: []string{"partition-reachable"}},
	{name: "a column of a partition", plant: `GRANT UPDATE (id) ON events_rest TO $app`, want: []string{"partition-reachable"}},
	{name: "inherited table", plant: `CREATE TABLE old_orders () INHERITS (orders); GRANT SELECT ON old_orders TO $app`, want: []string{"partition-reachable"}},
	{name: "definer function of a superuser", plant: `CREATE FUNCTION total() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT count(*) FROM public.orders'`,
		want: []string{"definer-bypass"}},
	{name: "definer function without search_path", plant: `CREATE FUNCTION total() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::bigint'; ALTER FUNCTION total() OWNER TO $app_o`,
		want: []string{"definer-search-path"}},
	{name: "definer function with $user in its search_path", plant: `CREATE FUNCTION total() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = "$user", pg_temp AS 'SELECT 1::bigint'; ALTER FUNCTION total() OWNER TO $app_o`,
		want: []string{"definer-search-path"}},
	{name: "trigger of a superuser", plant: `CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER note BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION note()`,
		want: []string{"trigger-bypass"}},
	{name: "a move's trigger function that anybody may put on a table", plant: recorderIn("public", "") + `GRANT EXECUTE ON FUNCTION tenancy_move_0123456789ab_f() TO PUBLIC`, want: []string{"trigger-bypass"}},
	{name: "a move's log that the tenant reads", plant: recorderIn("public", "") + `GRANT SELECT ON tenancy_move_0123456789ab_log TO $app_o`, want: []string{"trigger-bypass"}},
	{name: "a move's log with a trigger", plant: recorderIn("public", "") + `CREATE FUNCTION spread() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE public.orders SET title = NULL; RETURN NULL; END';
		CREATE TRIGGER spread AFTER INSERT ON tenancy_move_0123456789ab_log FOR EACH ROW EXECUTE FUNCTION spread()`, want: []string{"trigger-bypass"}},
	{name: "a move's log that is a view", plant: recorderIn("public", "") + `DROP TABLE tenancy_move_0123456789ab_log; CREATE VIEW tenancy_move_0123456789ab_log AS SELECT ''::text AS tab, ARRAY['']::text[] AS key`,
		want: []string{"trigger-bypass"}},
	{name: "a move's trigger with a search_path of the caller's", plant: recorderIn("public", "") + `ALTER FUNCTION tenancy_move_0123456789ab_f() RESET search_path`, want: []string{"trigger-bypass"}},
	{name: "a move's trigger with its log elsewhere", plant: recorderIn("pg_temp", ""), want: []string{"trigger-bypass"}},
	{name: "a move's trigger that does one thing more", plant: recorderIn("public", "DELETE FROM public.orders;"), want: []string{"trigger-bypass"}},
	{name: "trigger of another role", plant: `CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER note BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION note(); ALTER FUNCTION note() OWNER TO $app_o`,
		want: []string{"trigger-foreign"}},
	{name: "rule of a superuser", plant: `CREATE RULE peek AS ON INSERT TO orders DO ALSO SELECT count(*) FROM orders`, want: []string{"rule-bypass"}},
	{name: "rule", plant: `ALTER TABLE orders OWNER TO $app_o; CREATE RULE peek AS ON INSERT TO orders DO ALSO SELECT count(*) FROM orders`, want: []string{"rule"}},
	{name: "writable table of the platform", plant: `CREATE TABLE plans (id int); GRANT SELECT, INSERT ON plans TO $app`, want: []string{"shared-table-writable"}, left: []string{"shared-table-readable"}},
	{name: "readable table of the platform", plant: `CREATE TABLE plans (id int); GRANT SELECT ON plans TO $app`, want: []string{"shared-table-readable"}},
	{name: "the key", plant: `CREATE TABLE tenancy.key (kid int); GRANT SELECT ON tenancy.key TO $app`, want: []string{"private-reachable"}},
	{name: "the register", plant: `CREATE SEQUENCE tenancy.register; GRANT USAGE ON SEQUENCE tenancy.register TO PUBLIC`, want: []string{"private-reachable"}},
	{name: "large object", plant: `SET ROLE $app; SELECT lo_create(0); RESET ROLE`, want: []string{"large-object"}, left: []string{"large-object"}},
	{name: "large object of another", plant: `SELECT lo_create(4711); GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC`, want: []string{"large-object"}, left: []string{"large-object"}},
}

var privilegeHoles = []hole{
	{name: "truncate", plant: `GRANT TRUNCATE ON orders TO $app`, want: []string{"grant-truncate"}},
	{name: "truncate through a role", plant: `GRANT TRUNCATE ON orders TO $app_o; GRANT $app_o TO $app`, want: []string{"grant-truncate", "role-member"}},
	{name: "trigger", plant: `GRANT TRIGGER ON orders TO $app`, want: []string{"grant-trigger"}},
	{name: "references", plant: `GRANT REFERENCES ON orders TO $app`, want: []string{"grant-references"}},
	{name: "references to a column", plant: `GRANT REFERENCES (id) ON orders TO $app`, want: []string{"grant-references"}},
	{name: "public", plant: `GRANT SELECT ON orders TO PUBLIC`, want: []string{"grant-public"}},
	{name: "a column to public", plant: `GRANT SELECT (title) ON orders TO PUBLIC`, want: []string{"grant-public"}},
	{name: "grant option", plant: `GRANT SELECT ON orders TO $app WITH GRANT OPTION`, want: []string{"grant-option"}},
	{name: "create in a schema", plant: `GRANT CREATE ON SCHEMA app TO PUBLIC`, want: []string{"schema-create"}},
	{name: "create in the database", plant: `GRANT CREATE ON DATABASE $db TO $app`, want: []string{"database-create"}},
	{name: "temporary tables", plant: `GRANT TEMP ON DATABASE $db TO PUBLIC`, want: []string{"database-temp"}},
	{name: "sequence of a column", plant: `GRANT SELECT ON SEQUENCE orders_n_seq TO $app`, want: []string{"sequence"}},
	{name: "sequence of its own", plant: `CREATE SEQUENCE numbers; GRANT UPDATE ON SEQUENCE numbers TO $app`, want: []string{"sequence"}},
	{name: "default privileges", plant: `ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO $app`, want: []string{"default-privileges"}},
	{name: "default privileges for public", plant: `ALTER DEFAULT PRIVILEGES GRANT SELECT ON SEQUENCES TO PUBLIC`, want: []string{"default-privileges"}},
}

var serverHoles = []hole{
	{name: "reads files", plant: `GRANT EXECUTE ON FUNCTION pg_read_file(text) TO $app`, want: []string{"function-server"}},
	{name: "exports files", plant: `GRANT EXECUTE ON FUNCTION lo_export(oid, text) TO PUBLIC`, want: []string{"function-server"}},
	{name: "password hashes", plant: `GRANT SELECT ON pg_authid TO $app`, want: []string{"catalog-readable"}},
	{name: "statistics", plant: `GRANT SELECT (stavalues1) ON pg_statistic TO $app`, want: []string{"catalog-readable"}},
	{name: "dblink", plant: `CREATE EXTENSION dblink`, want: []string{"dblink", "extension"}, left: []string{}},
	{name: "foreign server", plant: `CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; GRANT USAGE ON FOREIGN SERVER s TO $app`, want: []string{"foreign-server"}},
	{name: "foreign-data wrapper", plant: `CREATE FOREIGN DATA WRAPPER w; GRANT USAGE ON FOREIGN DATA WRAPPER w TO $app`, want: []string{"foreign-server"}},
	{name: "user mapping", plant: `CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE USER MAPPING FOR PUBLIC SERVER s`, want: []string{"foreign-server"}},
	{name: "postgres_fdw", plant: `CREATE EXTENSION postgres_fdw`, want: []string{"extension"}},
	{name: "file_fdw", plant: `CREATE EXTENSION file_fdw`, want: []string{"extension"}},
	{name: "pageinspect", plant: `CREATE EXTENSION pageinspect`, want: []string{"extension"}},
	{name: "statement statistics", plant: `CREATE EXTENSION pg_stat_statements`, want: []string{"statements-visible"}},
	{name: "untrusted language", plant: `CREATE LANGUAGE wild HANDLER plpgsql_call_handler`, want: []string{"language-untrusted"}},
	{name: "native function", plant: `CREATE FUNCTION native(text) RETURNS text LANGUAGE internal AS 'lower'`, want: []string{"function-native"}},
	{name: "leakproof function", plant: `CREATE FUNCTION peek(text) RETURNS boolean LANGUAGE sql LEAKPROOF AS 'SELECT true'`, want: []string{"function-leakproof"}},
	{name: "leakproof operator", plant: `ALTER FUNCTION numeric_eq(numeric, numeric) LEAKPROOF`, want: []string{"function-leakproof"}},
	{name: "publication", plant: `CREATE PUBLICATION $app_p FOR TABLE orders`, want: []string{"publication"}},
	{name: "publication of all", plant: `CREATE PUBLICATION $app_p FOR ALL TABLES`, want: []string{"publication"}},
	{name: "publication of a schema", plant: `CREATE PUBLICATION $app_p FOR TABLES IN SCHEMA app`, want: []string{"publication-schema"}},
	{name: "event trigger", plant: `CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION watch(); ALTER FUNCTION watch() OWNER TO $app_o`,
		want: []string{"event-trigger"}},
	{name: "parameter of superusers", plant: `GRANT SET ON PARAMETER session_replication_role TO $app`, want: []string{"parameter-set"}},
	{name: "large objects for all", plant: `ALTER DATABASE $db SET lo_compat_privileges = on; SET lo_compat_privileges = on`, want: []string{"server-setting"}, left: []string{"server-setting"}},
}

// rowHoles are all that is planted for row isolation.
func rowHoles() []hole {
	return slices.Concat(roleHoles, tableHoles, policyHoles, keyHoles, reachHoles, privilegeHoles, serverHoles)
}

func TestRowsFindsEachHole(t *testing.T) {
	t.Parallel()
	base := installed(t)
	sites := make(chan *fixture, parallel)
	for range parallel {
		sites <- base.clone(t)
	}
	findEach(t, sites, rowHoles())
	for range parallel {
		f := <-sites
		assert.NoError(t, f.run(t, f.target).Err(inspect.Low))
		assert.NoError(t, f.rows(t).Verify(t.Context()))
	}
}

// TestRowsFindsWhatVerifyFinds plants many holes together and holds the report
// against what row.Strategy finds.
func TestRowsFindsWhatVerifyFinds(t *testing.T) {
	t.Parallel()
	base := installed(t)
	for name, planted := range map[string]struct {
		holes []string
		least int // findings of Verify
	}{
		"roles": {least: 11, holes: []string{"member of a member of a bypassing role", "createrole", "replication", "server's files", "owner of a table", "owner of a schema",
			"owner of the functions", "owner of the database", "search_path"}},
		"tables": {least: 15, holes: []string{"row security off", "a forgotten table", "row security off on a partitioned table", "not forced", "no default", "restrictive policy that fails open",
			"check that is true behind the restrictive policy", "immutable function", "unique constraint", "unique index", "foreign key"}},
		"reach": {least: 16, holes: []string{"view of a superuser", "view over such a view", "materialized view", "foreign table", "partition", "inherited table", "definer function of a superuser",
			"rule of a superuser", "large object", "truncate", "trigger", "references to a column", "create in a schema", "create in the database", "temporary tables", "sequence of a column"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := base.clone(t)
			for _, h := range rowHoles() {
				if slices.Contains(planted.holes, h.name) {
					f.exec(t, h.plant)
				}
			}
			var unsafe *row.UnsafeError
			require.ErrorAs(t, f.rows(t).Verify(t.Context()), &unsafe)
			assert.GreaterOrEqual(t, len(unsafe.Findings), planted.least)
			report := f.run(t, f.target)
			for _, theirs := range unsafe.Findings {
				assert.True(t, slices.ContainsFunc(report.Findings, func(ours inspect.Finding) bool {
					return strings.Contains(ours.Object, theirs.Object) || strings.Contains(theirs.Object, ours.Object)
				}), "Verify alone finds %v", theirs)
			}
		})
	}
}

// recorderIn plants what package archive makes while a tenant moves, with the log in a
// schema, and a statement more.
func recorderIn(schema, more string) string {
	const base = "tenancy_move_0123456789ab"
	record := func(row string) string {
		return `INSERT INTO "` + schema + `"."` + base + `_log" (tab, key) VALUES ('orders', ARRAY[` + row + `."id"::pg_catalog.text]);`
	}
	return `CREATE SEQUENCE ` + base + `_gate; CREATE TABLE ` + base + `_log (tab text NOT NULL, key text[] NOT NULL);
		CREATE FUNCTION ` + base + `_f() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$ DECLARE gate pg_catalog.int8;` +
		` BEGIN PERFORM pg_catalog.pg_advisory_xact_lock_shared(1); SELECT last_value INTO gate FROM "` + schema + `"."` + base + `_gate";` +
		` IF gate <> 1 THEN RAISE EXCEPTION USING ERRCODE = '25006', MESSAGE = 'no'; END IF; IF TG_OP <> 'INSERT' THEN ` + record("OLD") + ` END IF;` +
		` IF TG_OP = 'INSERT' OR TG_OP = 'UPDATE' AND ARRAY[NEW."id"::pg_catalog.text] IS DISTINCT FROM ARRAY[OLD."id"::pg_catalog.text] THEN ` + record("NEW") + more + ` END IF;` +
		` RETURN NULL; END $f$;
		REVOKE ALL ON FUNCTION ` + base + `_f() FROM PUBLIC;
		CREATE TRIGGER ` + base + `_insert AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION ` + base + `_f();`
}
