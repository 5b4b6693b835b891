package row_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/tenant"
)

// attack is a piece of SQL that acme's user puts into an application's query, to see
// globex's rows. $forged, $other, $old, $theirs and $open stand for tokens: made up, of globex's on
// another connection, acme's earlier one and globex's earlier one on this connection, and the one that
// opened it, each as it is written between parentheses. $pid stands for its process.
type attack struct {
	name   string
	sql    string
	how    delivery
	plain  bool // it gets through in plain mode
	sealed bool // it wants to know tokens that nobody can see, which is tried in sealed mode alone
}

type delivery int

const (
	inside  delivery = iota // evaluated in a sub-select, before the rows of orders
	reading                 // its value is shown
	stacked                 // statements after the application's, and then the rows of orders
)

// the attacks. Those that get through in plain mode are the ones that reach the setting;
// docs/threat-model.md repeats them.
var attacks = []attack{
	{name: "set_config, for the transaction", sql: `set_config('tenancy.tenant', 'globex', true)`, plain: true},
	{name: "set_config, for the session", sql: `set_config('tenancy.tenant', 'globex', false)`, plain: true},
	{name: "set_config by a statement run as XML", sql: `query_to_xml($$SELECT set_config('tenancy.tenant', 'globex', false)$$, true, true, '')`, plain: true},
	{name: "set_config in a table function", sql: `SELECT title FROM (SELECT 1) a, LATERAL (SELECT title FROM orders, set_config('tenancy.tenant', 'globex', false)) b`, how: stacked, plain: true},
	{name: "SET", sql: `SET tenancy.tenant = 'globex'`, how: stacked, plain: true},
	{name: "SET LOCAL", sql: `BEGIN; SET LOCAL tenancy.tenant = 'globex'; SELECT title FROM orders; COMMIT`, how: stacked, plain: true},
	{name: "UPDATE pg_settings", sql: `UPDATE pg_settings SET setting = 'globex' WHERE name = 'tenancy.tenant'`, how: stacked},
	{name: "DO", sql: `DO $$ BEGIN PERFORM set_config('tenancy.tenant', 'globex', false); END $$`, how: stacked, plain: true},
	{name: "PREPARE and EXECUTE", sql: `PREPARE p AS SELECT set_config('tenancy.tenant', 'globex', false); EXECUTE p; DEALLOCATE p`, how: stacked, plain: true},
	{name: "COPY of a query", sql: `COPY (SELECT set_config('tenancy.tenant', 'globex', false)) TO STDOUT`, how: stacked},
	{name: "EXPLAIN ANALYZE", sql: `EXPLAIN ANALYZE SELECT set_config('tenancy.tenant', 'globex', false)`, how: stacked, plain: true},
	{name: "token made up", sql: `set_config('tenancy.token', $forged, false)`},
	{name: "token made up, SET", sql: `SET tenancy.token = $forged`, how: stacked},
	{name: "token of another connection", sql: `set_config('tenancy.token', $other, false)`},
	{name: "token of another connection, SET", sql: `SET tenancy.token = $other`, how: stacked},
	{name: "own older token", sql: `set_config('tenancy.token', $old, false)`},
	{name: "no token", sql: `set_config('tenancy.token', '', false)`},
	{name: "RESET", sql: `RESET tenancy.token; RESET tenancy.tenant`, how: stacked},
	{name: "RESET ALL", sql: `RESET ALL`, how: stacked},
	{name: "enter, made up", sql: `tenancy.enter($forged)`},
	{name: "enter, another connection's", sql: `tenancy.enter($other)`},
	{name: "enter, own older", sql: `tenancy.enter($old)`},
	{name: "enter, theirs on this connection", sql: `tenancy.enter($theirs)`, sealed: true},
	{name: "confine, made up", sql: `tenancy.confine($forged)`},
	{name: "confine, another connection's", sql: `tenancy.confine($other)`},
	{name: "confine, own older", sql: `tenancy.confine($old)`},
	{name: "confine, theirs on this connection", sql: `SELECT tenancy.confine($theirs)`, how: stacked, sealed: true},
	{name: "present", sql: `tenancy.present($other)`},
	{name: "keep", sql: `tenancy.keep($forged)`},
	{name: "open, made up", sql: `tenancy.open($forged)`},
	{name: "open again", sql: `tenancy.open($open)`, sealed: true},
	{name: "clear", sql: `tenancy.clear()`},
	{name: "the same, guessed", sql: `SELECT tenancy.enter($forged); SELECT tenancy.enter($theirs)`, how: stacked, sealed: true},
	{name: "numbers as a token", sql: `tenancy.enter('\x', 1, 1)`},
	{name: "no words", sql: `tenancy.enter('\x', 1, VARIADIC '{}')`},
	{name: "all from the start: emptied, opened, entered", sql: `DISCARD SEQUENCES; SELECT tenancy.open($open); SELECT tenancy.enter($theirs)`, how: stacked, sealed: true},
	{name: "emptied, entered", sql: `DISCARD SEQUENCES; SELECT tenancy.enter($theirs)`, how: stacked, sealed: true},
	{name: "entered in a transaction that ends", sql: `BEGIN; SELECT tenancy.enter($theirs); ROLLBACK`, how: stacked, sealed: true},
	{name: "no arguments", sql: `tenancy.enter(NULL)`},
	{name: "token of escapes", sql: `set_config('tenancy.token', repeat('0', 64) || E'.k1.0.9999999999.\\147lobex', false)`},
	{name: "tenant as a UUID", sql: `tenancy.current_tenant_uuid()`},

	{name: "DISCARD SEQUENCES", sql: `DISCARD SEQUENCES`, how: stacked},
	{name: "DISCARD TEMP", sql: `DISCARD TEMP`, how: stacked},
	{name: "DISCARD PLANS", sql: `DISCARD PLANS`, how: stacked},
	{name: "DEALLOCATE ALL", sql: `DEALLOCATE ALL`, how: stacked},
	{name: "setval", sql: `setval('tenancy.tenant', 1)`},
	{name: "setval by the OID", sql: `setval((SELECT oid FROM pg_class WHERE relname = 'tenant'), 1)`},
	{name: "nextval", sql: `nextval('tenancy.tenant')`},
	{name: "nextval of the count", sql: `nextval('tenancy.seal')`},
	{name: "currval of the count", sql: `currval('tenancy.seal')`, how: reading},
	{name: "currval of the secret", sql: `currval('tenancy.secret_1')`, how: reading},
	{name: "last value of the secret", sql: `(SELECT last_value FROM tenancy.secret_1)`, how: reading},
	{name: "last values of all", sql: `(SELECT string_agg(last_value::text, ' ') FROM pg_sequences WHERE schemaname = 'tenancy')`, how: reading},
	{name: "setval of the secret", sql: `setval('tenancy.secret_1', 1)`},
	{name: "setval of the count", sql: `setval('tenancy.seal', 1)`},
	{name: "keys made to look retired", sql: `nextval('tenancy.retired')`},
	{name: "last value", sql: `(SELECT last_value FROM tenancy.tenant)`, how: reading},
	{name: "lastval", sql: `lastval()`, how: reading},
	{name: "pg_sequence_last_value", sql: `pg_sequence_last_value((SELECT oid FROM pg_class WHERE relname = 'seal'))`, how: reading},
	{name: "the key", sql: `(SELECT inner_pad FROM tenancy.keys)`, how: reading},
	{name: "the key, as XML", sql: `table_to_xml('tenancy.keys', true, true, '')`, how: reading},
	{name: "the key, as statistics", sql: `(SELECT string_agg(most_common_vals::text, '') FROM pg_stats WHERE schemaname = 'tenancy')`, how: reading},
	{name: "the key, COPY", sql: `COPY tenancy.keys TO STDOUT`, how: stacked},
	{name: "another key", sql: `INSERT INTO tenancy.keys (id, inner_pad, outer_pad) VALUES ('k9', '\x00', '\x00')`, how: stacked},
	{name: "lock on the keys", sql: `BEGIN; LOCK TABLE tenancy.keys IN ACCESS EXCLUSIVE MODE; COMMIT`, how: stacked},
	{name: "rows that were opened", sql: `DELETE FROM tenancy.opened`, how: stacked},

	{name: "role by set_config", sql: `set_config('role', 'postgres', false)`},
	{name: "role of the owner", sql: `set_config('role', 'tenancy_owner', false)`},
	{name: "session_authorization by set_config", sql: `set_config('session_authorization', 'postgres', false)`},
	{name: "row_security off", sql: `set_config('row_security', 'off', false)`},
	{name: "SET ROLE", sql: `SET ROLE postgres`, how: stacked},
	{name: "SET ROLE to the owner", sql: `SET ROLE tenancy_owner`, how: stacked},
	{name: "SET SESSION AUTHORIZATION", sql: `SET SESSION AUTHORIZATION postgres`, how: stacked},
	{name: "RESET SESSION AUTHORIZATION", sql: `RESET SESSION AUTHORIZATION; RESET ROLE`, how: stacked},
	{name: "replication role", sql: `SET session_replication_role = replica`, how: stacked},
	{name: "ALTER ROLE", sql: `ALTER ROLE CURRENT_USER BYPASSRLS`, how: stacked},
	{name: "GRANT", sql: `GRANT tenancy_owner TO CURRENT_USER`, how: stacked},

	{name: "row security disabled", sql: `ALTER TABLE orders DISABLE ROW LEVEL SECURITY`, how: stacked},
	{name: "row security not forced", sql: `ALTER TABLE orders NO FORCE ROW LEVEL SECURITY`, how: stacked},
	{name: "policy added", sql: `CREATE POLICY p ON orders USING (true)`, how: stacked},
	{name: "policy edited", sql: `ALTER POLICY tenancy_only ON orders USING (true)`, how: stacked},
	{name: "policy dropped", sql: `DROP POLICY tenancy_only ON orders`, how: stacked},
	{name: "function replaced", sql: `CREATE OR REPLACE FUNCTION tenancy.current_tenant() RETURNS text LANGUAGE sql AS $$SELECT 'globex'$$`, how: stacked},
	{name: "function dropped", sql: `DROP FUNCTION tenancy.current_tenant() CASCADE`, how: stacked},
	{name: "definer function", sql: `CREATE FUNCTION public.f() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS 'SELECT title FROM orders'`, how: stacked},
	{name: "function in pg_temp", sql: `CREATE FUNCTION pg_temp.current_tenant() RETURNS text LANGUAGE sql AS $$SELECT 'globex'$$`, how: stacked},
	{name: "operator in pg_temp", sql: `CREATE FUNCTION pg_temp.t(text, text) RETURNS bool LANGUAGE sql AS 'SELECT true'; CREATE OPERATOR pg_temp.= (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.t)`, how: stacked},
	{name: "view", sql: `CREATE VIEW public.v AS SELECT title FROM orders`, how: stacked},
	{name: "rule", sql: `CREATE RULE r AS ON SELECT TO orders DO INSTEAD SELECT 1`, how: stacked},
	{name: "trigger", sql: `CREATE TRIGGER t BEFORE INSERT ON orders EXECUTE FUNCTION suppress_redundant_updates_trigger()`, how: stacked},
	{name: "schema", sql: `CREATE SCHEMA mine`, how: stacked},
	{name: "search_path", sql: `set_config('search_path', 'pg_temp, public', false)`},
	{name: "search_path, SET", sql: `SET search_path = pg_temp, public`, how: stacked},
	{name: "temporary table", sql: `CREATE TEMP TABLE orders (tenant_id text, id int, title text)`, how: stacked},
	{name: "temporary sequence", sql: `CREATE TEMP SEQUENCE tenant`, how: stacked},
	{name: "temporary table by SELECT INTO", sql: `SELECT 'acme' AS title INTO TEMP orders`, how: stacked},
	{name: "extension", sql: `CREATE EXTENSION dblink`, how: stacked},
	{name: "library", sql: `LOAD 'plperl'`, how: stacked},
	{name: "server", sql: `CREATE SERVER s FOREIGN DATA WRAPPER w`, how: stacked},
	{name: "dblink", sql: `dblink('dbname=postgres', 'SELECT 1')`, how: reading},

	{name: "orders as XML", sql: `query_to_xml('SELECT title FROM orders', true, true, '')`, how: reading},
	{name: "database as XML", sql: `database_to_xml(true, true, '')`, how: reading},
	{name: "text search of a statement", sql: `(SELECT string_agg(word, ' ') FROM ts_stat('SELECT to_tsvector(title) FROM orders'))`, how: reading},
	{name: "statistics", sql: `(SELECT string_agg(most_common_vals::text || histogram_bounds::text, '') FROM pg_stats WHERE tablename = 'orders')`, how: reading},
	{name: "file", sql: `pg_read_file('PG_VERSION')`, how: reading},
	{name: "COPY to a program", sql: `COPY orders TO PROGRAM 'cat'`, how: stacked},
	{name: "COPY", sql: `COPY orders TO STDOUT`, how: stacked},
	{name: "own cursor", sql: `DECLARE c CURSOR WITH HOLD FOR SELECT title FROM orders; FETCH ALL FROM c`, how: stacked},
	{name: "LISTEN", sql: `LISTEN x; NOTIFY x, 'y'`, how: stacked},
	{name: "what the pool prepared, replaced", sql: `DEALLOCATE ALL; ` + replaced(), how: stacked},
	{name: "settings of functions", sql: `SET transform_null_equals = on; SET standard_conforming_strings = off; SET backslash_quote = on; SET plan_cache_mode = force_generic_plan`, how: stacked},
	{name: "settings of parallel queries", sql: `SET force_parallel_mode = on; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0`, how: stacked},
	{name: "client encoding", sql: `set_config('client_encoding', 'LATIN1', false)`},
	{name: "row of another tenant", sql: `INSERT INTO orders (tenant_id, id, title) VALUES ('globex', 9, 'planted')`, how: stacked},
	{name: "rows changed", sql: `UPDATE orders SET title = 'stolen' WHERE title LIKE 'globex%'`, how: stacked},
	{name: "rows moved", sql: `UPDATE orders SET tenant_id = 'acme' WHERE title LIKE 'globex%'`, how: stacked},
	{name: "rows deleted", sql: `DELETE FROM orders WHERE title LIKE 'globex%'; TRUNCATE orders`, how: stacked},
	{name: "settings of the role", sql: `ALTER ROLE CURRENT_USER SET tenancy.tenant = 'globex'`, how: stacked},
	{name: "other database", sql: `(SELECT string_agg(datname, '') FROM pg_database WHERE datname = 'none')`, how: reading},
}

