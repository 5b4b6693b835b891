package database_test

import (
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestManyTenantsAreProvisionedAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	db := open(t, f.strategy(t), isolation.MaxConns(8))
	var work errgroup.Group
	work.SetLimit(8)
	for i := range 50 {
		s := f.strategy(t) // as if in a process of its own: all look for the template at once
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
		assert.Equal(t, id, one[string](t, in(t.Context(), id), db, `SELECT string_agg(item, ',') FROM orders`))
	}
	require.NoError(t, f.strategy(t).Verify(t.Context()))
}

func TestOneTenantIsProvisionedByManyAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var work errgroup.Group
	for range 4 {
		s := f.strategy(t)
		work.Go(func() error { return s.Provision(t.Context(), tenantOf("acme")) })
	}
	require.NoError(t, work.Wait())
	requireWhole(t, f)
	assert.Equal(t, []string{f.prefix + "_template", f.prefix + "acme"}, f.databases(t, t.Context()))
}

func TestLoginRoleIsConfinedToTheDatabase(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	db := open(t, s)
	provision(t, s, db, "acme", "beta")

	for query, state := range map[string]string{
		`SELECT * FROM ` + f.prefix + `beta.public.orders`: "0A000", // cross-database references are not implemented
		`CREATE TABLE mine (x int)`:                        "42501",
		`CREATE TABLE public.mine (x int)`:                 "42501",
		`CREATE TEMPORARY TABLE mine (x int)`:              "42501",
		`CREATE SCHEMA mine`:                               "42501",
		`CREATE EXTENSION dblink`:                          "42501",
		`CREATE EXTENSION postgres_fdw`:                    "42501",
		`TRUNCATE orders`:                                  "42501",
		`DROP TABLE orders`:                                "42501",
		`SELECT * FROM tenancy_version`:                    "42501",
		`SELECT pg_read_file('PG_VERSION')`:                "42501",
		`COPY orders TO PROGRAM 'cat'`:                     "42501",
	} {
		_, err := db.ExecContext(in(t.Context(), "acme"), query)
		assert.Equal(t, state, pghome.State(err), "%s: %v", query, err)
	}
	for _, query := range []string{
		`CREATE DATABASE mine`, `DROP DATABASE ` + f.prefix + `beta`, `ALTER DATABASE ` + f.prefix + `acme SET x.y = 1`,
	} {
		_, err := db.ExecContext(in(t.Context(), "acme"), query)
		assert.ErrorIs(t, err, isolation.ErrControl, query)
		err = below(t, s, "acme", query)
		assert.Equal(t, "42501", pghome.State(err), "below the pool: %s: %v", query, err)
	}
	assert.Equal(t, "of beta", one[string](t, in(t.Context(), "beta"), db, `SELECT string_agg(item, ',') FROM orders`))
}

// below runs query as a tenant's role, past the pool and what it refuses.
func below(t *testing.T, s *database.Strategy, id, query string) error {
	t.Helper()
	place, err := s.Place(t.Context(), tenantOf(id))
	require.NoError(t, err)
	conn, err := place.Connector.Connect(t.Context())
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close()) }()
	_, err = conn.(driver.ExecerContext).ExecContext(t.Context(), query, nil)
	return err
}

func TestAnotherDatabasesConnectionIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	require.NoError(t, s.Provision(t.Context(), tenantOf("acme")))
	place, err := s.Place(t.Context(), tenantOf("acme"))
	require.NoError(t, err)
	conn, err := place.Connector.Connect(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	bare, err := f.app.Connect(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, bare.Close()) }()

	require.NoError(t, s.Confine(t.Context(), conn, tenantOf("acme")))
	require.ErrorIs(t, s.Confine(t.Context(), conn, tenantOf("beta")), isolation.ErrUnsafe)
	require.ErrorIs(t, s.Confine(t.Context(), bare, tenantOf("acme")), isolation.ErrUnsafe)
	assert.ErrorIs(t, s.Confine(t.Context(), conn, tenantOf("")), tenant.ErrInvalidID)
}

