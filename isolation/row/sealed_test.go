package row_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/tenant"
)

// newKey returns a random key.
func newKey(t testing.TB, id string) row.Key {
	t.Helper()
	secret := make([]byte, 40)
	_, _ = rand.Read(secret)
	key, err := row.NewKey(id, secret)
	require.NoError(t, err)
	return key
}

// unforgeable are the modes whose tenant SQL cannot change.
var unforgeable = []struct {
	name string
	mode func(row.Key, ...row.Key) row.Option
}{{"sealed", row.Sealed}, {"signed", row.Signed}}

// TestEveryIDIsHeldExactly goes through the lengths of IDs, and what looks like a UUID.
func TestEveryIDIsHeldExactly(t *testing.T) {
	t.Parallel()
	for _, m := range unforgeable {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			f := open(t, tables)
			s := f.installed(t, m.mode(newKey(t, "k1")))
			c := newSession(t, s)
			alphabet := "0123456789abcdefghijklmnopqrstuvwxyz-"
			for n := 1; n <= 63; n++ {
				id := strings.Repeat(alphabet[n%36:]+alphabet, 2)[:n]
				if id[0] == '-' || id[n-1] == '-' {
					id = "x" + id[1:n-min(1, n-1)] + strings.Repeat("y", min(1, n-1))
				}
				assertHeld(t, s, c, tenant.ID(id))
			}
			uuid := tenant.NewID().String()
			for _, id := range []string{
				uuid, "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "80000000-0000-0000-7fff-ffffffffffff",
				strings.ReplaceAll(uuid, "-", ""), uuid[:35], uuid[:35] + "g", uuid + "0", strings.Replace(uuid, "-", "0", 1),
			} {
				assertHeld(t, s, c, tenant.ID(id))
			}
			c.confine(s, tenant.Tenant{ID: tenant.ID(uuid)})
			assert.Equal(t, []string{uuid}, c.column(`SELECT tenancy.current_tenant_uuid()`))
			for _, id := range []string{"acme", strings.ReplaceAll(uuid, "-", ""), "a-tenant-whose-name-is-long"} {
				c.confine(s, tenant.Tenant{ID: tenant.ID(id)})
				require.Error(t, c.exec(`SELECT tenancy.current_tenant_uuid()`), "%s after a UUID", id)
			}
		})
	}
}

func assertHeld(t *testing.T, s *row.Strategy, c session, id tenant.ID) {
	t.Helper()
	c.confine(s, tenant.Tenant{ID: id})
	assert.Equal(t, []string{id.String()}, c.column(`SELECT tenancy.current_tenant()`))
}

func TestNewKeyRefusesWeakKeys(t *testing.T) {
	t.Parallel()
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	for _, tt := range []struct {
		id     string
		secret []byte
	}{
		{"", secret}, {"A", secret}, {"a.b", secret}, {strings.Repeat("a", 33), secret}, {"k", secret[:31]}, {"k", nil}, {"k", make([]byte, 32)},
	} {
		_, err := row.NewKey(tt.id, tt.secret)
		require.Error(t, err)
	}
	key, err := row.NewKey("2026-11", secret)
	require.NoError(t, err)
	assert.Equal(t, "2026-11", key.ID())
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.Equal(t, "key 2026-11", fmt.Sprintf(format, key))
	}
}

func TestModesThatCannotBe(t *testing.T) {
	t.Parallel()
	f := open(t, ``)
	k1, k2 := newKey(t, "k1"), newKey(t, "k1")
	for _, opts := range [][]row.Option{
		{row.Sealed(row.Key{})}, {row.Sealed(k1, k2)}, {row.Sealed(k1), row.Signed(k1)}, {row.Plain(), row.Sealed(k1)},
		{row.Sealed(k1), row.TransactionScoped()}, {row.Signed(k1), row.TokenLife(time.Second)}, {row.Clock(nil)},
		{row.TransactionScoped(), row.Harden()},
	} {
		_, err := row.New(f.runtime, opts...)
		require.Error(t, err)
	}
}