// replaced takes the names that what is sent for the next tenant might be prepared under.
func replaced() string {
	var b strings.Builder
	for n := range 20 {
		fmt.Fprintf(&b, "PREPARE tenancy_%d(text) AS SELECT 1; ", n)
	}
	return b.String()
}

// payload closes the application's literal, and comments its rest out.
func (a attack) payload() string {
	switch a.how {
	case inside:
		return `x' UNION ALL SELECT o.title FROM (SELECT count(*) AS n FROM (SELECT ` + a.sql + ` OFFSET 0) a) s, LATERAL (SELECT title FROM orders WHERE s.n > 0 OFFSET 0) o --`
	case reading:
		return `x' UNION ALL SELECT (` + a.sql + `)::text --`
	default:
		return `x'; ` + a.sql + `; SELECT title FROM orders --`
	}
}

// search is the application's mistake: text of a user in SQL. With arguments the driver
// uses another protocol, which takes one statement.
func search(ctx context.Context, db *sql.DB, text string, withArgs bool) ([]string, error) {
	query, args := `SELECT title FROM orders WHERE title LIKE '`+text+`'`, []any(nil)
	if withArgs {
		query, args = `SELECT title FROM orders WHERE id > $1 AND title LIKE '`+text+`'`, []any{0}
	}
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []string
	for more := true; more; more = rows.NextResultSet() {
		columns, err := rows.Columns()
		if err != nil {
			return found, err
		}
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(sql.NullString)
		}
		for rows.Next() {
			if err := rows.Scan(values...); err != nil {
				return found, err
			}
			for _, v := range values {
				found = append(found, v.(*sql.NullString).String)
			}
		}
	}
	return found, rows.Err()
}