func TestWithoutAHomeNothingIsServed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	require.ErrorIs(t, f.visit(t, `SELECT 1`), isolation.ErrNotProvisioned)
	assert.ErrorIs(t, s.Migrate(t.Context(), tenantOf("acme")), isolation.ErrNotProvisioned)
	require.NoError(t, s.Deprovision(t.Context(), tenantOf("acme")))
	_, err := s.Place(t.Context(), tenantOf(`x"; DROP DATABASE postgres; --`))
	assert.ErrorIs(t, err, tenant.ErrInvalidID)
	assert.ErrorIs(t, s.Provision(t.Context(), tenantOf("")), tenant.ErrInvalidID)
	_, err = s.PlaceSystem(t.Context())
	assert.ErrorIs(t, err, isolation.ErrNoSystem)
}

// TestForeignDatabaseIsLeftAlone makes a database that has the name of a home.
func TestForeignDatabaseIsLeftAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	_, err := f.root.ExecContext(t.Context(), `CREATE DATABASE `+f.prefix+`acme`)
	require.NoError(t, err)

	assert.ErrorIs(t, s.Provision(t.Context(), tenantOf("acme")), isolation.ErrUnsafe)
	assert.ErrorIs(t, s.Migrate(t.Context(), tenantOf("acme")), isolation.ErrUnsafe)
	assert.ErrorIs(t, s.Deprovision(t.Context(), tenantOf("acme")), isolation.ErrUnsafe)
	assert.ErrorIs(t, f.visit(t, `SELECT 1`), isolation.ErrUnsafe)
	assert.Contains(t, f.databases(t, t.Context()), f.prefix+"acme")
}

func TestTemplateFollowsTheMigrations(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.strategy(t)
	db := open(t, old)
	require.NoError(t, old.Provision(t.Context(), tenantOf("acme")))
	files := orders()
	file := *files["00001_orders.sql"]
	file.Data = []byte("-- +goose Up\nCREATE TABLE notes (id serial PRIMARY KEY, body text);\n")
	files["00002_notes.sql"] = &file
	newer := f.migrating(t, files)

	require.NoError(t, newer.Provision(t.Context(), tenantOf("beta")))
	_, err := db.ExecContext(in(t.Context(), "beta"), `INSERT INTO notes (body) VALUES ('x')`)
	require.NoError(t, err)
	_, err = db.ExecContext(in(t.Context(), "acme"), `SELECT * FROM notes`)
	require.Equal(t, "42P01", pghome.State(err), "acme was not migrated: %v", err)
	require.NoError(t, newer.Migrate(t.Context(), tenantOf("acme")))
	_, err = db.ExecContext(in(t.Context(), "acme"), `INSERT INTO notes (body) VALUES ('x')`)
	require.NoError(t, err)
	require.NoError(t, newer.Verify(t.Context()))

	broken := orders()
	bad := file
	bad.Data = []byte("-- +goose Up\nSELECT 1/0;\n")
	broken["00002_broken.sql"] = &bad
	require.ErrorContains(t, f.migrating(t, broken).Provision(t.Context(), tenantOf("gamma")), "division by zero")
	_, err = db.ExecContext(in(t.Context(), "gamma"), `SELECT 1`)
	require.ErrorIs(t, err, isolation.ErrNotProvisioned)
	require.NoError(t, newer.Provision(t.Context(), tenantOf("gamma")))
}

func TestDeprovisionLeavesOthersAsTheyWere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	db := open(t, s)
	provision(t, s, db, "acme", "beta")
	before := f.dump(t, db, "beta")

	require.NoError(t, s.Deprovision(t.Context(), tenantOf("acme")), "sessions in it are ended")
	assert.Equal(t, before, f.dump(t, db, "beta"))
	require.ErrorIs(t, f.visit(t, `SELECT 1`), isolation.ErrNotProvisioned)
	require.NoError(t, s.Deprovision(t.Context(), tenantOf("acme")))
	assert.Equal(t, []string{f.prefix + "_template", f.prefix + "beta"}, f.databases(t, t.Context()))
}

