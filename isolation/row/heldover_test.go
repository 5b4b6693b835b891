package row_test

import (
	"database/sql/driver"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/row"
)

// TestNothingIsHeldOver leaves something of globex's on a session, and looks for it as acme.
func TestNothingIsHeldOver(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, leave, find string }{
		{"cursor", `DECLARE c CURSOR WITH HOLD FOR SELECT title FROM orders`, `FETCH ALL FROM c`},
		{"cursor's text", `DECLARE c CURSOR WITH HOLD FOR SELECT 'globex 1'`, `SELECT statement FROM pg_cursors`},
		{"prepared statement", `PREPARE p AS SELECT title, 'globex 1' FROM orders; EXECUTE p`, `EXECUTE p`},
		{"prepared statement's text", `PREPARE p AS SELECT 'globex 1'`, `SELECT statement FROM pg_prepared_statements`},
		{"setting", `SET x.y = 'globex 1'`, `SELECT current_setting('x.y', true)`},
		{"token", `SELECT set_config('x.y', current_setting('tenancy.token', true), false)`, `SELECT current_setting('x.y', true)`},
		{"settings in a transaction", `BEGIN; SET LOCAL x.y = 'globex 1'; COMMIT`, `SELECT current_setting('x.y', true)`},
		{"sequence", `SELECT nextval('orders_n_seq')`, `SELECT 'globex 1' || lastval()`},
		{"sequence's value", `SELECT nextval('orders_n_seq')`, `SELECT 'globex 1' || currval('orders_n_seq')`},
		{"lock", `SELECT pg_advisory_lock(42)`, `SELECT 'globex 1' FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND pid = pg_backend_pid()`},
		{"channel", `LISTEN globex`, `SELECT 'globex 1' FROM pg_listening_channels()`},
		{"planned under another tenant", `SET plan_cache_mode = force_generic_plan; PREPARE p AS SELECT title FROM orders; EXECUTE p`, `EXECUTE p`},
	}
	for _, m := range arenas() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			a := newArena(t, m.opts...)
			a.exec(t, `CREATE SEQUENCE orders_n_seq; GRANT USAGE ON SEQUENCE orders_n_seq TO $app`)
			c := newSession(t, a.strategy)
			for _, tt := range tests {
				require.NoError(t, c.enter(a.strategy, globex))
				if err := c.exec(tt.leave); err != nil {
					require.ErrorContains(t, err, "permission denied for function set_config", tt.name)
				}
				c.confine(a.strategy, acme)
				if tt.name == "channel" {
					c.must(`SELECT 1`) // UNLISTEN holds from the end of a transaction, and there may be one for each statement
				}
				assert.False(t, leaks(c.all(tt.find)), tt.name)
				if !c.conn.(driver.Validator).IsValid() {
					c = newSession(t, a.strategy)
				}
			}
		})
	}
}

// TestTokensAreNotSeen looks for tokens wherever PostgreSQL shows what other sessions run,
// and what this one ran before.
func TestTokensAreNotSeen(t *testing.T) {
	t.Parallel()
	for _, m := range arenas()[1:3] {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			a := newArena(t, m.opts...)
			a.exec(t, `ANALYZE tenancy.keys`)
			victim, c := newSession(t, a.strategy), newSession(t, a.strategy)
			require.NoError(t, victim.enter(a.strategy, globex))
			require.NoError(t, c.enter(a.strategy, globex))
			require.NoError(t, c.enter(a.strategy, acme))
			for _, sent := range a.spy.tokens {
				require.GreaterOrEqual(t, len(sent.secret()), 64, sent.token)
			}

			for _, query := range []string{
				`SELECT query FROM pg_stat_activity`, `SELECT pg_stat_get_activity(NULL)::text`, `SELECT statement FROM pg_prepared_statements`, `SELECT statement FROM pg_cursors`,
				`SELECT setting FROM pg_settings`, `SELECT prosrc FROM pg_proc WHERE pronamespace = 'tenancy'::regnamespace`, `SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef`,
				`SELECT most_common_vals::text FROM pg_stats`, `SELECT histogram_bounds::text FROM pg_stats`, `SELECT description FROM pg_description`, `SELECT payload FROM (VALUES (current_setting('tenancy.tenant', true))) v(payload)`,
			} {
				for _, text := range c.all(query) {
					for _, sent := range a.spy.tokens {
						assert.NotContains(t, text, sent.secret(), query)
					}
				}
			}
			own := c.all(`SELECT current_setting('tenancy.token', true)`)[0]
			assert.NotContains(t, own, "globex")
		})
	}
}