// spy is a connector that remembers the tokens which the strategy sends.
type spy struct {
	driver.Connector
	mu     sync.Mutex
	tokens []sent
}

type sent struct {
	pid             int
	function, token string // the token as it is written between parentheses
}

func (s *spy) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := s.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &spied{Conn: conn.(*postgres.Conn), spy: s}, nil
}

type spied struct {
	*postgres.Conn
	spy *spy
}

func (c *spied) Unwrap() driver.Conn { return c.Conn }

func (c *spied) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.spy.noteValues(c.BackendPID(), query, args)
	return c.Conn.QueryContext(ctx, query, args)
}

func (c *spied) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.spy.noteValues(c.BackendPID(), query, args)
	return c.Conn.ExecContext(ctx, query, args)
}

// Enter looks at the tokens that go with statements.
func (c *spied) Enter(e postgres.Entry) error {
	if renew := e.Renew; renew != nil {
		e.Renew = func() ([]postgres.Statement, error) {
			statements, err := renew()
			for _, s := range statements {
				c.spy.note(c.BackendPID(), s.Query, s.Args)
			}
			return statements, err
		}
	}
	return c.Conn.Enter(e)
}

func (s *spy) noteValues(pid int, query string, args []driver.NamedValue) {
	var texts []string
	for _, arg := range args {
		texts = append(texts, fmt.Sprint(arg.Value))
	}
	s.note(pid, query, texts)
}