// TestASealSurvivesARollback is why the register is no setting.
func TestASealSurvivesARollback(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	s := f.installed(t, row.Sealed(newKey(t, "k1")))
	c := newSession(t, s)
	c.confine(s, acme)
	c.must(`BEGIN; SELECT set_config('search_path', 'x', false); ROLLBACK`)
	assert.Equal(t, []string{"acme"}, c.column(`SELECT tenancy.current_tenant()`))
	require.Error(t, c.exec(`BEGIN; SELECT 1/0`))
	c.must(`ROLLBACK`)
	assert.Equal(t, []string{"acme"}, c.column(`SELECT tenancy.current_tenant()`))
}

// TestABrokenSealIsNeverMended is what DISCARD SEQUENCES leads to: the session serves
// nobody any more.
func TestABrokenSealIsNeverMended(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	s := f.installed(t, row.Sealed(newKey(t, "k1")))
	c := newSession(t, s)
	c.confine(s, acme)
	c.must(`DISCARD SEQUENCES`)
	require.ErrorContains(t, c.exec(`SELECT * FROM orders`), `currval of sequence "tenant" is not yet defined`)
	for range 2 {
		err := c.enter(s, globex)
		require.ErrorContains(t, err, `currval of sequence "seal" is not yet defined`)
		var refused *postgres.EntryError
		require.ErrorAs(t, err, &refused)
		assert.True(t, refused.NotBegun(), "the pool takes another connection")
	}
	require.Error(t, c.exec(`SELECT * FROM orders`))
}

// TestThePoolReplacesSessions has acme, who is alone, break the seal of the one session,
// and then a key be retired.
func TestThePoolReplacesSessions(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	s := f.installed(t, row.Sealed(newKey(t, "k1")))
	pool, err := isolation.New(s, isolation.MaxConns(1))
	require.NoError(t, err)
	db := sql.OpenDB(pool)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	count := func(who tenant.Tenant) error {
		var n int
		return db.QueryRowContext(in(t, who), `SELECT count(*) FROM orders`).Scan(&n)
	}
	for _, breaks := range []string{`SELECT tenancy.enter('\x', 1, 1)`, `SELECT count(*) FROM (SELECT tenancy.enter('\x', 1, 1)) AS x`} {
		require.NoError(t, count(acme))
		_, err := db.ExecContext(in(t, acme), breaks)
		require.ErrorContains(t, err, "the token is not genuine")
		require.ErrorContains(t, count(acme), "not yet defined in this session", "the session has no tenant any more")
		require.NoError(t, count(acme), "the pool has found out")
	}
	require.NoError(t, s.Rotate(t.Context(), newKey(t, "k2")))
	require.NoError(t, s.Retire(t.Context(), "k1"))
	for _, who := range []tenant.Tenant{acme, globex, acme} {
		require.NoError(t, count(who), "a retired key interrupts nothing")
	}
}

// TestThePoolReplacesAllSessions has every idle session lose its seal at once.
func TestThePoolReplacesAllSessions(t *testing.T) {
	t.Parallel()
	const sessions = 5
	f := open(t, tables)
	s := f.installed(t, row.Sealed(newKey(t, "k1")))
	pool, err := isolation.New(s, isolation.MaxConns(sessions))
	require.NoError(t, err)
	db := sql.OpenDB(pool)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	var open []*sql.Tx
	for range sessions {
		tx, err := db.BeginTx(in(t, acme), nil)
		require.NoError(t, err)
		open = append(open, tx)
	}
	for _, tx := range open {
		require.NoError(t, tx.Rollback())
	}
	require.NoError(t, s.Rotate(t.Context(), newKey(t, "k2")))
	require.NoError(t, s.Retire(t.Context(), "k1"))
	var n int
	require.NoError(t, db.QueryRowContext(in(t, globex), `SELECT count(*) FROM orders`).Scan(&n))
}

