package row_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/row"
)

// TestAttacks tries, as a tenant on a raw connection of the runtime role, what
// neither the pool nor its statement guard would see. Each attack is refused with
// the words, or has no effect when there are none.
func TestAttacks(t *testing.T) {
	t.Parallel()
	f := open(t, tables+`CREATE TABLE parts (tenant_id text NOT NULL, id int, PRIMARY KEY (tenant_id, id)) PARTITION BY HASH (tenant_id);
		CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0);`)
	s := f.installed(t)
	c := newSession(t, s)
	for _, who := range []string{"globex", "acme"} {
		c.must(`RESET tenancy.tenant; SET tenancy.tenant = '` + who + `'`)
		c.must(`INSERT INTO orders (id, title) VALUES (1, '` + who + `'); INSERT INTO app.items (id, order_id) VALUES (7, 1)`)
	}
	c.confine(s, globex)
	c.must(`INSERT INTO orders (id, title) VALUES (42, 'globex')`)

	attacks := []struct{ sql, refusal string }{
		{`INSERT INTO orders (tenant_id, id) VALUES ('globex', 9)`, "violates row-level security policy"},
		{`INSERT INTO orders (tenant_id, id) VALUES ('globex', 1) ON CONFLICT (tenant_id, id) DO UPDATE SET title = 'stolen'`, "violates row-level security policy"},
		{`UPDATE orders SET tenant_id = 'globex'`, "violates row-level security policy"},
		{`UPDATE orders SET title = 'stolen' WHERE title = 'globex'`, ""},
		{`DELETE FROM orders WHERE title = 'globex'`, ""},
		{`MERGE INTO orders USING (VALUES (42)) AS v(id) ON orders.id = v.id WHEN MATCHED THEN DELETE`, ""},
		{`INSERT INTO app.items (id, order_id) VALUES (8, 42)`, "violates foreign key constraint"},
		{`INSERT INTO app.items (id, order_id) VALUES (8, 99)`, "violates foreign key constraint"},
		{`TRUNCATE orders CASCADE`, "permission denied"},
		{`CREATE TEMP TABLE orders (x int)`, "permission denied to create temporary tables"},
		{`CREATE TABLE public.x (x int)`, "permission denied for schema public"},
		{`CREATE TABLE app.x (x int)`, "permission denied for schema app"},
		{`CREATE SCHEMA x`, "permission denied for database"},
		{`CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'`, "permission denied"},
		{`CREATE OR REPLACE FUNCTION tenancy.current_tenant() RETURNS text LANGUAGE sql AS $$SELECT 'globex'$$`, "permission denied"},
		{`CREATE TRIGGER t AFTER INSERT ON orders EXECUTE FUNCTION suppress_redundant_updates_trigger()`, "permission denied"},
		{`CREATE POLICY p ON orders USING (true)`, "must be owner"},
		{`DROP POLICY tenancy_only ON orders`, "must be owner"},
		{`ALTER TABLE orders DISABLE ROW LEVEL SECURITY`, "must be owner"},
		{`ALTER TABLE orders NO FORCE ROW LEVEL SECURITY`, "must be owner"},
		{`DROP TABLE orders CASCADE`, "must be owner"},
		{`SET row_security = off; SELECT FROM orders`, "would be affected by row-level security policy"},
		{`SET ROLE postgres`, "permission denied to set role"},
		{`SET SESSION AUTHORIZATION postgres`, "permission denied to set session authorization"},
		{`SET session_replication_role = replica`, "permission denied to set parameter"},
		{`COPY orders FROM STDIN`, "COPY FROM not supported with row-level security"},
		{`COPY orders TO PROGRAM 'id'`, "pg_execute_server_program"},
		{`SELECT * FROM parts_0`, "permission denied for table parts_0"},
		{`SELECT pg_read_file('/etc/passwd')`, "permission denied"},
		{`ALTER ROLE ` + f.role + ` BYPASSRLS`, "must be superuser"},
	}
	for _, a := range attacks {
		c.confine(s, acme)
		err := c.exec(a.sql)
		if a.refusal == "" {
			require.NoError(t, err, a.sql)
		} else {
			require.ErrorContains(t, err, a.refusal, a.sql)
		}
		c.confine(s, acme)
		assert.Equal(t, []string{"acme"}, c.column(`SELECT title FROM orders ORDER BY id`), a.sql)
	}
	c.confine(s, globex)
	assert.Equal(t, []string{"globex", "globex"}, c.column(`SELECT title FROM orders ORDER BY id`), "nothing was changed")
}