// note remembers the arguments of a function of the schema tenancy, if it is one's.
func (s *spy) note(pid int, query string, args []string) {
	for _, function := range []string{"open", "confine", "present"} {
		if strings.Contains(query, "tenancy."+function+"($1") {
			s.mu.Lock()
			s.tokens = append(s.tokens, sent{pid, function, "'" + strings.Join(args, "', '") + "'"})
			s.mu.Unlock()
		}
	}
}

// secret is the part of the token that nobody could make up.
func (t sent) secret() string {
	return strings.TrimPrefix(regexp.MustCompile(`'(\\x)?[0-9a-f]{64,96}`).FindString(t.token), `'`)
}

// last returns the nth last token that was sent for a function, on pid's session or, if
// other is set, on another.
func (s *spy) last(function string, pid, n int, other bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range slices.Backward(s.tokens) {
		if t.function == function && (t.pid == pid) != other {
			if n--; n == 0 {
				return t.token
			}
		}
	}
	return "'none'"
}

// arena is an application with an open door, in one mode.
type arena struct {
	*fixture
	strategy *row.Strategy
	spy      *spy
	db       *sql.DB // of one connection
}

func newArena(t *testing.T, opts ...row.Option) *arena {
	t.Helper()
	f := open(t, tables)
	s := &spy{Connector: f.runtime}
	strategy, err := row.New(s, append(opts, row.Admin(f.connector(t, f.db.URL())))...)
	require.NoError(t, err)
	require.NoError(t, strategy.Install(t.Context()))
	require.NoError(t, strategy.Verify(t.Context()))
	pool, err := isolation.New(strategy, isolation.MaxConns(1))
	require.NoError(t, err)
	a := &arena{fixture: f, strategy: strategy, spy: s, db: sql.OpenDB(pool)}
	t.Cleanup(func() { assert.NoError(t, a.db.Close()) })
	f.exec(t, `INSERT INTO orders VALUES ('acme', 1, 'acme 1'), ('acme', 2, 'acme 2'), ('globex', 1, 'globex 1'); ANALYZE orders`)
	return a
}