// TestARetiredKeyOpensNothing has somebody who knows a retired key use it in a transaction
// whose snapshot is from before.
func TestARetiredKeyOpensNothing(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	secret := []byte("not as random as a key in production should be")
	known, err := row.NewKey("k1", secret)
	require.NoError(t, err)
	s := f.installed(t, row.Sealed(known))
	for _, level := range []string{"READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"} {
		c := newSession(t, s)
		require.NoError(t, c.enter(s, acme))
		c.must(`BEGIN ISOLATION LEVEL ` + level)
		c.must(`SELECT title FROM orders`)
		if level == "READ COMMITTED" {
			require.NoError(t, s.Rotate(t.Context(), newKey(t, "k2")))
		}
		defer func() {
			claim := fmt.Sprintf("k1.%d.%d.5", c.conn.(*postgres.Conn).BackendPID(), time.Now().Add(50*time.Second).Unix())
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte("open." + claim))
			c.must(`DISCARD SEQUENCES`)
			err := c.exec(`SELECT tenancy.open('` + hex.EncodeToString(mac.Sum(nil)) + "." + claim + `')`)
			require.Error(t, err, level)
			assert.Contains(t, err.Error(), map[bool]string{true: "was retired", false: "could not serialize access"}[level == "READ COMMITTED"], level)
		}()
	}
	require.NoError(t, s.Retire(t.Context(), "k1"))
}

// TestRetireEndsSealsThatAreBeingMade stops a Retire before its commit, when the epoch has
// moved on already, and has another process open a session with the key meanwhile.
func TestRetireEndsSealsThatAreBeingMade(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	k1 := newKey(t, "k1")
	first, old := f.installed(t, row.Sealed(k1)), f.strategy(t, row.Sealed(k1))
	require.NoError(t, first.Rotate(t.Context(), newKey(t, "k2")))
	before := newSession(t, old)
	place, err := old.Place(t.Context(), acme)
	require.NoError(t, err)
	f.exec(t, `CREATE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NULL; END';
		CREATE CONSTRAINT TRIGGER halt AFTER UPDATE ON tenancy.keys DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION halt()`)
	holder, err := f.admin.Conn(t.Context())
	require.NoError(t, err)
	defer func() {
		_, err := holder.ExecContext(t.Context(), `SELECT pg_advisory_unlock_all()`)
		assert.NoError(t, errors.Join(err, holder.Close()))
	}()
	_, err = holder.ExecContext(t.Context(), `SELECT pg_advisory_lock(42)`)
	require.NoError(t, err)
	waiting := func(want int) {
		t.Helper()
		require.Eventually(t, func() bool {
			var n int
			err := holder.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n)
			return assert.NoError(t, err) && n == want
		}, 10*time.Second, time.Millisecond)
	}

	retired, opened := make(chan error, 1), make(chan error, 1)
	go func() { retired <- first.Retire(t.Context(), "k1") }()
	waiting(1)
	go func() {
		conn, err := place.Connector.Connect(t.Context())
		if err == nil {
			err = conn.Close()
		}
		opened <- err
	}()
	waiting(2)
	_, err = holder.ExecContext(t.Context(), `SELECT pg_advisory_unlock(42)`)
	require.NoError(t, err)
	require.NoError(t, <-retired)
	require.ErrorContains(t, <-opened, "was retired")
	require.ErrorContains(t, before.enter(old, acme), "a key was retired")
}