func TestWithoutATenantEveryStatementFails(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	s := f.installed(t)
	c := newSession(t, s)
	fresh := c.exec(`SELECT title FROM orders`)
	require.ErrorContains(t, fresh, "no tenant is set on this session")
	require.ErrorContains(t, fresh, "42501")
	c.confine(s, acme)
	c.must(`RESET tenancy.tenant`)
	require.ErrorContains(t, c.exec(`SELECT title FROM orders`), "no tenant is set")
	require.ErrorContains(t, c.exec(`INSERT INTO orders (id) VALUES (1)`), "no tenant is set")
}

// TestPlainIsNoBoundaryAgainstInjection holds the documentation to the truth.
func TestPlainIsNoBoundaryAgainstInjection(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	s := f.installed(t)
	c := newSession(t, s)
	c.confine(s, globex)
	c.must(`INSERT INTO orders (id, title) VALUES (1, 'globex')`)
	c.confine(s, acme)
	c.must(`SELECT set_config('tenancy.tenant', 'globex', false)`)
	assert.Equal(t, []string{"globex"}, c.column(`SELECT title FROM orders`))
	c.confine(s, acme)
	assert.Empty(t, c.column(`SELECT title FROM orders`), "the next confinement ends it")
}

func TestCachedPlansFollowTheTenant(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	s := f.installed(t)
	c := newSession(t, s)
	c.must(`SET plan_cache_mode = force_generic_plan; PREPARE q AS SELECT title FROM orders`)
	for _, who := range []string{"acme", "globex", "acme"} {
		c.must(`SET tenancy.tenant = '` + who + `'`)
		c.must(`INSERT INTO orders (id, title) VALUES (1, '` + who + `') ON CONFLICT DO NOTHING`)
		assert.Equal(t, []string{who}, c.column(`EXECUTE q`))
	}
}

func TestPoliciesReadTheTenantOnceAndInParallel(t *testing.T) {
	t.Parallel()
	f := open(t, `CREATE TABLE orders (tenant_id text NOT NULL, id int, title text)`)
	s := f.installed(t, row.Tables("orders"))
	c := newSession(t, s)
	c.confine(s, acme)
	c.must(`INSERT INTO orders (id) SELECT g FROM generate_series(1, 3000) g`)
	f.exec(t, `ANALYZE orders`)
	c.must(`SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2`)
	plan := strings.Join(c.column(`EXPLAIN SELECT sum(id) FROM orders`), "\n")
	assert.Contains(t, plan, "InitPlan")
	assert.Contains(t, plan, "Parallel Seq Scan")
	assert.Equal(t, []string{"3000"}, c.column(`SELECT count(*) FROM orders`))
	assert.Equal(t, []string{"acme"}, c.column(`SELECT max(tenancy.current_tenant()) FROM orders`), "workers know the tenant")
}

// TestLaterPermissivePolicyWidensNothing is why there is a restrictive policy.
func TestLaterPermissivePolicyWidensNothing(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	s := f.installed(t)
	f.exec(t, `CREATE POLICY wide ON orders FOR SELECT USING (true)`)
	require.NoError(t, s.Verify(t.Context()))
	c := newSession(t, s)
	c.confine(s, globex)
	c.must(`INSERT INTO orders (id, title) VALUES (1, 'globex')`)
	c.confine(s, acme)
	assert.Empty(t, c.column(`SELECT title FROM orders`))
}

func TestHarmlessObjectsAreNoFindings(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	s := f.installed(t, row.AllowDefiner("login"))
	f.exec(t, `
		CREATE VIEW mine WITH (security_invoker = on) AS SELECT title FROM orders; GRANT SELECT ON mine TO $app;
		CREATE TABLE countries (code text PRIMARY KEY); GRANT SELECT ON countries TO $app;
		CREATE VIEW lands AS SELECT code FROM countries; GRANT SELECT ON lands TO $app;
		CREATE VIEW hidden AS SELECT title FROM orders;
		CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM orders;
		CREATE TABLE backup AS SELECT * FROM orders; ALTER TABLE backup ALTER tenant_id SET NOT NULL;
		CREATE FUNCTION login() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT 1';
		CREATE ROLE $app_readers; GRANT $app_readers TO $app;
		CREATE POLICY narrow ON orders AS RESTRICTIVE FOR SELECT USING (id > 0)`)
	// A table with the column is a tenant table, whether anyone may read it or not.
	require.NoError(t, s.Install(t.Context()))
	require.NoError(t, s.Verify(t.Context()))
}
