package sqlitefile_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/tenant"
)

var (
	acme   = tenant.Tenant{ID: "acme", Slug: "acme", Status: tenant.StatusActive}
	globex = tenant.Tenant{ID: "globex", Slug: "globex", Status: tenant.StatusActive}
)

const firstMigration = `-- +goose Up
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE orders (
	id INTEGER PRIMARY KEY,
	customer_id INTEGER NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
	total INTEGER NOT NULL,
	placed TIMESTAMP
);
`

// files returns migrations, numbered from 1.
func files(migrations ...string) fs.FS {
	fsys := fstest.MapFS{}
	for i, m := range migrations {
		fsys["0000"+string(rune('1'+i))+"_step.sql"] = &fstest.MapFile{Data: []byte(m)}
	}
	return fsys
}

// open returns a strategy over a fresh directory, with the first migration.
func open(t testing.TB, opts ...sqlitefile.Option) (*sqlitefile.Strategy, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "homes")
	return openIn(t, dir, opts...), dir
}

func openIn(t testing.TB, dir string, opts ...sqlitefile.Option) *sqlitefile.Strategy {
	t.Helper()
	opts = append([]sqlitefile.Option{sqlitefile.Migrations(files(firstMigration))}, opts...)
	s, err := sqlitefile.New(dir, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// pooled returns a database over a pool over s.
func pooled(t testing.TB, s isolation.Strategy, opts ...isolation.Option) (*sql.DB, *isolation.Pool) {
	t.Helper()
	pool, err := isolation.New(s, opts...)
	require.NoError(t, err)
	db := sql.OpenDB(pool)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db, pool
}

// in returns t's context for a tenant.
func in(t testing.TB, who tenant.Tenant) context.Context { return tenant.NewContext(t.Context(), who) }

func provision(t testing.TB, s *sqlitefile.Strategy, who ...tenant.Tenant) {
	t.Helper()
	for _, w := range who {
		require.NoError(t, s.Provision(t.Context(), w))
	}
}

func exec(t testing.TB, db *sql.DB, who tenant.Tenant, query string, args ...any) {
	t.Helper()
	_, err := db.ExecContext(in(t, who), query, args...)
	require.NoError(t, err)
}

func count(t testing.TB, db *sql.DB, who tenant.Tenant, query string) int {
	t.Helper()
	var n int
	require.NoError(t, db.QueryRowContext(in(t, who), query).Scan(&n))
	return n
}

func TestTenantsSeeTheirOwnFile(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	provision(t, s, acme, globex)
	db, _ := pooled(t, s)

	exec(t, db, acme, `INSERT INTO customer (name) VALUES ('ada'), ('bob')`)
	exec(t, db, globex, `INSERT INTO customer (name) VALUES ('eve')`)

	assert.Equal(t, 2, count(t, db, acme, `SELECT count(*) FROM customer`))
	assert.Equal(t, 1, count(t, db, globex, `SELECT count(*) FROM customer`))
	for _, name := range []string{"t-acme.db", "t-globex.db"} {
		info, err := os.Lstat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o600), info.Mode())
	}
	info, err := os.Lstat(dir)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	assert.NoError(t, s.Verify(t.Context()))
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	provision(t, s, acme)
	db, _ := pooled(t, s)

	_, err := db.ExecContext(in(t, globex), `SELECT 1`)
	require.ErrorIs(t, err, isolation.ErrNotProvisioned)
	require.ErrorIs(t, s.Migrate(t.Context(), globex), isolation.ErrNotProvisioned)
	assert.NoFileExists(t, filepath.Join(dir, "t-globex.db"), "opening makes no file")

	_, err = db.ExecContext(t.Context(), `SELECT 1`)
	require.ErrorIs(t, err, tenant.ErrNoTenant)
	_, err = db.ExecContext(tenant.System(t.Context(), "test"), `SELECT 1`)
	require.ErrorIs(t, err, isolation.ErrNoSystem)
	_, err = db.ExecContext(in(t, acme), `BEGIN`)
	require.ErrorIs(t, err, isolation.ErrControl)
}