func TestOtherConnectionsHaveNoSeal(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	s := f.installed(t, row.Sealed(newKey(t, "k1")))
	conn, err := f.runtime.Connect(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	require.ErrorContains(t, session{t, conn}.enter(s, acme), "not opened by the connector that Place returns")
}

// TestTokensExpire moves the application's clock.
func TestTokensExpire(t *testing.T) {
	t.Parallel()
	now := time.Now()
	clock := row.Clock(func() time.Time { return now })
	t.Run("sealed, on its way", func(t *testing.T) {
		f := open(t, tables)
		s := f.installed(t, row.Sealed(newKey(t, "k1")), clock)
		now = now.Add(-2 * time.Minute)
		place, err := s.Place(t.Context(), acme)
		require.NoError(t, err)
		_, err = place.Connector.Connect(t.Context())
		require.ErrorContains(t, err, "the clocks of application and database differ")
		require.ErrorContains(t, err, "the token has expired")
		assert.Zero(t, s.RenewAfter())
	})
	t.Run("signed, on the session", func(t *testing.T) {
		now = time.Now()
		f := open(t, tables)
		s := f.installed(t, row.Signed(newKey(t, "k1")), clock, row.TokenLife(time.Hour))
		assert.Equal(t, 40*time.Minute, s.RenewAfter())
		c := newSession(t, s)
		c.confine(s, acme)
		c.must(`SELECT * FROM orders`)
		now = now.Add(-61 * time.Minute)
		c.confine(s, acme)
		require.ErrorContains(t, c.exec(`SELECT * FROM orders`), "the token has expired")
		now = time.Now()
		c.confine(s, acme)
		c.must(`SELECT * FROM orders`)
	})
}

func TestRotate(t *testing.T) {
	t.Parallel()
	for _, m := range unforgeable {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			f := open(t, tables)
			k1, k2, k3 := newKey(t, "k1"), newKey(t, "k2"), newKey(t, "k3")
			first := f.installed(t, m.mode(k1))
			other := f.strategy(t, m.mode(k1)) // another process, with the first key alone
			a, b := newSession(t, first), newSession(t, other)
			works := func(s *row.Strategy, c session) {
				t.Helper()
				c.confine(s, globex)
				c.confine(s, acme)
				assert.Equal(t, []string{"acme"}, c.column(`SELECT tenancy.current_tenant()`))
			}
			works(first, a)
			works(other, b)

			_, err := row.New(f.runtime, m.mode(k2))
			require.NoError(t, err)
			unknown := f.strategy(t, m.mode(k2))
			assertUnknown(t, unknown)

			require.NoError(t, first.Rotate(t.Context(), k2))
			require.NoError(t, first.Rotate(t.Context(), k2), "again")
			works(first, a)
			works(other, b)
			works(first, newSession(t, first))
			works(other, newSession(t, other))
			works(unknown, newSession(t, unknown))

			require.ErrorContains(t, first.Retire(t.Context(), "k2"), "signs")
			require.ErrorContains(t, first.Retire(t.Context(), "k9"), "there is no key")
			require.NoError(t, first.Retire(t.Context(), "k1"))
			require.NoError(t, first.Retire(t.Context(), "k1"), "again")
			if m.name == "sealed" {
				require.ErrorContains(t, a.enter(first, globex), "or a key was retired")
				a = newSession(t, first)
			}
			works(first, a)
			if err := other.Confine(t.Context(), b.conn, globex); err == nil { // signed: the statement says so
				require.ErrorContains(t, b.exec(`SELECT * FROM orders`), "was retired")
			} else {
				require.ErrorContains(t, err, "was retired")
			}
			assertUnknown(t, other)

			require.ErrorContains(t, other.Install(t.Context()), "k1 is retired")
			require.ErrorContains(t, first.Rotate(t.Context(), k1), "k1 is retired")
			require.ErrorContains(t, first.Rotate(t.Context(), newKey(t, "k2")), "other bytes")
			require.NoError(t, f.strategy(t, m.mode(k2, k1)).Install(t.Context()), "a retired key that does not sign is not missed")
			require.NoError(t, f.strategy(t, m.mode(k3, k2)).Install(t.Context()))
			require.NoError(t, first.Verify(t.Context()))
		})
	}
	t.Run("plain has none", func(t *testing.T) {
		t.Parallel()
		s := open(t, tables).strategy(t)
		require.ErrorContains(t, s.Rotate(t.Context(), newKey(t, "k1")), "no keys")
		require.ErrorContains(t, s.Retire(t.Context(), "k1"), "no keys")
	})
}

