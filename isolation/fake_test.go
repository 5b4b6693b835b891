package isolation_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// server is a database whose connections answer every query with the tenant that
// they are confined to. It notices two users of one connection.
type server struct {
	mu       sync.Mutex
	open     int
	most     int
	opened   int
	confined int
	prepared int
	closed   int // prepared statements

	connectErr error // of the next Connect
	confineErr error // of the next Confine
	stale      error // of the next run of a prepared statement
}

func (s *server) take(err *error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := *err
	*err = nil
	return e
}

// fakeConn understands "who", which returns its tenant, "limits", which returns its
// limits, an SQLSTATE, which it fails with, "wait", which runs until
// its context ends or the connection is aborted, "fail", and "die".
type fakeConn struct {
	server  *server
	who     string
	limits  isolation.Limits
	using   atomic.Bool
	inTx    bool
	dead    atomic.Bool
	aborted chan struct{}
	once    sync.Once
}

type connector struct{ server *server }

func (c connector) Driver() driver.Driver { return nil }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	if err := c.server.take(&c.server.connectErr); err != nil {
		return nil, err
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.open++
	c.server.opened++
	c.server.most = max(c.server.most, c.server.open)
	return &fakeConn{server: c.server, aborted: make(chan struct{})}, nil
}

// enter notices a second user.
func (c *fakeConn) enter() func() {
	if !c.using.CompareAndSwap(false, true) {
		panic("two users of one connection")
	}
	return func() { c.using.Store(false) }
}

func (c *fakeConn) run(ctx context.Context, query string, args []driver.NamedValue) error {
	if c.dead.Load() {
		return driver.ErrBadConn
	}
	switch query {
	case "wait":
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.aborted:
			return errors.New("fake: aborted")
		}
	case "fail":
		return errFail
	case "57014", "55P03", "25P03":
		return errState(query)
	case "die":
		c.dead.Store(true)
		return errLost
	default:
		for _, arg := range args {
			if !driver.IsValue(arg.Value) {
				return fmt.Errorf("fake: argument %d is a %T", arg.Ordinal, arg.Value)
			}
		}
		return nil
	}
}

// errStale is PostgreSQL's answer to a prepared statement whose columns changed.
type errStale struct{}

func (errStale) Error() string    { return "fake: cached plan must not change result type" }
func (errStale) SQLState() string { return "0A000" }

// errState is an answer of PostgreSQL's.
type errState string

func (e errState) Error() string    { return "fake: " + string(e) }
func (e errState) SQLState() string { return string(e) }

var (
	errFail = errors.New("fake: statement failed")
	errLost = errors.New("fake: connection lost")
)

func (c *fakeConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	defer c.enter()()
	if err := c.run(ctx, query, args); err != nil {
		return nil, err
	}
	if query == "limits" {
		return &fakeRows{who: fmt.Sprintf("%+v", c.limits)}, nil
	}
	return &fakeRows{who: c.who}, nil
}

func (c *fakeConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	defer c.enter()()
	return driver.RowsAffected(1), c.run(ctx, query, args)
}

func (c *fakeConn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	defer c.enter()()
	if err := c.run(ctx, "begin", nil); err != nil {
		return nil, err
	}
	c.inTx = true
	return fakeTx{c}, nil
}