func in(t testing.TB, who tenant.Tenant) context.Context { return tenant.NewContext(t.Context(), who) }

// arm fills tokens into an attack on the session of a process.
func (a *arena) arm(text string, pid int) string {
	forged := "'" + strings.Repeat("0", 64) + fmt.Sprintf(".k1.%d.9999999999.globex'", pid)
	if genuine := a.spy.last("confine", pid, 1, false); len(genuine) > 64 {
		forged = genuine[:63] + string('0'+(genuine[63]+1)%10) + genuine[64:]
	}
	return strings.NewReplacer("$forged", forged,
		"$old", a.spy.last("confine", pid, 3, false), "$theirs", a.spy.last("confine", pid, 2, false),
		"$other", a.spy.last("confine", pid, 1, true), "$open", a.spy.last("open", pid, 1, false), "$pid", fmt.Sprint(pid)).Replace(text)
}

// leaks reports whether a row of globex's is among what acme found.
func leaks(found []string) bool {
	return slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, "globex 1") })
}

// afterwards are the next statements of both tenants on the connection. They may fail
// once, if the connection was lost.
func (a *arena) afterwards(t *testing.T, name string) (leaked bool) {
	t.Helper()
	found, _ := search(in(t, acme), a.db, "%", false)
	leaked = leaks(found)
	for _, who := range []tenant.Tenant{globex, acme} {
		found, err := search(in(t, who), a.db, "%", true)
		require.NoError(t, err, "%s: then %s", name, who.ID)
		for _, title := range found {
			assert.Contains(t, title, who.ID.String(), "%s: then %s", name, who.ID)
		}
	}
	return leaked
}

