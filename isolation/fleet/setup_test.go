package fleet_test

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/isolation/fleet"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/isolation/schema"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	os.Exit(pgtest.Run(m))
}

// strategy is one of this module's.
type strategy interface {
	isolation.Managed
	isolation.Administrator
}

// world is a database server with homes, and a control database on it.
type world struct {
	*pgtest.DB
	admin, app *postgres.Connector
	root       *sql.DB // the superuser's, in the homes' database
	control    *sql.DB
	controlURL string
	ledger     *fleet.Ledger
}

// loginURL returns the URL of a login role for another process.
func loginURL(t testing.TB, w *world) string {
	t.Helper()
	login := pgtest.Name(t, "app")
	require.NoError(t, postgres.EnsureRole(t.Context(), w.root, login, "secret"))
	return w.As(login, "secret")
}

func newWorld(t testing.TB) *world { return worldOn(t, pgtest.Open(t), pgtest.Open(t)) }

func worldOn(t testing.TB, homes, control *pgtest.DB) *world {
	t.Helper()
	w := &world{DB: homes, controlURL: control.URL()}
	w.admin = connector(t, homes.URL())
	w.root = opened(t, w.admin)
	login := pgtest.Name(t, "app")
	require.NoError(t, postgres.EnsureRole(t.Context(), w.root, login, "secret"))
	w.app = connector(t, homes.As(login, "secret"))
	w.control = opened(t, connector(t, control.URL()))
	w.ledger = ledgerOn(t, w.control, fleet.OnPostgres)
	return w
}

func connector(t testing.TB, url string) *postgres.Connector {
	t.Helper()
	c, err := postgres.NewConnector(url)
	require.NoError(t, err)
	return c
}

func opened(t testing.TB, c *postgres.Connector) *sql.DB {
	t.Helper()
	db := sql.OpenDB(c)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func ledgerOn(t testing.TB, db *sql.DB, d fleet.Dialect) *fleet.Ledger {
	t.Helper()
	l, err := fleet.NewLedger(db, d)
	require.NoError(t, err)
	require.NoError(t, l.Migrate(t.Context()))
	return l
}

// schemas returns a strategy with a schema per tenant, whose own migrations are files.
func (w *world) schemas(t testing.TB, files fs.FS) *schema.Strategy {
	t.Helper()
	s, err := schema.New(w.app, schema.Admin(w.admin), schema.Migrations(files))
	require.NoError(t, err)
	return s
}

// shared returns a strategy whose tenants share the tables of the first file.
func (w *world) shared(t testing.TB) *row.Strategy {
	t.Helper()
	s, err := row.New(w.app, row.Admin(w.admin), row.Migrations(sub(t, files(1), "shared")))
	require.NoError(t, err)
	require.NoError(t, s.Prepare(t.Context()))
	return s
}

// fleet returns the fleet of s's tenants, with files.
func (w *world) fleet(t testing.TB, s isolation.Administrator, files fs.FS, opts ...fleet.Option) *fleet.Fleet {
	t.Helper()
	return fleetOf(t, s, w.ledger, load(t, files), opts...)
}

func fleetOf(t testing.TB, s isolation.Administrator, l *fleet.Ledger, m *fleet.Migrations, opts ...fleet.Option) *fleet.Fleet {
	t.Helper()
	f, err := fleet.New(s, l, m, opts...)
	require.NoError(t, err)
	return f
}

func load(t testing.TB, files fs.FS, functions ...fleet.Function) *fleet.Migrations {
	t.Helper()
	m, err := fleet.Load(files, functions...)
	require.NoError(t, err)
	return m
}

// four returns a strategy of each kind, made for tenants with the first file, with the
// world whose ledger is used.
func four(t *testing.T, check func(t *testing.T, w *world, s strategy)) {
	t.Helper()
	first := files(1)
	t.Run("row", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		check(t, w, w.shared(t))
	})
	t.Run("schema", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		check(t, w, w.schemas(t, sub(t, first, "own")))
	})
	t.Run("database", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		prefix := pgtest.Name(t, "p") + "_"
		s, err := database.New(w.app, database.Admin(w.admin), database.Migrations(sub(t, first, "own")), database.Prefix(prefix))
		require.NoError(t, err)
		t.Cleanup(func() { dropDatabases(t, w.root, prefix) })
		check(t, w, s)
	})
	t.Run("sqlitefile", func(t *testing.T) {
		t.Parallel()
		w, s := newFiles(t, sub(t, first, "sqlite"))
		check(t, w, s)
	})
}