// dump returns a hash of a tenant's rows and of what the catalogs say about them.
func (f *fixture) dump(t testing.TB, db *sql.DB, id string) string {
	t.Helper()
	h := sha256.New()
	for _, query := range []string{
		`SELECT string_agg(o::text, E'\n' ORDER BY id) FROM orders o`,
		`SELECT string_agg(ROW(oid, relname, relowner, relacl, relfilenode)::text, E'\n' ORDER BY oid) FROM pg_class WHERE oid >= 16384`,
		`SELECT ROW(oid, datname, datdba, datacl, datallowconn)::text FROM pg_database WHERE datname = current_database()`,
	} {
		fmt.Fprintln(h, one[string](t, in(t.Context(), id), db, query))
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func TestVerifyFindsWhatWasGivenByHand(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	require.NoError(t, s.Provision(t.Context(), tenantOf("acme")))
	require.NoError(t, s.Verify(t.Context()))

	home, template := f.prefix+"acme", f.prefix+"_template"
	for _, tt := range []struct{ harm, mend, finding string }{
		{`GRANT CONNECT ON DATABASE ` + home + ` TO PUBLIC`, `REVOKE ALL ON DATABASE ` + home + ` FROM PUBLIC`, "PUBLIC has rights"},
		{`GRANT TEMP ON DATABASE ` + home + ` TO ` + f.login, `REVOKE TEMP ON DATABASE ` + home + ` FROM ` + f.login, "may more than connect"},
		{`ALTER DATABASE ` + template + ` ALLOW_CONNECTIONS true`, `ALTER DATABASE ` + template + ` ALLOW_CONNECTIONS false`, "template accepts connections"},
		{`ALTER ROLE ` + f.login + ` CREATEDB`, `ALTER ROLE ` + f.login + ` NOCREATEDB`, "may create databases"},
		{`ALTER ROLE ` + f.login + ` INHERIT`, `ALTER ROLE ` + f.login + ` NOINHERIT`, "inherits"},
		{`GRANT pg_read_all_data TO ` + f.login, `REVOKE pg_read_all_data FROM ` + f.login, "member of role"},
	} {
		_, err := f.root.ExecContext(t.Context(), tt.harm)
		require.NoError(t, err)
		err = s.Verify(t.Context())
		assert.ErrorIs(t, err, isolation.ErrUnsafe, tt.harm)
		assert.ErrorContains(t, err, tt.finding)
		_, err = f.root.ExecContext(t.Context(), tt.mend)
		require.NoError(t, err)
	}
	require.NoError(t, s.Verify(t.Context()))
}

func TestUnsafeLoginRoleIsNotServed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	require.NoError(t, f.strategy(t).Provision(t.Context(), tenantOf("acme")))
	_, err := f.root.ExecContext(t.Context(), `ALTER ROLE `+f.login+` SUPERUSER`)
	require.NoError(t, err)
	assert.ErrorIs(t, f.visit(t, `SELECT 1`), isolation.ErrUnsafe)
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, err := database.New(nil)
	require.Error(t, err)
	for _, prefix := range []string{"", "_", "a", "a__", "A_", "1_", `a"_`, "pg_a_", strings.Repeat("a", 20) + "_"} {
		_, err := database.New(f.app, database.Prefix(prefix))
		require.Error(t, err, prefix)
	}
	s, err := database.New(f.app)
	require.NoError(t, err)
	assert.ErrorContains(t, s.Provision(t.Context(), tenantOf("acme")), "Admin")
	assert.ErrorContains(t, s.Verify(t.Context()), "Admin")
}
