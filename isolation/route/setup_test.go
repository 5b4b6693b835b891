package route_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// home is a strategy whose connections answer every query with its name and the tenant
// that they are confined to. All homes use the same key, and none confines another's
// connections.
type home struct {
	name   string
	system bool

	mu   sync.Mutex
	made map[tenant.ID]int // guarded by mu; times that a tenant was provisioned
	open atomic.Int64
	fail error // of the next Provision or Deprovision
}

func (h *home) Place(context.Context, tenant.Tenant) (isolation.Place, error) {
	return isolation.Place{Key: "key", Connector: connector{h}}, nil
}

func (h *home) Confine(_ context.Context, dc driver.Conn, t tenant.Tenant) error {
	c := dc.(*conn)
	if c.home != h {
		return errors.New("fake: a connection of another strategy")
	}
	c.who = h.name + "/" + string(t.ID)
	return nil
}

func (h *home) PlaceSystem(context.Context) (isolation.Place, error) {
	if !h.system {
		return isolation.Place{}, isolation.ErrNoSystem
	}
	return isolation.Place{Key: "key", Connector: connector{h}}, nil
}

func (h *home) Prepare(context.Context) error                    { return h.failing() }
func (h *home) Migrate(_ context.Context, t tenant.Tenant) error { return h.failing() }

func (h *home) Provision(_ context.Context, t tenant.Tenant) error {
	if err := h.failing(); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.made[t.ID]++
	return nil
}

func (h *home) Deprovision(_ context.Context, t tenant.Tenant) error {
	if err := h.failing(); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.made, t.ID)
	return nil
}

func (h *home) failing() error {
	err := h.fail
	h.fail = nil
	return err
}

type connector struct{ home *home }

func (c connector) Driver() driver.Driver { return nil }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	c.home.open.Add(1)
	return &conn{home: c.home, who: c.home.name + "/system"}, nil
}

type conn struct {
	home *home
	who  string
}

func (c *conn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("fake: no") }
func (c *conn) Begin() (driver.Tx, error)           { return nil, errors.New("fake: no") }
func (c *conn) Close() error                        { c.home.open.Add(-1); return nil }

func (c *conn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) { return tx{}, nil }

func (c *conn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return &rows{who: c.who}, nil
}

type tx struct{}

func (tx) Commit() error   { return nil }
func (tx) Rollback() error { return nil }

type rows struct {
	who  string
	read bool
}

func (r *rows) Columns() []string { return []string{"who"} }
func (r *rows) Close() error      { return nil }

func (r *rows) Next(dest []driver.Value) error {
	if r.read {
		return io.EOF
	}
	r.read = true
	dest[0] = r.who
	return nil
}

// fixture is a router over two cells of eu and one of us.
type fixture struct {
	*route.Router
	store       *route.MemoryStore
	shared, own *home // of eu
	us          *home
	pool        *isolation.Pool
	db          *sql.DB
}

func newHome(name string) *home { return &home{name: name, system: true, made: map[tenant.ID]int{}} }

var byRegionAndPlan = route.ByRegionAndPlan(map[string]map[string]string{
	"eu": {"free": "shared", "pro": "own"},
	"us": {"free": "us", "pro": "us"},
})

func newFixture(t testing.TB, opts ...route.Option) *fixture {
	t.Helper()
	f := &fixture{store: route.NewMemoryStore(), shared: newHome("shared"), own: newHome("own"), us: newHome("us")}
	var err error
	f.Router, err = route.New(f.cells(), byRegionAndPlan, append([]route.Option{route.Record(f.store)}, opts...)...)
	require.NoError(t, err)
	f.pool, err = isolation.New(f.Router)
	require.NoError(t, err)
	f.db = sql.OpenDB(f.pool)
	t.Cleanup(func() { require.NoError(t, f.db.Close()) })
	return f
}

func (f *fixture) cells() []route.Cell {
	return []route.Cell{
		{Name: "shared", Region: "eu", Strategy: f.shared},
		{Name: "own", Region: "eu", Strategy: f.own},
		{Name: "us", Region: "us", Strategy: f.us},
	}
}

var (
	acme   = tenant.Tenant{ID: "acme", Region: "eu", Plan: "free"}
	globex = tenant.Tenant{ID: "globex", Region: "us", Plan: "pro"}
)

// who asks as t where its statement runs.
func (f *fixture) who(ctx context.Context, t tenant.Tenant) (string, error) {
	return whoOn(tenant.NewContext(ctx, t), f.db)
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func whoOn(ctx context.Context, q querier) (string, error) {
	var name string
	err := q.QueryRowContext(ctx, "SELECT who").Scan(&name)
	return name, err
}

// move updates t's placement to another cell.
func (f *fixture) move(t testing.TB, id tenant.ID, cell string) route.Placement {
	t.Helper()
	p, err := f.Placement(t.Context(), id)
	require.NoError(t, err)
	p.Cell = cell
	p, err = f.Update(t.Context(), p)
	require.NoError(t, err)
	return p
}