// assertUnknown wants the database to refuse the key that s signs with.
func assertUnknown(t *testing.T, s *row.Strategy) {
	t.Helper()
	place, err := s.Place(t.Context(), acme)
	require.NoError(t, err)
	conn, err := place.Connector.Connect(t.Context())
	if err == nil { // signed: no token has been sent yet
		defer conn.Close()
		c := session{t: t, conn: conn}
		c.confine(s, acme)
		err = c.exec(`SELECT * FROM orders`)
	} else {
		require.ErrorIs(t, err, isolation.ErrUnsafe)
	}
	require.ErrorContains(t, err, "was retired")
}

// TestModesAreSwitchedByInstall goes through all pairs. Whatever is not of the mode that
// is installed is refused, and open sessions of the one before are closed.
func TestModesAreSwitchedByInstall(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	key := newKey(t, "k1")
	modes := map[string]row.Option{"plain": row.Plain(), "sealed": row.Sealed(key), "signed": row.Signed(key)}
	f.exec(t, `INSERT INTO orders VALUES ('acme', 1, 'acme'), ('globex', 1, 'globex')`)
	for _, pair := range [][2]string{{"plain", "sealed"}, {"sealed", "signed"}, {"signed", "plain"}, {"plain", "signed"}, {"signed", "sealed"}, {"sealed", "plain"}} {
		before, after := f.installed(t, modes[pair[0]]), f.strategy(t, modes[pair[1]])
		require.NoError(t, before.Verify(t.Context()), pair)
		c := newSession(t, before)
		c.confine(before, acme)
		assert.Equal(t, []string{"acme"}, c.column(`SELECT title FROM orders`), pair)

		mismatch := [2]string{"tenancy.current_tenant()", "installed for mode " + pair[0] + ", and this strategy is in mode " + pair[1]}
		assertUnsafe(t, after.Verify(t.Context()), mismatch)
		place, err := after.Place(t.Context(), acme)
		require.NoError(t, err)
		_, err = place.Connector.Connect(t.Context())
		assertUnsafe(t, err, mismatch)

		require.NoError(t, after.Install(t.Context()), pair)
		require.NoError(t, after.Verify(t.Context()), pair)
		require.Error(t, c.exec(`SELECT title FROM orders`), "%v: the old session", pair)
		if err := before.Confine(t.Context(), c.conn, acme); err == nil {
			require.Error(t, c.exec(`SELECT title FROM orders`), "%v: the old session, confined anew", pair)
		}
		d := newSession(t, after)
		d.confine(after, globex)
		assert.Equal(t, []string{"globex"}, d.column(`SELECT title FROM orders`), pair)
	}
}

// TestPrivatePartsAreWatched plants rights on what makes the tenant.
func TestPrivatePartsAreWatched(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	s := f.installed(t, row.Sealed(newKey(t, "k1")))
	for _, h := range []hole{
		{plant: `GRANT SELECT ON tenancy.keys TO $app`, want: [][2]string{{"table tenancy.keys", "could forge"}}},
		{plant: `GRANT SELECT (inner_pad) ON tenancy.keys TO PUBLIC`, want: [][2]string{{"table tenancy.keys", "could forge"}}},
		{plant: `GRANT UPDATE ON tenancy.tenant TO $app`, want: [][2]string{{"sequence tenancy.tenant", "could forge"}}},
		{plant: `DROP SEQUENCE tenancy.tenant_3`, want: [][2]string{{"sequence tenancy.tenant_3", "missing"}}},
		{plant: `ALTER FUNCTION tenancy.enter(bytea, bigint, bigint[]) RESET search_path`, want: [][2]string{{"function tenancy.enter(bytea, bigint, bigint[])", "not as Install"}, {"tenancy.enter", "whatever search_path"}}},
		{plant: `ALTER FUNCTION tenancy.current_tenant() SECURITY INVOKER`, want: [][2]string{{"function tenancy.current_tenant()", "not as Install"}}},
	} {
		f.exec(t, h.plant)
		assertUnsafe(t, s.Verify(t.Context()), h.want...)
		require.NoError(t, s.Install(t.Context()), h.plant)
		require.NoError(t, s.Verify(t.Context()), h.plant)
	}
	c := newSession(t, s)
	c.confine(s, acme)
}

