package schema_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/isolation/schema"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestManyTenantsAreProvisionedAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	db := open(t, s, isolation.MaxConns(8))
	var work errgroup.Group
	work.SetLimit(8)
	for i := range 50 {
		work.Go(func() error {
			id := fmt.Sprintf("tenant-%d", i)
			if err := s.Provision(t.Context(), tenantOf(id)); err != nil {
				return err
			}
			_, err := db.ExecContext(in(t.Context(), id), `INSERT INTO orders (item) VALUES ($1)`, id)
			return err
		})
	}
	require.NoError(t, work.Wait())
	for i := range 50 {
		id := fmt.Sprintf("tenant-%d", i)
		assert.Equal(t, []string{id}, items(t, db, id))
	}
	require.NoError(t, s.Verify(t.Context()))
}

func TestOneTenantIsProvisionedByManyAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var work errgroup.Group
	for range 6 {
		s := f.strategy(t) // as if in a process of its own
		work.Go(func() error { return s.Provision(t.Context(), tenantOf("acme")) })
	}
	require.NoError(t, work.Wait())
	assert.Equal(t, 1, one[int](t, t.Context(), f.root, `SELECT count(*) FROM tenancy.homes`))
	requireWhole(t, in(t.Context(), "acme"), open(t, f.strategy(t)))
}

func TestWithoutAHomeNothingIsServed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	db := open(t, s)

	_, err := db.ExecContext(in(t.Context(), "acme"), `SELECT 1`)
	require.ErrorIs(t, err, isolation.ErrNotProvisioned, "no registry yet")
	require.NoError(t, s.Prepare(t.Context()))
	_, err = db.ExecContext(in(t.Context(), "acme"), `SELECT 1`)
	require.ErrorIs(t, err, isolation.ErrNotProvisioned)
	assert.ErrorIs(t, s.Migrate(t.Context(), tenantOf("acme")), isolation.ErrNotProvisioned)
	require.NoError(t, s.Deprovision(t.Context(), tenantOf("acme")))
	_, err = s.Place(t.Context(), tenantOf(`x"; DROP SCHEMA public; --`))
	assert.ErrorIs(t, err, tenant.ErrInvalidID)
	assert.ErrorIs(t, s.Provision(t.Context(), tenantOf("")), tenant.ErrInvalidID)
	_, err = s.PlaceSystem(t.Context())
	assert.ErrorIs(t, err, isolation.ErrNoSystem)
}

func TestFailedMigrationLeavesNothingRoutable(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	files := fstest.MapFS{
		"00001_orders.sql": {Data: []byte(ordersUp)},
		"00002_broken.sql": {Data: []byte("-- +goose Up\nSELECT 1/0;\n")},
	}
	broken := f.strategy(t, schema.Migrations(files))
	db := open(t, f.strategy(t))
	require.ErrorContains(t, broken.Provision(t.Context(), tenantOf("acme")), "division by zero")
	_, err := db.ExecContext(in(t.Context(), "acme"), `SELECT 1`)
	require.ErrorIs(t, err, isolation.ErrNotProvisioned)
	assert.ErrorIs(t, broken.Migrate(t.Context(), tenantOf("acme")), isolation.ErrNotProvisioned)

	files["00002_broken.sql"].Data = []byte("-- +goose Up\nALTER TABLE orders ADD COLUMN total int;\n")
	require.NoError(t, broken.Provision(t.Context(), tenantOf("acme")))
	_, err = db.ExecContext(in(t.Context(), "acme"), `INSERT INTO orders (item, total) VALUES ('x', 1)`)
	assert.NoError(t, err)
}

func TestMigrateReachesTheTenantsRole(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	db := open(t, s)
	provision(t, s, db, "acme", "beta")
	newer := f.strategy(t, schema.Migrations(fstest.MapFS{
		"00001_orders.sql": {Data: []byte(ordersUp)},
		"00002_notes.sql":  {Data: []byte("-- +goose Up\nCREATE TABLE notes (id serial PRIMARY KEY, body text);\n")},
	}))

	require.NoError(t, newer.Migrate(t.Context(), tenantOf("acme")))
	_, err := db.ExecContext(in(t.Context(), "acme"), `INSERT INTO notes (body) VALUES ('x')`)
	require.NoError(t, err)
	_, err = db.ExecContext(in(t.Context(), "beta"), `SELECT * FROM notes`)
	assert.Equal(t, "42P01", pghome.State(err), "beta was not migrated: %v", err)
	require.NoError(t, newer.Verify(t.Context()))
}

func TestDeprovisionLeavesOthersAsTheyWere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	db := open(t, s)
	provision(t, s, db, "acme", "beta", "gamma")
	before := f.dump(t, "t_beta", "t_gamma")

	require.NoError(t, s.Deprovision(t.Context(), tenantOf("acme")))
	assert.Equal(t, before, f.dump(t, "t_beta", "t_gamma"))
	assert.Equal(t, []string{"of beta"}, items(t, db, "beta"))
	_, err := db.ExecContext(in(t.Context(), "acme"), `SELECT * FROM orders`)
	require.Error(t, err)
	_, err = s.Place(t.Context(), tenantOf("acme"))
	require.ErrorIs(t, err, isolation.ErrNotProvisioned)
	assert.NoError(t, s.Deprovision(t.Context(), tenantOf("acme")))
}