func TestConfineKnowsTheFile(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	other := openIn(t, dir)
	provision(t, s, acme, globex)
	place, err := s.Place(t.Context(), acme)
	require.NoError(t, err)
	conn, err := place.Connector.Connect(t.Context())
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close()) }()

	require.NoError(t, s.Confine(t.Context(), conn, acme))
	require.ErrorIs(t, s.Confine(t.Context(), conn, globex), isolation.ErrUnsafe)
	require.ErrorIs(t, other.Confine(t.Context(), conn, acme), isolation.ErrUnsafe)
	wrapper, ok := conn.(interface{ Unwrap() driver.Conn })
	require.True(t, ok)
	require.ErrorIs(t, s.Confine(t.Context(), wrapper.Unwrap(), acme), isolation.ErrUnsafe, "no authorizer is known to be on it")
}

func TestSettingsOfAConnection(t *testing.T) {
	t.Parallel()
	s, _ := open(t, sqlitefile.Synchronous(sqlitefile.SyncFull), sqlitefile.BusyTimeout(1234*time.Millisecond))
	provision(t, s, acme)
	db, _ := pooled(t, s)
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close()) }()

	want := map[string]int64{
		"foreign_keys": 1, "synchronous": 2, "busy_timeout": 1234, "trusted_schema": 0, "cell_size_check": 1,
	}
	got := map[string]int64{}
	require.NoError(t, isolation.Raw(in(t, acme), conn, func(raw driver.Conn) error {
		require.NoError(t, raw.(sqlite.AuthorizerRegisterer).RegisterAuthorizer(nil))
		for name := range want {
			got[name] = firstInt(t, raw, "PRAGMA "+name)
		}
		return nil
	}))
	assert.Equal(t, want, got)
	_, err = db.ExecContext(in(t, acme), `SELECT "no such column"`)
	assert.ErrorContains(t, err, "no such column")
	_, err = db.ExecContext(in(t, acme), `INSERT INTO orders (customer_id, total) VALUES (99, 1)`)
	assert.ErrorContains(t, err, "FOREIGN KEY")
}

func TestTimesComeBackInUTC(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	provision(t, s, acme)
	db, _ := pooled(t, s)
	exec(t, db, acme, `INSERT INTO customer (id, name) VALUES (1, 'ada')`)
	when := time.Date(2026, 3, 1, 9, 30, 0, 123456000, time.FixedZone("there", 2*3600))
	exec(t, db, acme, `INSERT INTO orders (customer_id, total, placed) VALUES (1, 5, ?)`, when)

	var got time.Time
	var text string
	require.NoError(t, db.QueryRowContext(in(t, acme), `SELECT placed, CAST(placed AS BLOB) FROM orders`).Scan(&got, &text))
	assert.Equal(t, when.UTC(), got)
	assert.Equal(t, "2026-03-01 07:30:00.123456+00:00", text)
}

func TestHostsDriverBringsFunctions(t *testing.T) {
	t.Parallel()
	d := &sqlite.Driver{}
	require.NoError(t, d.RegisterDeterministicScalarFunction("twice", 1, twice))
	s, _ := open(t, sqlitefile.Driver(d))
	provision(t, s, acme)
	db, _ := pooled(t, s)
	assert.Equal(t, 42, count(t, db, acme, `SELECT twice(21)`))
}

func TestOtherConnectionsOfTheProcessAreLeftAlone(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	provision(t, s, acme)
	tenants, _ := pooled(t, s)
	exec(t, tenants, acme, `SELECT 1`)

	host, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "host.db"))
	require.NoError(t, err)
	defer func() { assert.NoError(t, host.Close()) }()
	_, err = host.ExecContext(t.Context(), `ATTACH ':memory:' AS extra; PRAGMA user_version = 7; DETACH extra`)
	assert.NoError(t, err)
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	tests := map[string]sqlitefile.Option{
		"synchronous":  sqlitefile.Synchronous("OFF"),
		"busy timeout": sqlitefile.BusyTimeout(-1),
		"driver":       sqlitefile.Driver(nil),
	}
	for name, opt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "homes")
			_, err := sqlitefile.New(dir, opt)
			require.Error(t, err)
			assert.NoDirExists(t, dir)
		})
	}
	_, err := sqlitefile.New("")
	assert.Error(t, err)
}