func (c *fakeConn) PrepareContext(_ context.Context, query string) (driver.Stmt, error) {
	defer c.enter()()
	if c.dead.Load() {
		return nil, driver.ErrBadConn
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.prepared++
	if strings.HasPrefix(query, "COPY") {
		return fakeCopy{c}, nil
	}
	return fakeStmt{fakeCopy{c}, query}, nil
}

func (c *fakeConn) Prepare(string) (driver.Stmt, error) { panic("no context") }
func (c *fakeConn) Begin() (driver.Tx, error)           { panic("no context") }
func (c *fakeConn) IsValid() bool                       { return !c.dead.Load() && !c.inTx }
func (c *fakeConn) Ping(ctx context.Context) error      { return c.run(ctx, "ping", nil) }

func (c *fakeConn) Close() error {
	defer c.enter()()
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.open--
	return nil
}

func (c *fakeConn) Abort() error {
	c.once.Do(func() { close(c.aborted) })
	c.dead.Store(true)
	return nil
}

type fakeTx struct{ conn *fakeConn }

func (t fakeTx) Commit() error   { t.conn.inTx = false; return nil }
func (t fakeTx) Rollback() error { t.conn.inTx = false; return nil }

// fakeCopy has begun to run, as lib/pq's COPY has.
type fakeCopy struct{ conn *fakeConn }

func (s fakeCopy) NumInput() int                              { return -1 }
func (s fakeCopy) Exec([]driver.Value) (driver.Result, error) { return driver.RowsAffected(1), nil }
func (s fakeCopy) Query([]driver.Value) (driver.Rows, error)  { return nil, errFail }

func (s fakeCopy) Close() error {
	s.conn.server.mu.Lock()
	defer s.conn.server.mu.Unlock()
	s.conn.server.closed++
	return nil
}

// fakeStmt is an ordinary statement. Like some drivers', it does not count its
// parameters.
type fakeStmt struct {
	fakeCopy
	query string
}

func (s fakeStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := s.conn.server.take(&s.conn.server.stale); err != nil {
		return nil, err
	}
	return s.conn.QueryContext(ctx, s.query, args)
}

type fakeRows struct {
	who  string
	read bool
}

func (r *fakeRows) Columns() []string { return []string{"who"} }
func (r *fakeRows) Close() error      { return nil }

func (r *fakeRows) Next(dest []driver.Value) error {
	if r.read {
		return io.EOF
	}
	r.read = true
	dest[0] = r.who
	return nil
}

// strategy keeps all tenants at one place, or each at its own.
type strategy struct {
	server *server
	apart  bool
	system bool
}

func (s *strategy) Place(_ context.Context, t tenant.Tenant) (isolation.Place, error) {
	if t.ID == "homeless" {
		return isolation.Place{}, isolation.ErrNotProvisioned
	}
	key := "shared"
	if s.apart {
		key = string(t.ID)
	}
	return isolation.Place{Key: key, Connector: connector{s.server}}, nil
}

func (s *strategy) Confine(_ context.Context, conn driver.Conn, t tenant.Tenant) error {
	c := conn.(*fakeConn)
	defer c.enter()()
	if c.dead.Load() {
		return driver.ErrBadConn
	}
	if err := s.server.take(&s.server.confineErr); err != nil {
		return err
	}
	s.server.mu.Lock()
	s.server.confined++
	s.server.mu.Unlock()
	c.who = string(t.ID)
	return nil
}

func (s *strategy) PlaceSystem(context.Context) (isolation.Place, error) {
	if !s.system {
		return isolation.Place{}, isolation.ErrNoSystem
	}
	return isolation.Place{Key: "shared", Connector: connector{s.server}}, nil
}

// limiter is a strategy that limits sessions.
type limiter struct {
	*strategy
	cannot error
}

func (l *limiter) CanLimit() error { return l.cannot }

func (l *limiter) ConfineWithin(ctx context.Context, conn driver.Conn, t tenant.Tenant, limits isolation.Limits) error {
	conn.(*fakeConn).limits = limits
	return l.Confine(ctx, conn, t)
}

// open returns a database over a pool of s.
func open(t testing.TB, s isolation.Strategy, opts ...isolation.Option) (*sql.DB, *isolation.Pool) {
	t.Helper()
	pool, err := isolation.New(s, opts...)
	require.NoError(t, err)
	db := sql.OpenDB(pool)
	t.Cleanup(func() { _ = db.Close() })
	return db, pool
}

func as(ctx context.Context, id tenant.ID) context.Context {
	return tenant.NewContext(ctx, tenant.Tenant{ID: id})
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func who(ctx context.Context, q querier) (string, error) {
	var name string
	err := q.QueryRowContext(ctx, "who").Scan(&name)
	return name, err
}
