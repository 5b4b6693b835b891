package route_test

import (
	"context"
	"database/sql"
	"fmt"
	"hash/fnv"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/internal/thorough"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/isolation/isolationtest"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/isolation/schema"
	"github.com/tenancy-go/tenancy/tenant"
)

// cluster is a database that stands for a cluster, with a login role of its own.
type cluster struct {
	db         *pgtest.DB
	admin, app *postgres.Connector
	root       *sql.DB
	login      string
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{db: pgtest.Open(t), login: pgtest.Name(t, "app")}
	c.admin = connect(t, c.db.URL())
	c.root = sql.OpenDB(c.admin)
	t.Cleanup(func() { require.NoError(t, c.root.Close()) })
	require.NoError(t, postgres.EnsureRole(t.Context(), c.root, c.login, "secret"))
	c.app = connect(t, c.db.As(c.login, "secret"))
	return c
}

func connect(t testing.TB, url string) *postgres.Connector {
	t.Helper()
	c, err := postgres.NewConnector(url)
	require.NoError(t, err)
	return c
}

func (c *cluster) rows(t testing.TB, files fs.FS) *row.Strategy {
	t.Helper()
	s, err := row.New(c.app, row.Admin(c.admin), row.Migrations(files))
	require.NoError(t, err)
	return s
}

func (c *cluster) schemas(t testing.TB, files fs.FS) *schema.Strategy {
	t.Helper()
	s, err := schema.New(c.app, schema.Admin(c.admin), schema.Migrations(files), schema.System(c.admin))
	require.NoError(t, err)
	return s
}

// prefixLen is how long the names of databases are before the tenant's ID.
const prefixLen = 16

func (c *cluster) databases(t testing.TB, files fs.FS) *database.Strategy {
	t.Helper()
	prefix := pgtest.Name(t, "ho") + "_"
	require.Len(t, prefix, prefixLen)
	t.Cleanup(func() { c.dropAll(t, prefix) })
	s, err := database.New(c.app, database.Admin(c.admin), database.Migrations(files), database.Prefix(prefix), database.System(c.admin))
	require.NoError(t, err)
	return s
}

func (c *cluster) dropAll(t testing.TB, prefix string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	var names pq.StringArray
	require.NoError(t, c.root.QueryRowContext(ctx, `SELECT array_agg(datname) FROM pg_database WHERE starts_with(datname, $1)`, prefix).Scan(&names))
	for _, name := range names {
		_, err := c.root.ExecContext(ctx, `ALTER DATABASE "`+name+`" IS_TEMPLATE false`)
		require.NoError(t, err)
		_, err = c.root.ExecContext(ctx, `DROP DATABASE "`+name+`" WITH (FORCE)`)
		require.NoError(t, err)
	}
}

