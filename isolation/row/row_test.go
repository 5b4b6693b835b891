package row_test

import (
	"database/sql/driver"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestNewRefusesWhatItCannotUse(t *testing.T) {
	t.Parallel()
	connector, err := postgres.NewConnector("postgres://app@localhost/app")
	require.NoError(t, err)
	_, err = row.New(nil)
	require.ErrorContains(t, err, "nil connector")
	for _, opt := range []row.Option{
		row.Tables("a.b.c"), row.Tables(""), row.Tables("a."), row.AllowGlobalKeys(".a"), row.AllowDefiner("a.b.c"), row.Column(""), row.Owner(""),
	} {
		_, err := row.New(connector, opt)
		require.Error(t, err)
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	connector, err := postgres.NewConnector("postgres://app:secret@localhost/app")
	require.NoError(t, err)
	s, err := row.New(connector, row.Plain())
	require.NoError(t, err)
	one, err := s.Place(t.Context(), acme)
	require.NoError(t, err)
	two, err := s.Place(t.Context(), globex)
	require.NoError(t, err)
	assert.Equal(t, one, two, "tenants share a place, so that connections pass between them")
	assert.NotContains(t, one.Key, "secret")
	_, err = s.Place(t.Context(), tenant.Tenant{ID: "a'b"})
	require.ErrorIs(t, err, tenant.ErrInvalidID)
	_, err = s.PlaceSystem(t.Context())
	require.ErrorIs(t, err, isolation.ErrNoSystem)
}

func TestMalformedTenantsAreRefused(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	s := f.installed(t)
	c := newSession(t, s)
	c.confine(s, acme)
	for _, id := range []tenant.ID{"", "A", "a'; RESET ROLE; --", `a\`, "a b"} {
		bad := tenant.Tenant{ID: id}
		require.ErrorIs(t, s.Confine(t.Context(), c.conn, bad), tenant.ErrInvalidID)
		require.ErrorIs(t, s.Provision(t.Context(), bad), tenant.ErrInvalidID)
		require.ErrorIs(t, s.Migrate(t.Context(), bad), tenant.ErrInvalidID)
		require.ErrorIs(t, s.Deprovision(t.Context(), bad), tenant.ErrInvalidID)
	}
	assert.Equal(t, []string{"acme"}, c.column(`SELECT tenancy.current_tenant()`))
}

func TestForeignConnectorsAreRefused(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	f.installed(t)
	plainPQ, err := pq.NewConnector(f.db.As(f.role, password))
	require.NoError(t, err)
	s, err := row.New(plainPQ)
	require.NoError(t, err)
	place, err := s.Place(t.Context(), acme)
	require.NoError(t, err)
	_, err = place.Connector.Connect(t.Context())
	require.ErrorIs(t, err, isolation.ErrUnsafe)
	assert.ErrorContains(t, err, "postgres.NewConnector")
}

// wrapped is a connector of someone else's around one of package postgres.
type wrapped struct{ driver.Connector }

func TestWrappedConnectorsAreAccepted(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	f.installed(t)
	s, err := row.New(wrapped{f.runtime})
	require.NoError(t, err)
	newSession(t, s).confine(s, acme)
	require.NoError(t, s.Provision(t.Context(), acme))
}

func TestInstall(t *testing.T) {
	t.Parallel()
	f := open(t, tables)

	t.Run("wants an administrator", func(t *testing.T) {
		s, err := row.New(f.runtime)
		require.NoError(t, err)
		require.ErrorContains(t, s.Install(t.Context()), "row.Admin")
	})
	t.Run("refuses the runtime role as administrator", func(t *testing.T) {
		s, err := row.New(f.runtime, row.Admin(f.runtime))
		require.NoError(t, err)
		require.ErrorIs(t, s.Install(t.Context()), isolation.ErrUnsafe)
	})
	t.Run("refuses another database", func(t *testing.T) {
		s, err := row.New(f.runtime, row.Admin(f.connector(t, f.db.URL()).WithDatabase("postgres")))
		require.NoError(t, err)
		require.ErrorContains(t, s.Install(t.Context()), "another database")
	})
	t.Run("leaves nothing for Verify", func(t *testing.T) {
		s := f.installed(t)
		require.NoError(t, s.Verify(t.Context()))
	})
	t.Run("changes nothing the second time", func(t *testing.T) {
		const state = `SELECT md5(string_agg(s, ',' ORDER BY s)) FROM (SELECT xmin::text FROM pg_policy UNION ALL SELECT c.xmin::text
			FROM pg_class c WHERE relkind = 'r' AND NOT relispartition AND oid > 16383 UNION ALL SELECT xmin::text FROM pg_proc WHERE oid > 16383) AS x(s)`
		var before, after string
		require.NoError(t, f.admin.QueryRowContext(t.Context(), state).Scan(&before))
		f.installed(t)
		require.NoError(t, f.admin.QueryRowContext(t.Context(), state).Scan(&after))
		assert.Equal(t, before, after)
	})
}

func TestMigrateByManyAtOnce(t *testing.T) {
	t.Parallel()
	f := open(t, ``)
	migrations := fstest.MapFS{"00001_orders.sql": {Data: []byte("-- +goose Up\nCREATE TABLE orders (tenant_id text NOT NULL, id int, PRIMARY KEY (tenant_id, id));")}}
	errs := make(chan error)
	const many = 6
	for range many {
		s := f.strategy(t, row.Migrations(migrations), row.Owner(f.role+"_owner"))
		go func() { errs <- s.Migrate(t.Context(), acme) }()
	}
	for range many {
		require.NoError(t, <-errs)
	}
	require.NoError(t, f.strategy(t).Verify(t.Context()))
}

// TestInstallWithoutSuperuser is the way of a managed service: the administrator
// owns the database and may make roles, and that is all.
func TestInstallWithoutSuperuser(t *testing.T) {
	t.Parallel()
	f := open(t, `CREATE ROLE $app_admin LOGIN CREATEROLE PASSWORD '`+password+`';
		DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO $app_admin', current_database()); END $$;
		SET ROLE $app_admin;`+tables+`RESET ROLE`)
	s, err := row.New(f.runtime, row.Admin(f.connector(t, f.db.As(f.role+"_admin", password))), row.Owner(f.role+"_owner"))
	require.NoError(t, err)
	require.NoError(t, s.Install(t.Context()))
	require.NoError(t, s.Verify(t.Context()))

	f.exec(t, `GRANT TRUNCATE ON orders TO $app; CREATE SCHEMA open; GRANT USAGE, CREATE ON SCHEMA open TO PUBLIC`)
	assertUnsafe(t, s.Install(t.Context()), [2]string{"schema open", "may create objects"})
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	f := open(t, ``)
	migrations := fstest.MapFS{"00001_orders.sql": {Data: []byte("-- +goose Up\n" +
		"CREATE TABLE orders (tenant_id text NOT NULL DEFAULT tenancy.current_tenant(), id int, PRIMARY KEY (tenant_id, id));")}}
	require.NoError(t, f.strategy(t, row.Migrations(migrations)).Migrate(t.Context(), acme))

	migrations["00002_items.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\n" +
		"CREATE TABLE items (tenant_id varchar(63) NOT NULL, id serial, PRIMARY KEY (tenant_id, id)) PARTITION BY HASH (tenant_id);\n" +
		"CREATE TABLE items_0 PARTITION OF items FOR VALUES WITH (MODULUS 1, REMAINDER 0);")}
	s := f.strategy(t, row.Migrations(migrations))
	for range 2 {
		require.NoError(t, s.Migrate(t.Context(), acme))
		require.NoError(t, s.Verify(t.Context()))
	}
	c := newSession(t, s)
	c.confine(s, acme)
	c.must(`INSERT INTO items DEFAULT VALUES`)
	c.must(`INSERT INTO orders (id) VALUES (1)`)
	require.ErrorContains(t, c.exec(`SELECT FROM items_0`), "permission denied")
	c.confine(s, globex)
	assert.Empty(t, c.column(`SELECT id FROM items`))
}

func TestProvision(t *testing.T) {
	t.Parallel()
	f := open(t, `CREATE TABLE docs (tenant_id uuid NOT NULL, id int, PRIMARY KEY (tenant_id, id))`)
	s := f.strategy(t)
	require.ErrorIs(t, s.Provision(t.Context(), acme), isolation.ErrUnsafe, "before Install")
	require.NoError(t, s.Install(t.Context()))

	id := tenant.NewID()
	require.NoError(t, s.Provision(t.Context(), tenant.Tenant{ID: id}))
	require.ErrorContains(t, s.Provision(t.Context(), acme), "cannot hold tenant acme")
	// PostgreSQL reads this as the same UUID, and it is another tenant.
	twin := tenant.Tenant{ID: tenant.ID(strings.ReplaceAll(id.String(), "-", ""))}
	require.ErrorContains(t, s.Provision(t.Context(), twin), "not a UUID as PostgreSQL writes it")

	c := newSession(t, s)
	c.confine(s, tenant.Tenant{ID: id})
	c.must(`INSERT INTO docs (id) VALUES (1)`)
	c.confine(s, twin)
	require.ErrorContains(t, c.exec(`SELECT id FROM docs`), "not a UUID as PostgreSQL writes it")
}

func TestDeprovisionDeletesTheTenantsRowsAlone(t *testing.T) {
	t.Parallel()
	f := open(t, tables+`
		CREATE TABLE tree (tenant_id text NOT NULL, id int, parent int, PRIMARY KEY (tenant_id, id),
			FOREIGN KEY (tenant_id, parent) REFERENCES tree (tenant_id, id) ON DELETE RESTRICT);
		CREATE TABLE a (tenant_id text NOT NULL, id int, b int, PRIMARY KEY (tenant_id, id));
		CREATE TABLE b (tenant_id text NOT NULL, id int, a int, PRIMARY KEY (tenant_id, id), FOREIGN KEY (tenant_id, a) REFERENCES a (tenant_id, id));
		ALTER TABLE a ADD CONSTRAINT back FOREIGN KEY (tenant_id, b) REFERENCES b (tenant_id, id);`)
	s := f.installed(t)
	c := newSession(t, s)
	for _, who := range []tenant.Tenant{acme, globex} {
		c.confine(s, who)
		c.must(`INSERT INTO orders (id) VALUES (1); INSERT INTO app.items (id, order_id) VALUES (1, 1);
			INSERT INTO tree (id, parent) VALUES (1, NULL), (2, 1), (3, 2);
			INSERT INTO a (id) VALUES (1); INSERT INTO b (id, a) VALUES (1, 1); UPDATE a SET b = 1`)
	}
	const count = `SELECT tenant_id || ' ' || count(*) FROM (SELECT tenant_id FROM orders UNION ALL SELECT tenant_id FROM app.items UNION ALL SELECT tenant_id FROM tree
		UNION ALL SELECT tenant_id FROM a UNION ALL SELECT tenant_id FROM b) AS all_rows GROUP BY tenant_id`
	for range 2 {
		require.NoError(t, s.Deprovision(t.Context(), acme))
		var left string
		require.NoError(t, f.admin.QueryRowContext(t.Context(), count).Scan(&left))
		assert.Equal(t, "globex 7", left)
	}
}

func TestTableSQLIsWhatInstallDoes(t *testing.T) {
	t.Parallel()
	f := open(t, `CREATE ROLE $app_owner; CREATE TABLE "or""ders" ("ten ant" uuid NOT NULL, id int, PRIMARY KEY ("ten ant", id))`)
	s := f.strategy(t, row.Column("ten ant"), row.Owner(f.role+"_owner"))
	ddl, err := row.Table{Name: `or"ders`, Column: "ten ant", Type: "uuid", Role: f.role}.SQL()
	require.NoError(t, err)
	for range 2 {
		f.exec(t, s.SQL()+ddl)
	}
	assertUnsafe(t, s.Verify(t.Context()),
		[2]string{"database", "temporary tables"}, [2]string{"role app_", "search_path"}) // what is not the table's own
	_, err = row.Table{Name: "t", Type: "char(3)"}.SQL()
	require.Error(t, err)
	_, err = row.Table{}.SQL()
	require.Error(t, err)
}