// dump returns a hash of all rows of schemas and of what the catalogs say of them.
func (f *fixture) dump(t testing.TB, schemas ...string) string {
	t.Helper()
	h := sha256.New()
	for _, name := range schemas {
		for _, query := range []string{
			`SELECT string_agg(o::text, E'\n' ORDER BY id) FROM ` + name + `.orders o`,
			`SELECT string_agg(v::text, E'\n' ORDER BY id) FROM ` + name + `.tenancy_version v`,
			`SELECT n::text FROM pg_namespace n WHERE nspname = '` + name + `'`,
			`SELECT string_agg(ROW(oid, relname, relowner, relacl, relfilenode)::text, E'\n' ORDER BY oid) FROM pg_class
				WHERE relnamespace = '` + name + `'::regnamespace`,
			`SELECT string_agg(r::text || ARRAY(SELECT m::text FROM pg_auth_members m WHERE m.roleid = r.oid ORDER BY 1)::text, E'\n' ORDER BY oid)
				FROM pg_roles r WHERE rolname LIKE '` + name + `%'`,
		} {
			fmt.Fprintln(h, one[string](t, t.Context(), f.root, query))
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// TestHomeIsReadAgainWhenItChanged replaces homes behind the back of a strategy
// that remembers them.
func TestHomeIsReadAgainWhenItChanged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.strategy(t)
	db := open(t, old, isolation.MaxConns(1))
	provision(t, old, db, "acme", "beta")
	other := f.strategy(t) // another process

	require.NoError(t, other.Deprovision(t.Context(), tenantOf("acme")))
	assert.Equal(t, []string{"of beta"}, items(t, db, "beta"))
	_, err := db.ExecContext(in(t.Context(), "acme"), `SELECT item FROM orders`)
	require.ErrorIs(t, err, isolation.ErrNotProvisioned)

	require.NoError(t, other.Provision(t.Context(), tenantOf("acme")))
	assert.Empty(t, items(t, db, "acme"))
	require.NoError(t, other.Deprovision(t.Context(), tenantOf("acme")))
	require.NoError(t, other.Provision(t.Context(), tenantOf("acme")))
	assert.Equal(t, []string{"of beta"}, items(t, db, "beta"))
	assert.Empty(t, items(t, db, "acme"), "same names, another home: read again")
}

// TestNamesThatPassedToAnotherTenant is what a Name that is not one-to-one over
// time could bring about: the names in memory mean somebody else now.
func TestNamesThatPassedToAnotherTenant(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	same := schema.Name(func(tenant.ID) string { return "sole" })
	old := f.strategy(t, same)
	db := open(t, old)
	provision(t, old, db, "acme")
	conn := confined(t, old, "acme")
	other := f.strategy(t, same)
	require.Error(t, other.Provision(t.Context(), tenantOf("beta")), "while acme has the name")
	require.NoError(t, other.Deprovision(t.Context(), tenantOf("acme")))
	require.NoError(t, other.Provision(t.Context(), tenantOf("beta")))

	err := old.Confine(t.Context(), conn, tenantOf("acme"))
	require.ErrorIs(t, err, isolation.ErrNotProvisioned)
}

func TestWhatIsNotRegisteredIsNotTakenOver(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, err := f.root.ExecContext(t.Context(), `CREATE SCHEMA t_acme`)
	require.NoError(t, err)
	s := f.strategy(t)
	err = s.Provision(t.Context(), tenantOf("acme"))
	assert.Equal(t, "42P06", pghome.State(err), "%v", err)
	assert.Zero(t, one[int](t, t.Context(), f.root, `SELECT count(*) FROM tenancy.homes`))
}

func TestNamesAreValidated(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, name := range []string{"", "public", "tenancy", "pg_x", "Upper", `a"b`, "information_schema", "only", "user", strings.Repeat("a", 64)} {
		s := f.strategy(t, schema.Name(func(tenant.ID) string { return name }))
		assert.ErrorContains(t, s.Provision(t.Context(), tenantOf("acme")), "option Name", name)
	}
	_, err := schema.New(nil)
	require.Error(t, err)
	_, err = schema.New(f.app, schema.Name(nil))
	require.Error(t, err)
	_, err = schema.New(f.app, schema.LoginRoles([]byte("short"), nil))
	require.Error(t, err)
	s, err := schema.New(f.app)
	require.NoError(t, err)
	assert.ErrorContains(t, s.Provision(t.Context(), tenantOf("acme")), "Admin")
	assert.ErrorContains(t, s.Prepare(t.Context()), "Admin")
	assert.ErrorContains(t, s.Verify(t.Context()), "Admin")
}

// TestAdministratorNeedNotBeSuperuser provisions as a role that owns the database
// and may create roles.
func TestAdministratorNeedNotBeSuperuser(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	operator := f.login + "_operator"
	for _, query := range []string{
		`CREATE ROLE ` + operator + ` LOGIN CREATEROLE PASSWORD 'secret'`,
		`ALTER DATABASE ` + f.DB.Name + ` OWNER TO ` + operator,
	} {
		_, err := f.root.ExecContext(t.Context(), query)
		require.NoError(t, err)
	}
	admin := schema.Admin(connector(t, f.As(operator, "secret")))
	s := f.strategy(t, admin)
	db := open(t, s)
	provision(t, s, db, "acme", "beta")

	require.NoError(t, s.Verify(t.Context()))
	_, err := db.ExecContext(in(t.Context(), "acme"), `SELECT * FROM t_beta.orders`)
	assert.Equal(t, denied, pghome.State(err))
	require.NoError(t, s.Deprovision(t.Context(), tenantOf("acme")))
	assert.Equal(t, []string{"of beta"}, items(t, db, "beta"))
	err = f.strategy(t, admin, schema.RevokeSetConfig()).Prepare(t.Context())
	assert.ErrorIs(t, err, isolation.ErrUnsafe, "it takes a superuser")
}