// TestInjection goes through the pool, with a query that has a hole.
func TestInjection(t *testing.T) {
	t.Parallel()
	for _, m := range arenas() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			a := newArena(t, m.opts...)
			other := newSession(t, a.strategy) // of globex, elsewhere
			require.NoError(t, other.enter(a.strategy, globex))
			var through []string
			for _, attack := range attacks {
				if attack.sealed && !m.sealed {
					continue
				}
				leaked := false
				for _, withArgs := range []bool{false, true} {
					for _, who := range []tenant.Tenant{acme, globex, acme} {
						_, err := search(in(t, who), a.db, "none", true)
						require.NoError(t, err)
					}
					var pid int
					require.NoError(t, a.db.QueryRowContext(in(t, acme), `SELECT pg_backend_pid()`).Scan(&pid))
					found, _ := search(in(t, acme), a.db, a.arm(attack.payload(), pid), withArgs)
					leaked = leaks(found) || leaked
					leaked = a.afterwards(t, attack.name) || leaked
				}
				if leaked {
					through = append(through, attack.name)
				}
			}
			assert.Equal(t, m.through(isSeen), through)
			a.assertUntouched(t)
		})
	}
}

// TestInjectionBelowThePool is the same on the driver's connection, where no guard looks
// at statements and the simple protocol takes several.
func TestInjectionBelowThePool(t *testing.T) {
	t.Parallel()
	for _, m := range arenas() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			a := newArena(t, m.opts...)
			other := newSession(t, a.strategy)
			require.NoError(t, other.enter(a.strategy, globex))
			var through []string
			var c session
			for _, attack := range attacks {
				if attack.sealed && !m.sealed {
					continue
				}
				if c.conn == nil {
					c = newSession(t, a.strategy)
				}
				for _, who := range []tenant.Tenant{acme, globex, acme} {
					require.NoError(t, c.enter(a.strategy, who))
				}
				pid := c.conn.(*spied).BackendPID()
				found := c.all(`SELECT title FROM orders WHERE title LIKE '` + a.arm(attack.payload(), pid) + `'`)
				leaked := leaks(found) || leaks(c.all(`SELECT title FROM orders`)) || leaks(c.all(`SELECT title FROM orders WHERE id > $1`, int64(0)))
				if leaked {
					through = append(through, attack.name)
				}
				c = a.passOn(t, c, attack.name)
			}
			assert.Equal(t, m.through(func(attack) bool { return true }), through)
			a.assertUntouched(t)
		})
	}
}

// passOn gives c to globex and back. A session that does not accept that is closed, as the
// pool does.
func (a *arena) passOn(t *testing.T, c session, name string) session {
	t.Helper()
	for _, who := range []tenant.Tenant{globex, acme} {
		if valid := c.conn.(driver.Validator).IsValid(); !valid || c.enter(a.strategy, who) != nil {
			require.NoError(t, c.conn.Close())
			return session{}
		}
		found := c.column(`SELECT title FROM orders`)
		require.NotEmpty(t, found, "%s: then %s", name, who.ID)
		for _, title := range found {
			assert.Contains(t, title, who.ID.String(), "%s: then %s", name, who.ID)
		}
	}
	return c
}