// kill ends the sessions of all clusters' login roles.
func kill(clusters ...*cluster) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, c := range clusters {
			_, err := c.root.ExecContext(ctx, `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = $1`, c.login)
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// spread places tenants over cells by their IDs.
func spread(cells []route.Cell) route.Rule {
	return route.RuleFunc(func(_ context.Context, t tenant.Tenant) (string, error) {
		h := fnv.New32a()
		_, _ = h.Write([]byte(t.ID))
		return cells[int(h.Sum32()%uint32(len(cells)))].Name, nil //nolint:gosec // a few cells
	})
}

// runSuite runs the suite, or by default one of parts of it, over a router whose
// tenants are spread over cells. The strategies' own packages run all of it on each.
func runSuite(t *testing.T, part, parts int, cells []route.Cell, target isolationtest.Target, opts ...route.Option) {
	t.Helper()
	if thorough.On() {
		part, parts = 0, 1
	}
	store := route.NewMemoryStore()
	r, err := route.New(cells, spread(cells), append(opts, route.Record(store))...)
	require.NoError(t, err)
	require.NoError(t, r.Prepare(t.Context()))
	used := make(map[string]bool)
	isolationtest.TestPart(t, part, parts, func(t *testing.T, opts ...isolation.Option) isolationtest.Target {
		pool, err := isolation.New(r, opts...)
		require.NoError(t, err)
		target := target
		target.Pool, target.Deprovision, target.Size = pool, r.Deprovision, r.Size
		target.Provision = func(ctx context.Context, t tenant.Tenant) error {
			if err := r.Provision(ctx, t); err != nil {
				return err
			}
			p, err := r.Placement(ctx, t.ID)
			used[p.Cell] = true
			return err
		}
		return target
	})
	assert.Len(t, used, len(cells), "every cell had its tenants")
	left, err := store.List(t.Context(), route.Query{})
	require.NoError(t, err)
	assert.Empty(t, left)
}

// Tables that each tenant has for itself, with the columns that shared ones have.
// self is the SQL of the tenant's ID by where it lives.
func likeShared(t testing.TB, self string) fs.FS {
	t.Helper()
	text, err := fs.ReadFile(isolationtest.SharedTables(), "00001_tables.sql")
	require.NoError(t, err)
	const column = "tenant_id text   NOT NULL"
	require.Equal(t, 2, strings.Count(string(text), column))
	own := strings.ReplaceAll(string(text), column, fmt.Sprintf("%s DEFAULT %s CHECK (tenant_id = %s)", column, self, self))
	return fstest.MapFS{"00001_tables.sql": {Data: []byte(own)}}
}

// Rows, schemas and databases under one *sql.DB.
func TestMixOfThreeStrategies(t *testing.T) {
	rows, schemas, databases := newCluster(t), newCluster(t), newCluster(t)
	runSuite(t, 1, 4, []route.Cell{
		{Name: "rows", Strategy: rows.rows(t, isolationtest.SharedTables())},
		{Name: "schemas", Strategy: schemas.schemas(t, likeShared(t, "replace(substr(current_schema()::text, 3), '_', '-')"))},
		{Name: "databases", Strategy: databases.databases(t, likeShared(t, fmt.Sprintf("replace(substr(current_database()::text, %d), '_', '-')", prefixLen+1)))},
	}, isolationtest.Target{Shared: true, CopyIn: true, Limits: true, Kill: kill(rows, schemas, databases)})
}

// Two clusters of schemas and one of databases.
func TestMixOfClusters(t *testing.T) {
	own := isolationtest.OwnTables(isolationtest.Postgres)
	one, two, databases := newCluster(t), newCluster(t), newCluster(t)
	runSuite(t, 2, 4, []route.Cell{
		{Name: "one", Strategy: one.schemas(t, own)},
		{Name: "two", Strategy: two.schemas(t, own)},
		{Name: "databases", Strategy: databases.databases(t, own)},
	}, isolationtest.Target{System: true, CopyIn: true, Limits: true, Kill: kill(one, two, databases)}, route.SystemCell("two"))
}

func TestMixOfDirectories(t *testing.T) {
	t.Parallel()
	own := isolationtest.OwnTables(isolationtest.SQLite)
	runSuite(t, 0, 1, []route.Cell{
		{Name: "one", Strategy: files(t, own)},
		{Name: "two", Strategy: files(t, own)},
	}, isolationtest.Target{Dialect: isolationtest.SQLite})
}

func files(t testing.TB, migrations fs.FS) *sqlitefile.Strategy {
	t.Helper()
	s, err := sqlitefile.New(t.TempDir(), sqlitefile.Migrations(migrations))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

const (
	ownNotes    = "-- +goose Up\nCREATE TABLE notes (id int PRIMARY KEY, body text NOT NULL);\n"
	sharedNotes = "-- +goose Up\nCREATE TABLE notes (tenant_id text NOT NULL, id int, body text NOT NULL, PRIMARY KEY (tenant_id, id));\n"
)

func notes(text string) fs.FS { return fstest.MapFS{"00001_notes.sql": {Data: []byte(text)}} }

// four is a router over all four strategies, each with a home for every tenant of the
// test in which the note says whose it is and where.
type four struct {
	*route.Router
	cells   []route.Cell
	db      *sql.DB
	pool    *isolation.Pool
	tenants []tenant.Tenant
}

func newFour(t testing.TB, tenants int) *four {
	t.Helper()
	rows, schemas, databases := newCluster(t), newCluster(t), newCluster(t)
	f := &four{cells: []route.Cell{
		{Name: "rows", Strategy: rows.rows(t, notes(sharedNotes))},
		{Name: "schemas", Strategy: schemas.schemas(t, notes(ownNotes))},
		{Name: "databases", Strategy: databases.databases(t, notes(ownNotes))},
		{Name: "files", Strategy: files(t, notes(ownNotes))},
	}}
	var err error
	f.Router, err = route.New(f.cells, spread(f.cells), route.Record(route.NewMemoryStore()))
	require.NoError(t, err)
	require.NoError(t, f.Prepare(t.Context()))
	f.pool, err = isolation.New(f.Router, isolation.MaxConns(8))
	require.NoError(t, err)
	f.db = sql.OpenDB(f.pool)
	t.Cleanup(func() { require.NoError(t, f.db.Close()) })
	for i := range tenants {
		f.tenants = append(f.tenants, tenant.Tenant{ID: tenant.ID(fmt.Sprintf("t-%d", i))})
		f.furnish(t, f.tenants[i])
	}
	return f
}

// furnish gives one tenant a home in every cell.
func (f *four) furnish(t testing.TB, one tenant.Tenant) {
	t.Helper()
	p, err := f.Create(t.Context(), route.Placement{Tenant: one.ID, Cell: f.cells[0].Name, State: route.Placed})
	require.NoError(t, err)
	for _, c := range f.cells {
		p.Cell = c.Name
		p, err = f.Update(t.Context(), p)
		require.NoError(t, err)
		require.NoError(t, f.Provision(t.Context(), one))
		_, err = f.db.ExecContext(tenant.NewContext(t.Context(), one), "INSERT INTO notes (id, body) VALUES (1, $1)", string(one.ID)+" "+c.Name)
		require.NoError(t, err, c.Name)
	}
}

// where returns what the tenant's note says.
func (f *four) where(ctx context.Context, one tenant.Tenant) (string, error) {
	var body string
	err := f.db.QueryRowContext(tenant.NewContext(ctx, one), "SELECT body FROM notes").Scan(&body)
	return body, err
}

func TestFourStrategiesUnderOneDB(t *testing.T) {
	t.Parallel()
	f := newFour(t, 2)
	for _, c := range f.cells {
		for _, one := range f.tenants {
			p, err := f.Placement(t.Context(), one.ID)
			require.NoError(t, err)
			p.Cell = c.Name
			_, err = f.Update(t.Context(), p)
			require.NoError(t, err)
			got, err := f.where(t.Context(), one)
			require.NoError(t, err)
			assert.Equal(t, string(one.ID)+" "+c.Name, got)
			ctx := tenant.NewContext(t.Context(), one)
			_, err = f.db.ExecContext(ctx, "PRAGMA query_only = on")
			if c.Name == "files" {
				require.ErrorIs(t, err, isolation.ErrControl, "each strategy judges statements by its own dialect")
				_, err = f.db.ExecContext(ctx, "ATTACH 'x.db' AS x")
				require.ErrorIs(t, err, isolation.ErrControl)
				continue
			}
			_, err = f.db.ExecContext(ctx, "SET search_path TO public")
			require.ErrorIs(t, err, isolation.ErrControl)
		}
	}
	keys, err := f.HomeKeys(t.Context(), f.tenants)
	require.NoError(t, err)
	assert.Len(t, keys, 2)
	assert.NotEqual(t, keys[0], keys[1])
	for i, one := range f.tenants {
		require.NoError(t, f.Administer(t.Context(), one, func(_ context.Context, _ *sql.Conn, home isolation.Home) error {
			assert.Equal(t, keys[i], home.Key)
			return nil
		}))
		require.NoError(t, f.Migrate(t.Context(), one))
		require.NoError(t, f.Deprovision(t.Context(), one))
		_, err := f.where(t.Context(), one)
		require.ErrorIs(t, err, route.ErrUnplaced)
	}
}

// Statements storm while tenants move between homes of all strategies: each sees its own
// tenant's note of one of the two homes, and once Update has returned and the old home is
// drained, none sees that.
func TestMovesUnderLoad(t *testing.T) {
	t.Parallel()
	const tenants, workers = 4, 8
	moves := 40
	if testing.Short() {
		moves = 10
	}
	f := newFour(t, tenants)
	var stop atomic.Bool
	var seen atomic.Int64
	between := make([]atomic.Pointer[[2]string], tenants) // the homes a tenant may be seen in
	for i := range between {
		between[i].Store(&[2]string{f.cells[3].Name, f.cells[3].Name})
	}

	var storm sync.WaitGroup
	for w := range workers {
		storm.Go(func() {
			for n := w; !stop.Load(); n++ {
				i := n % tenants
				may := between[i].Load()
				got, err := f.where(t.Context(), f.tenants[i])
				if !assert.NoError(t, err) {
					return
				}
				id, cell, _ := strings.Cut(got, " ")
				if !assert.Equal(t, string(f.tenants[i].ID), id) {
					return
				}
				if may != between[i].Load() {
					continue // it moved meanwhile: any home of its own will do
				}
				if !assert.Contains(t, may[:], cell) {
					return
				}
				seen.Add(1)
			}
		})
	}
	for m := range moves {
		i := m % tenants
		one := f.tenants[i]
		p, err := f.Placement(t.Context(), one.ID)
		require.NoError(t, err)
		from, to := p.Cell, f.cells[(m/tenants+i)%len(f.cells)].Name
		if from == to {
			continue
		}
		between[i].Store(&[2]string{from, to})
		p.Cell = to
		_, err = f.Update(t.Context(), p)
		require.NoError(t, err)
		between[i].Store(&[2]string{to, to}) // what begins from now on
		got, err := f.where(t.Context(), one)
		require.NoError(t, err)
		require.Equal(t, string(one.ID)+" "+to, got)
		require.NoError(t, f.pool.Drain(t.Context(), one.ID))
	}
	stop.Store(true)
	storm.Wait()
	t.Logf("%d statements, %d moves", seen.Load(), moves)
	assert.Positive(t, seen.Load())
	assert.Zero(t, f.pool.Stats().InUse)
}