// TestUnforgeablePlansStayParallel wants the tenant to be asked for once, in the leader.
func TestUnforgeablePlansStayParallel(t *testing.T) {
	t.Parallel()
	for _, m := range unforgeable {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			f := open(t, `CREATE TABLE orders (tenant_id text NOT NULL, id int, title text)`)
			s := f.installed(t, m.mode(newKey(t, "k1")))
			c := newSession(t, s)
			c.confine(s, acme)
			c.must(`INSERT INTO orders (id) SELECT g FROM generate_series(1, 3000) g`)
			f.exec(t, `ANALYZE orders`)
			c.must(`SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2`)
			plan := strings.Join(c.column(`EXPLAIN SELECT sum(id) FROM orders`), "\n")
			assert.Equal(t, 1, strings.Count(plan, "InitPlan"), plan)
			assert.Contains(t, plan, "Parallel Seq Scan")
			assert.Equal(t, []string{"3000"}, c.column(`SELECT count(*) FROM orders`))
			assert.Equal(t, []string{"acme"}, c.column(`SELECT max(tenancy.current_tenant()) FROM orders`))
		})
	}
}

// TestUnforgeableCachedPlansFollowTheTenant plans a statement once for all.
func TestUnforgeableCachedPlansFollowTheTenant(t *testing.T) {
	t.Parallel()
	for _, m := range unforgeable {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			f := open(t, tables+`; CREATE FUNCTION titles() RETURNS SETOF text LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT title FROM orders; END'`)
			f.exec(t, `INSERT INTO orders VALUES ('acme', 1, 'acme'), ('globex', 1, 'globex')`)
			s := f.installed(t, m.mode(newKey(t, "k1")))
			c := newSession(t, s)
			for _, who := range []string{"acme", "globex", "acme"} {
				c.confine(s, tenant.Tenant{ID: tenant.ID(who)})
				c.must(`SET plan_cache_mode = force_generic_plan`)
				assert.Equal(t, []string{who}, c.column(`SELECT * FROM titles()`), "a function keeps its plans")
			}
		})
	}
}

// TestWithoutARide confines in a flight of its own, as where lib/pq has TLS to itself.
func TestWithoutARide(t *testing.T) {
	t.Parallel()
	for _, m := range unforgeable {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			f := open(t, tables)
			f.exec(t, `INSERT INTO orders VALUES ('acme', 1, 'acme'), ('globex', 1, 'globex')`)
			f.runtime = f.connector(t, strings.Replace(f.db.As(f.role, password), "sslmode=disable", "sslmode=allow", 1))
			s := f.installed(t, m.mode(newKey(t, "k1")))
			c := newSession(t, s)
			require.False(t, c.conn.(*postgres.Conn).Rides())
			other := newSession(t, s)
			for _, who := range []string{"acme", "globex", "acme"} {
				c.must(`PREPARE p AS SELECT 'globex 1'`)
				c.confine(s, tenant.Tenant{ID: tenant.ID(who)})
				assert.Equal(t, []string{who}, c.column(`SELECT title FROM orders`))
				assert.Empty(t, c.column(`SELECT statement FROM pg_prepared_statements`))
				c.confine(s, tenant.Tenant{ID: tenant.ID(who)})
				assert.Contains(t, strings.Join(other.column(`SELECT query FROM pg_stat_activity`), "\n"), "SELECT tenancy.forget(), tenancy.confine($1", "the token is no text")
			}
			if m.name == "sealed" {
				c.must(`DISCARD SEQUENCES`)
				require.ErrorIs(t, s.Confine(t.Context(), c.conn, globex), driver.ErrBadConn, "the pool takes another")
			}
		})
	}
}