// all returns all values of all results, up to an error.
func (s session) all(query string, args ...driver.Value) []string {
	named := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: arg}
	}
	rows, err := s.conn.(driver.QueryerContext).QueryContext(s.t.Context(), query, named)
	if err != nil {
		return nil
	}
	defer rows.Close()
	var found []string
	for more := true; more; {
		dest := make([]driver.Value, len(rows.Columns()))
		for rows.Next(dest) == nil {
			for _, v := range dest {
				if b, ok := v.([]byte); ok {
					v = string(b)
				}
				found = append(found, fmt.Sprint(v))
			}
		}
		next, ok := rows.(driver.RowsNextResultSet)
		more = ok && next.HasNextResultSet() && next.NextResultSet() == nil
	}
	return found
}

// assertUntouched wants globex's rows to be as they were.
func (a *arena) assertUntouched(t *testing.T) {
	t.Helper()
	var rows string
	require.NoError(t, a.admin.QueryRowContext(t.Context(), `SELECT string_agg(tenant_id || id || title, ',' ORDER BY id) FROM orders WHERE tenant_id = 'globex' OR title LIKE 'globex%'`).Scan(&rows))
	assert.Equal(t, "globex1globex 1", rows)
}

// arenaMode is a mode, with what is expected to get through.
type arenaMode struct {
	name   string
	opts   []row.Option
	plain  bool
	sealed bool
}

func arenas() []arenaMode {
	secret := []byte("not as random as a key in production should be")
	key, _ := row.NewKey("k1", secret)
	return []arenaMode{
		{name: "plain", plain: true},
		{name: "sealed", opts: []row.Option{row.Sealed(key)}, sealed: true},
		{name: "signed", opts: []row.Option{row.Signed(key)}},
		{name: "signed, in transactions, hardened", opts: []row.Option{row.Signed(key), row.TransactionScoped(), row.Harden()}},
		{name: "sealed, hardened", opts: []row.Option{row.Sealed(key), row.Harden()}, sealed: true},
		{name: "signed, hardened", opts: []row.Option{row.Signed(key), row.Harden()}},
	}
}

// through returns the names of the attacks that are expected to get through, of those that
// are tried.
func (m arenaMode) through(tried func(attack) bool) []string {
	var names []string
	for _, a := range attacks {
		if m.plain && a.plain && tried(a) {
			names = append(names, a.name)
		}
	}
	return names
}

// isSeen reports whether the pool's guard lets the attack pass: SET and the like it refuses.
func isSeen(a attack) bool {
	refused := []string{"SET", "SET LOCAL", "DO", "PREPARE and EXECUTE"}
	return !slices.Contains(refused, a.name)
}

// TestProceduresKeepTheTenant has acme leave its own tenant on the session of a pooler's
// that globex then calls a procedure on, which rolls back and goes on.
func TestProceduresKeepTheTenant(t *testing.T) {
	t.Parallel()
	for _, m := range []struct {
		name  string
		mode  row.Option
		leave string
	}{
		{"plain", row.Plain(), `SELECT set_config('tenancy.tenant', 'acme', false)`},
		{"signed", row.Signed(newKey(t, "k1")), `SELECT tenancy.keep(current_setting('tenancy.token'))`},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			a := newArena(t, m.mode, row.TransactionScoped())
			a.exec(t, `CREATE PROCEDURE batch() LANGUAGE plpgsql AS $$ BEGIN
				ROLLBACK;
				INSERT INTO orders (id, title) VALUES (77, 'whose');
			END $$`)
			for _, call := range []string{`CALL batch()`, ` /* */ call batch()`, `SELECT 1; CALL batch()`} {
				_, err := a.db.ExecContext(in(t, acme), m.leave)
				require.NoError(t, err)
				_, err = a.db.ExecContext(in(t, globex), call)
				require.ErrorContains(t, err, "BeginTx")
			}
			_, err := a.db.ExecContext(in(t, acme), m.leave)
			require.NoError(t, err)
			tx, err := a.db.BeginTx(in(t, globex), nil)
			require.NoError(t, err)
			_, err = tx.ExecContext(in(t, globex), `CALL batch()`)
			require.ErrorContains(t, err, "invalid transaction termination")
			require.NoError(t, tx.Rollback())
			var rows int
			require.NoError(t, a.admin.QueryRowContext(t.Context(), `SELECT count(*) FROM orders WHERE id = 77`).Scan(&rows))
			assert.Zero(t, rows)
		})
	}
}
