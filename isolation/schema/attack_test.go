package schema_test

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/isolation/schema"
)

const denied = "42501" // insufficient_privilege

func TestServerRefusesWhatIsNotTheTenants(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	db := open(t, s)
	provision(t, s, db, "acme", "beta")

	for _, query := range []string{
		`SELECT * FROM t_beta.orders`,
		`INSERT INTO t_beta.orders (item) VALUES ('x')`,
		`UPDATE t_beta.orders SET item = 'x'`,
		`DELETE FROM t_beta.orders`,
		`SELECT * FROM orders UNION ALL SELECT * FROM t_beta.orders`,
		`SELECT * FROM t_beta.items`,
		`SELECT t_beta.spy('orders')`,
		`SELECT nextval('t_beta.numbers')`,
		`SELECT last_value FROM t_beta.numbers`,
		`SELECT spy('t_beta.orders')`, // its owner's rights end at the home, too
		`SELECT * FROM tenancy.homes`,
		`SELECT * FROM tenancy.home_of('beta')`,
		`SELECT * FROM tenancy_version`,
		`TRUNCATE orders`,
		`DROP TABLE orders`,
		`ALTER TABLE orders ADD COLUMN x int`,
		`CREATE TABLE mine (x int)`,
		`CREATE TABLE public.mine (x int)`,
		`CREATE TEMPORARY TABLE orders (item text)`,
		`CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
		`CREATE SCHEMA mine`,
		`CREATE TRIGGER mine BEFORE INSERT ON orders EXECUTE FUNCTION suppress_redundant_updates_trigger()`,
		`ALTER DEFAULT PRIVILEGES FOR ROLE ` + f.ownerOf(t, "acme") + ` GRANT ALL ON TABLES TO PUBLIC`,
		`COPY orders TO PROGRAM 'cat'`,
		`SELECT pg_read_file('PG_VERSION')`,
	} {
		_, err := db.ExecContext(in(t.Context(), "acme"), query)
		assert.Equal(t, denied, pghome.State(err), "%s: %v", query, err)
	}
	assert.Equal(t, []string{"of acme"}, items(t, db, "acme"))
	assert.Equal(t, []string{"of beta"}, items(t, db, "beta"))
}

func TestTextThatControlsTheSessionIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	db := open(t, s)
	provision(t, s, db, "acme", "beta")

	for _, query := range []string{
		`SET ROLE ` + f.roleOf(t, "beta"),
		`RESET ROLE`,
		`SET search_path TO t_beta`,
		`SELECT 1; SET SESSION AUTHORIZATION DEFAULT`,
		`DISCARD ALL`,
	} {
		_, err := db.ExecContext(in(t.Context(), "acme"), query)
		assert.ErrorIs(t, err, isolation.ErrControl, query)
	}
}

func TestLargeObjectsAreTheirMakersAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	db := open(t, s, isolation.MaxConns(1))
	provision(t, s, db, "acme", "beta")

	oid := one[int64](t, in(t.Context(), "acme"), db, `SELECT lo_from_bytea(0, 'secret')`)
	assert.Equal(t, "secret", one[string](t, in(t.Context(), "acme"), db, `SELECT convert_from(lo_get($1), 'UTF8')`, oid))
	_, err := db.ExecContext(in(t.Context(), "beta"), `SELECT lo_get($1)`, oid)
	assert.Equal(t, denied, pghome.State(err), "%v", err)

	require.NoError(t, s.Deprovision(t.Context(), tenantOf("acme")))
	assert.Zero(t, one[int](t, t.Context(), f.root, `SELECT count(*) FROM pg_largeobject_metadata`), "left behind")
}

// TestCatalogsAreShared holds what the package comment says about catalogs.
func TestCatalogsAreShared(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	db := open(t, s)
	provision(t, s, db, "acme", "beta")
	ctx := in(t.Context(), "acme")

	assert.Equal(t, 1, one[int](t, ctx, db, `SELECT count(*) FROM pg_class WHERE oid = (SELECT c.oid FROM pg_class c
		JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 't_beta' AND c.relname = 'orders')`), "names are visible")
	assert.Zero(t, one[int](t, ctx, db, `SELECT count(*) FROM information_schema.tables WHERE table_schema = 't_beta'`))
	assert.Zero(t, one[int](t, ctx, db, `SELECT count(*) FROM pg_stats WHERE schemaname = 't_beta'`))
	assert.Zero(t, one[int](t, ctx, db, `SELECT count(*) FROM pg_stat_activity
		WHERE pid <> pg_backend_pid() AND query NOT LIKE '<insufficient%' AND query <> ''`), "others' statements are not")
}

// injections take on another tenant's role in ways that the text of a statement
// does not show at its beginning.
var injections = []string{
	`SELECT set_config('role', '%s', false)`,
	`DO $$ BEGIN EXECUTE 'SET ROLE %s'; END $$`,
}

func TestInjectionByTier(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		opts  func(*fixture) []schema.Option
		holds bool
	}{
		{"by default it is the documented hole", func(*fixture) []schema.Option { return nil }, false},
		{"RevokeSetConfig", func(*fixture) []schema.Option { return []schema.Option{schema.RevokeSetConfig()} }, true},
		{"LoginRoles", func(f *fixture) []schema.Option { return []schema.Option{f.loginRoles()} }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			s := f.strategy(t, tt.opts(f)...)
			db := open(t, s)
			provision(t, s, db, "acme", "beta")
			for _, injection := range injections { // below the pool, which refuses DO
				err := exec(t, confined(t, s, "acme"), fmt.Sprintf(injection, f.roleOf(t, "beta")))
				if tt.holds {
					assert.Equal(t, denied, pghome.State(err), "%s: %v", injection, err)
				} else {
					assert.NoError(t, err, injection)
				}
			}
		})
	}
}

// TestFailingTenantsCostOthersLittle: the connections of a tenant who cannot be given any
// fail, and those of others stay.
func TestFailingTenantsCostOthersLittle(t *testing.T) {
	t.Parallel()
	const conns = 12
	f := newFixture(t)
	s := f.strategy(t, schema.TransactionScoped())
	pool, err := isolation.New(s, isolation.MaxConns(conns))
	require.NoError(t, err)
	db := sql.OpenDB(pool)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	provision(t, s, db, "acme", "ghost")
	var open []*sql.Tx
	for range conns {
		tx, err := db.BeginTx(in(t.Context(), "acme"), nil)
		require.NoError(t, err)
		open = append(open, tx)
	}
	for _, tx := range open {
		require.NoError(t, tx.Rollback())
	}
	_, err = f.root.ExecContext(t.Context(), `REVOKE `+f.roleOf(t, "ghost")+` FROM `+f.login)
	require.NoError(t, err)
	before := pool.Stats()
	var n int
	require.ErrorContains(t, db.QueryRowContext(in(t.Context(), "ghost"), `SELECT 1`).Scan(&n), "permission denied")
	after := pool.Stats()
	assert.LessOrEqual(t, after.Closed-before.Closed, int64(3))
	assert.LessOrEqual(t, after.Opened-before.Opened, int64(1))
}

func TestSessionOfALoginRoleCannotLeave(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t, f.loginRoles())
	db := open(t, s)
	provision(t, s, db, "acme", "beta")
	conn := confined(t, s, "acme")

	for _, query := range []string{
		`SET ROLE ` + f.roleOf(t, "beta"),
		`SET ROLE ` + f.login,
		`SET SESSION AUTHORIZATION ` + f.roleOf(t, "beta"),
		`RESET ROLE; SET search_path TO t_beta; SELECT * FROM t_beta.orders`,
	} {
		err := exec(t, conn, query)
		assert.Equal(t, denied, pghome.State(err), "%s: %v", query, err)
	}
}

// TestConfineClearsTheSession poisons a session at the level of the driver, where
// no guard reads along, and hands it to another tenant.
func TestConfineClearsTheSession(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	db := open(t, s)
	provision(t, s, db, "acme", "beta")
	conn := confined(t, s, "acme")
	require.NoError(t, exec(t, conn, `SET statement_timeout = 1; RESET statement_timeout; SET search_path TO pg_temp, t_acme;
		SET row_security = off; LISTEN news; SELECT pg_advisory_lock(7); SET standard_conforming_strings = off`))

	require.NoError(t, s.Confine(t.Context(), conn, tenantOf("beta")))
	assert.Equal(t, "t_beta, pg_temp", text(t, conn, `SELECT current_setting('search_path')`))
	assert.Equal(t, f.roleOf(t, "beta"), text(t, conn, `SELECT current_user::text`))
	assert.Equal(t, "on", text(t, conn, `SELECT current_setting('row_security')`))
	assert.Equal(t, "0", text(t, conn, `SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()`))
	assert.Equal(t, "of beta", text(t, conn, `SELECT item FROM orders`))
}

func TestConfineIsRefusedInATransaction(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	provision(t, s, open(t, s), "acme", "beta")
	conn := confined(t, s, "acme")

	require.NoError(t, exec(t, conn, `BEGIN`))
	assert.Error(t, s.Confine(t.Context(), conn, tenantOf("beta")))
}

// confined returns a driver's connection confined to a tenant.
func confined(t testing.TB, s isolation.Strategy, id string) driver.Conn {
	t.Helper()
	place, err := s.Place(t.Context(), tenantOf(id))
	require.NoError(t, err)
	conn, err := place.Connector.Connect(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, s.Confine(t.Context(), conn, tenantOf(id)))
	return conn
}

func exec(t testing.TB, conn driver.Conn, query string) error {
	t.Helper()
	execer, ok := conn.(driver.ExecerContext)
	require.True(t, ok)
	_, err := execer.ExecContext(t.Context(), query, nil)
	return err
}

// text returns the only value of a query, of type text.
func text(t testing.TB, conn driver.Conn, query string) string {
	t.Helper()
	queryer, ok := conn.(driver.QueryerContext)
	require.True(t, ok)
	rows, err := queryer.QueryContext(t.Context(), query, nil)
	require.NoError(t, err)
	values := make([]driver.Value, 1)
	err = rows.Next(values)
	require.NoError(t, errors.Join(err, rows.Close()))
	if b, ok := values[0].([]byte); ok {
		return string(b)
	}
	return fmt.Sprint(values[0])
}

func items(t testing.TB, db *sql.DB, id string) []string {
	t.Helper()
	rows, err := db.QueryContext(in(t.Context(), id), `SELECT item FROM orders ORDER BY id`)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	var all []string
	for rows.Next() {
		var item string
		require.NoError(t, rows.Scan(&item))
		all = append(all, item)
	}
	require.NoError(t, rows.Err())
	return all
}

func (f *fixture) roleOf(t testing.TB, id string) string {
	t.Helper()
	return one[string](t, t.Context(), f.root, `SELECT role_name FROM tenancy.homes WHERE tenant_id = $1`, id)
}

func (f *fixture) ownerOf(t testing.TB, id string) string {
	t.Helper()
	return one[string](t, t.Context(), f.root, `SELECT owner_name FROM tenancy.homes WHERE tenant_id = $1`, id)
}