// TestErrorsRepeatNoToken sends tokens that are refused.
func TestErrorsRepeatNoToken(t *testing.T) {
	t.Parallel()
	a := newArena(t, arenas()[1].opts...)
	c := newSession(t, a.strategy)
	require.NoError(t, c.enter(a.strategy, acme))
	pid := c.conn.(*spied).BackendPID()
	confined, opened := a.spy.last("confine", pid, 1, false), a.spy.last("open", pid, 1, false)
	for _, refused := range []struct{ call, why string }{
		{"enter(" + confined + ")", "the token was used before"},
		{"open(" + opened + ")", "the token was used before"},
		{"open('" + opened[1:65] + ".k1.1')", "the token is not genuine"},
		{"open('" + opened[2:] + ")", "its key is not installed"},
		{"enter(" + confined + ", 1)", "the token is not genuine"},
		{"enter(" + confined + ")", "is not yet defined in this session"},
	} {
		err := c.exec(`SELECT tenancy.` + refused.call)
		require.ErrorContains(t, err, refused.why, refused.call)
		for _, sent := range a.spy.tokens {
			assert.NotContains(t, err.Error(), sent.secret())
		}
	}
}

// TestWhatHasNoTenant holds the documentation to the truth: these are no rows of tenant
// tables, and only a hardened database keeps them apart.
func TestWhatHasNoTenant(t *testing.T) {
	t.Parallel()
	for _, m := range []struct {
		name     string
		arena    arenaMode
		hardened bool
	}{{"portable", arenas()[1], false}, {"hardened", arenas()[4], true}} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			a := newArena(t, m.arena.opts...)
			a.exec(t, `SELECT lo_from_bytea(4242, 'globex 1'); GRANT SELECT ON LARGE OBJECT 4242 TO $app`)
			victim, c := newSession(t, a.strategy), newSession(t, a.strategy)
			victim.confine(a.strategy, globex)
			victim.must(`SELECT 'globex 1'`)
			c.confine(a.strategy, acme)
			for name, query := range map[string]string{
				"large objects":                 `SELECT convert_from(lo_get(4242), 'UTF8')`,
				"texts of statements":           `SELECT query FROM pg_stat_activity`,
				"texts of statements, by call":  `SELECT pg_stat_get_backend_activity(b) FROM pg_stat_get_backend_idset() b`,
				"texts of statements, by calls": `SELECT pg_stat_get_activity(NULL)::text`,
			} {
				assert.Equal(t, !m.hardened, leaks(c.all(query)), name)
			}
			ended := c.all(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE false`)
			assert.Empty(t, ended)
			err := c.exec(`DO $$ BEGIN END $$`)
			notified := c.exec(`SELECT pg_notify('x', 'y')`)
			if m.hardened {
				require.ErrorContains(t, err, "permission denied for language")
				require.ErrorContains(t, notified, "permission denied for function")
			} else {
				require.NoError(t, err)
				require.NoError(t, notified)
			}
		})
	}
}

// TestHarden takes what a superuser can take, and says what to run where none is at hand.
func TestHarden(t *testing.T) {
	t.Parallel()
	f := open(t, `CREATE ROLE $app_admin LOGIN CREATEROLE PASSWORD '`+password+`';
		DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO $app_admin', current_database()); END $$;
		SET ROLE $app_admin;`+tables+`RESET ROLE`)
	key := newKey(t, "k1")
	byOwner, err := newStrategy(f.runtime, f.connector(t, f.db.As(f.role+"_admin", password)), key, f.role+"_owner")
	require.NoError(t, err)
	assertHardening(t, byOwner.Install(t.Context()))
	assertHardening(t, byOwner.Verify(t.Context()))

	bySuperuser, err := newStrategy(f.runtime, f.connector(t, f.db.URL()), key, f.role+"_owner")
	require.NoError(t, err)
	require.NoError(t, bySuperuser.Install(t.Context()))
	require.NoError(t, byOwner.Verify(t.Context()))
	require.NoError(t, byOwner.Install(t.Context()))
	c := newSession(t, byOwner)
	c.confine(byOwner, acme)
	c.must(`INSERT INTO orders (id) VALUES (1)`)
	require.NoError(t, byOwner.Provision(t.Context(), acme))
	require.NoError(t, byOwner.Deprovision(t.Context(), acme))
}

// newStrategy returns a hardened one in mode Signed, with an owner of its own.
func newStrategy(runtime, admin driver.Connector, key row.Key, owner string) (*row.Strategy, error) {
	return row.New(runtime, row.Admin(admin), row.Signed(key), row.Harden(), row.Owner(owner))
}

func assertHardening(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, isolation.ErrUnsafe)
	for _, words := range []string{
		"set_config(text, text, boolean): ", "lo_get(oid): ", "query_to_xml(", "pg_notify(", "language plpgsql: ", "language sql: ", "pg_stat_get_activity(",
		"REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM PUBLIC",
	} {
		require.ErrorContains(t, err, words)
	}
}