// newFiles returns a world without a server: what needs no PostgreSQL is tested here.
func newFiles(t testing.TB, files fs.FS) (*world, *sqlitefile.Strategy) {
	t.Helper()
	w := &world{}
	var err error
	w.control, err = sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "control.db")+sqliteDB)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, w.control.Close()) })
	w.ledger = ledgerOn(t, w.control, fleet.OnSQLite)
	s, err := sqlitefile.New(filepath.Join(t.TempDir(), "homes"), sqlitefile.Migrations(files))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return w, s
}

func dropDatabases(t testing.TB, root *sql.DB, prefix string) {
	ctx := context.WithoutCancel(t.Context())
	for _, name := range texts(t, root, `SELECT datname FROM pg_database WHERE starts_with(datname, $1)`, prefix) {
		_, err := root.ExecContext(ctx, `ALTER DATABASE "`+name+`" IS_TEMPLATE false`)
		assert.NoError(t, err)
		_, err = root.ExecContext(ctx, `DROP DATABASE "`+name+`" WITH (FORCE)`)
		assert.NoError(t, err)
	}
}

// files returns the first n of three migrations, for each kind of home. Each appends
// to the table log, so that one which is applied twice shows.
func files(n int) fstest.MapFS {
	fsys := fstest.MapFS{}
	for _, kind := range []string{"shared", "own", "sqlite"} {
		column, insert := "", "INSERT INTO log (entry) VALUES ('%s');\n"
		if kind == "shared" {
			column, insert = "tenant_id text NOT NULL, ", "INSERT INTO log (tenant_id, entry) VALUES ('platform', '%s');\n"
		}
		all := []string{
			"CREATE TABLE log (" + column + "entry text NOT NULL);\nCREATE TABLE orders (" + column + "item text);\n",
			"ALTER TABLE orders ADD COLUMN total integer;\n",
			"CREATE INDEX orders_total ON orders (total);\n",
		}
		for i, statements := range all[:n] {
			name := fmt.Sprintf("%05d_step.sql", i+1)
			fsys[kind+"/"+name] = file(statements + fmt.Sprintf(insert, name[:5]))
		}
	}
	return fsys
}

// own returns what files has for schemas and databases, with more files after it.
func own(n int, more ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, f := range files(n) {
		if dir, base := filepath.Split(name); dir == "own/" {
			fsys[base] = f
		}
	}
	for i, statements := range more {
		fsys[fmt.Sprintf("%05d_more.sql", n+i+1)] = file(statements)
	}
	return fsys
}

func file(statements string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("-- +goose Up\n" + statements)}
}

func sub(t testing.TB, fsys fs.FS, dir string) fs.FS {
	t.Helper()
	s, err := fs.Sub(fsys, dir)
	require.NoError(t, err)
	return s
}

// tenants returns n tenants, t000 and so on.
func tenants(n int) []tenant.Tenant {
	ts := make([]tenant.Tenant, n)
	for i := range ts {
		id := fmt.Sprintf("t%03d", i)
		ts[i] = tenant.Tenant{ID: tenant.ID(id), Slug: id, Name: id, Status: tenant.StatusActive, Version: 1}
	}
	return ts
}

func provision(t testing.TB, s isolation.Provisioner, ts ...tenant.Tenant) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(8)
	for _, one := range ts {
		group.Go(func() error { return s.Provision(t.Context(), one) })
	}
	require.NoError(t, group.Wait())
}

// logOf returns what the migrations appended in a tenant's home.
func logOf(t testing.TB, s isolation.Administrator, who tenant.Tenant) []string {
	t.Helper()
	var entries []string
	err := s.Administer(t.Context(), who, func(_ context.Context, conn *sql.Conn, _ isolation.Home) error {
		entries = texts(t, conn, `SELECT entry FROM log`)
		return nil
	})
	require.NoError(t, err)
	return entries
}

type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// texts returns a query's only column.
func texts(t testing.TB, db queryer, query string, args ...any) []string {
	t.Helper()
	return textsIn(t, context.WithoutCancel(t.Context()), db, query, args...)
}

func textsIn(t testing.TB, ctx context.Context, db queryer, query string, args ...any) []string { //nolint:revive // t first, as in testify
	t.Helper()
	rows, err := db.QueryContext(ctx, query, args...)
	require.NoError(t, err, query)
	defer func() { require.NoError(t, rows.Close()) }()
	found := []string{}
	for rows.Next() {
		var text string
		require.NoError(t, rows.Scan(&text))
		found = append(found, text)
	}
	require.NoError(t, rows.Err())
	return found
}

// entries returns what the ledger says of all homes.
func entries(t testing.TB, l *fleet.Ledger, states ...fleet.State) []fleet.Entry {
	t.Helper()
	all := []fleet.Entry{}
	for e, err := range l.Entries(t.Context(), states...) {
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}
