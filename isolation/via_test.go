package isolation_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// errDialect is what a picky strategy answers to a statement of another dialect.
var errDialect = errors.New("fake: another dialect")

// picky is a strategy with a dialect of its own, whose connections tell apart whose
// they are.
type picky struct {
	strategy
	name    string // confined connections answer "name/tenant"
	foreign string // the query that it refuses
	most    int
}

func (s *picky) Confine(ctx context.Context, conn driver.Conn, t tenant.Tenant) error {
	err := s.strategy.Confine(ctx, conn, t)
	conn.(*fakeConn).who = s.name + "/" + string(t.ID)
	return err
}

func (s *picky) CheckStatement(query string, _ bool) error {
	if query == s.foreign {
		return errDialect
	}
	return nil
}

func (s *picky) TenantsPerConn() int { return s.most }

// switchboard sends each tenant to one of several strategies, and moves tenants.
type switchboard struct {
	mu     sync.Mutex
	of     map[tenant.ID]isolation.Strategy
	system isolation.Strategy
	placed func() // called by each Place, once it knows its answer
	moved  map[int]func(tenant.ID)
}

func (s *switchboard) Place(ctx context.Context, t tenant.Tenant) (isolation.Place, error) {
	s.mu.Lock()
	via, placed := s.of[t.ID], s.placed
	s.placed = nil
	s.mu.Unlock()
	place, err := via.Place(ctx, t)
	place.Via = via
	if placed != nil {
		placed()
	}
	return place, err
}

func (s *switchboard) PlaceSystem(ctx context.Context) (isolation.Place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	place, err := s.system.(isolation.SystemPlacer).PlaceSystem(ctx)
	place.Via = s.system
	return place, err
}

func (s *switchboard) Confine(context.Context, driver.Conn, tenant.Tenant) error {
	return errors.New("fake: the switchboard confines nothing")
}

// CheckStatement leaves the check to the strategies behind.
func (s *switchboard) CheckStatement(string, bool) error { return nil }

func (s *switchboard) OnMove(moved func(tenant.ID)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.moved)
	s.moved[n] = moved
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.moved, n)
	}
}

func (s *switchboard) move(id tenant.ID, to isolation.Strategy) {
	s.mu.Lock()
	s.of[id] = to
	var hooks []func(tenant.ID)
	for _, h := range s.moved {
		hooks = append(hooks, h)
	}
	s.mu.Unlock()
	for _, h := range hooks {
		h(id)
	}
}

// newSwitchboard has two strategies with the same keys, which refuse each other's
// dialect.
func newSwitchboard() (s *switchboard, left, right *picky) {
	left = &picky{strategy: strategy{server: &server{}, system: true}, name: "left", foreign: "right only"}
	right = &picky{strategy: strategy{server: &server{}, system: true}, name: "right", foreign: "left only"}
	return &switchboard{
		of:     map[tenant.ID]isolation.Strategy{"a": left, "b": right, "c": left},
		system: left,
		moved:  map[int]func(tenant.ID){},
	}, left, right
}

func TestViaKeepsStrategiesApart(t *testing.T) {
	s, left, right := newSwitchboard()
	db, _ := open(t, s, isolation.MaxConns(2))
	for range 3 {
		for id, want := range map[tenant.ID]string{"a": "left/a", "b": "right/b", "c": "left/c"} {
			name, err := who(as(t.Context(), id), db)
			require.NoError(t, err)
			assert.Equal(t, want, name)
		}
	}
	assert.Equal(t, 1, left.server.opened, "a and c share a connection")
	assert.Equal(t, 1, right.server.opened, "which b of the same key has no part in")
}

func TestViaChecksStatements(t *testing.T) {
	s, left, right := newSwitchboard()
	db, pool := open(t, s)
	a, b := as(t.Context(), "a"), as(t.Context(), "b")
	_, err := db.ExecContext(a, "right only")
	require.ErrorIs(t, err, errDialect)
	_, err = db.PrepareContext(b, "left only") //nolint:sqlclosecheck // it fails, so there is nothing to close
	require.ErrorIs(t, err, errDialect)
	assert.Zero(t, left.server.opened+right.server.opened, "before a connection is taken")
	assert.Zero(t, pool.Stats().Tenants["a"])

	_, err = db.ExecContext(a, "left only")
	require.NoError(t, err)
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	_, err = conn.ExecContext(b, "right only")
	require.NoError(t, err)
	_, err = conn.ExecContext(b, "left only") // the connection is there already
	require.ErrorIs(t, err, errDialect)
	require.NoError(t, conn.Close())
	tx, err := db.BeginTx(b, nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), "left only")
	require.ErrorIs(t, err, errDialect)
	require.NoError(t, tx.Rollback())
}

// TestViaOfThePlaceConfines moves a tenant when its statement knows its place and has
// no connection yet.
func TestViaOfThePlaceConfines(t *testing.T) {
	s, left, right := newSwitchboard()
	db, _ := open(t, s)
	s.placed = func() { s.of["a"] = right } // without telling the pool
	name, err := who(as(t.Context(), "a"), db)
	require.NoError(t, err)
	assert.Equal(t, "left/a", name, "the strategy that opened it confines it")

	s.move("a", left)
	s.placed = func() { s.move("a", right) }
	name, err = who(as(t.Context(), "a"), db)
	require.NoError(t, err)
	assert.Equal(t, "right/a", name, "a statement that was told nothing yet begins at the new place")
}

func TestMoveLetsWorkFinish(t *testing.T) {
	s, left, right := newSwitchboard()
	db, _ := open(t, s)
	a := as(t.Context(), "a")
	tx, err := db.BeginTx(a, nil)
	require.NoError(t, err)
	conn, err := db.Conn(a)
	require.NoError(t, err)
	name, err := who(a, conn)
	require.NoError(t, err)
	require.Equal(t, "left/a", name)

	s.move("a", right)
	name, err = who(a, tx)
	require.NoError(t, err)
	assert.Equal(t, "left/a", name, "a transaction stays where it began")
	name, err = who(a, conn)
	require.NoError(t, err)
	assert.Equal(t, "right/a", name, "a held connection moves with the next statement")
	require.NoError(t, tx.Commit())
	assert.Zero(t, left.server.open)

	s.of["a"] = left // and nobody tells the pool
	name, err = who(a, conn)
	require.NoError(t, err)
	assert.Equal(t, "left/a", name)
	require.NoError(t, conn.Close())
}

func TestMoveReachesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, right := newSwitchboard()
		db, _ := open(t, s, isolation.MaxConns(1))
		hold, err := db.BeginTx(as(t.Context(), "c"), nil)
		require.NoError(t, err)
		names := make(chan string, 2)
		for range 2 {
			go func() {
				name, err := who(as(t.Context(), "a"), db)
				assert.NoError(t, err)
				names <- name
			}()
		}
		synctest.Wait()
		s.move("a", right)
		synctest.Wait()
		require.NoError(t, hold.Commit())
		assert.Equal(t, "right/a", <-names)
		assert.Equal(t, "right/a", <-names)
		require.NoError(t, db.Close())
	})
}

// Whoever gives up while being sent to ask again costs nothing.
func TestMoveReachesThoseWhoGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, left, right := newSwitchboard()
		db, pool := open(t, s, isolation.MaxConns(1))
		hold, err := db.BeginTx(as(t.Context(), "c"), nil)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(as(t.Context(), "a"))
		done := make(chan error)
		go func() { _, err := who(ctx, db); done <- err }()
		synctest.Wait()
		go cancel()
		go s.move("a", right)
		require.ErrorIs(t, <-done, context.Canceled)
		require.NoError(t, hold.Commit())
		name, err := who(as(t.Context(), "c"), db)
		require.NoError(t, err)
		assert.Equal(t, "left/c", name)
		assert.Equal(t, 1, left.server.opened)
		assert.Zero(t, pool.Stats().Waiting)
		require.NoError(t, db.Close())
	})
}

func TestSystemOfSeveralPlaces(t *testing.T) {
	s, left, right := newSwitchboard()
	db, _ := open(t, s)
	system := tenant.System(t.Context(), "test")
	conn, err := db.Conn(system)
	require.NoError(t, err)
	require.NoError(t, conn.PingContext(system))
	s.system = right
	require.NoError(t, conn.PingContext(system))
	assert.Equal(t, 1, left.server.opened)
	assert.Equal(t, 1, right.server.opened, "the context said otherwise")
	require.NoError(t, conn.Close())

	tx, err := db.BeginTx(system, nil)
	require.NoError(t, err)
	s.system = left
	_, err = tx.ExecContext(system, "who")
	require.ErrorIs(t, err, isolation.ErrTenantChanged)
	s.system = right
	_, err = tx.ExecContext(system, "who")
	require.NoError(t, err)
	require.NoError(t, tx.Rollback())
}

func TestViaRecycles(t *testing.T) {
	for _, tt := range []struct {
		name   string
		opts   []isolation.Option
		opened int
	}{
		{name: "by the strategy of the place", opened: 3},
		{name: "by the option", opts: []isolation.Option{isolation.MaxTenantsPerConn(0)}, opened: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, left, _ := newSwitchboard()
			left.most = 1
			db, _ := open(t, s, append(tt.opts, isolation.MaxConns(1))...)
			for _, id := range []tenant.ID{"a", "c", "a"} {
				_, err := who(as(t.Context(), id), db)
				require.NoError(t, err)
			}
			assert.Equal(t, tt.opened, left.server.opened)
		})
	}
}

func TestCloseEndsFollowing(t *testing.T) {
	s, _, _ := newSwitchboard()
	db, _ := open(t, s)
	require.Len(t, s.moved, 1)
	require.NoError(t, db.Close())
	assert.Empty(t, s.moved)
}

// incomparable cannot be told from another.
type incomparable struct {
	*picky
	_ []int
}

func TestViaMustBeComparable(t *testing.T) {
	s, left, _ := newSwitchboard()
	s.of["a"] = incomparable{picky: left}
	db, _ := open(t, s)
	_, err := who(as(t.Context(), "a"), db)
	require.ErrorContains(t, err, "comparable")
}

func TestDrainWaitsForWorkBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		db, pool := open(t, &strategy{server: s, apart: true})
		a := as(t.Context(), "a")
		tx, err := db.BeginTx(a, nil)
		require.NoError(t, err)
		other, err := db.BeginTx(as(t.Context(), "b"), nil)
		require.NoError(t, err)

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, pool.Drain(ended, "a"), context.Canceled)
		done := make(chan error, 2)
		for range 2 {
			go func() { done <- pool.Drain(t.Context(), "a") }()
		}
		synctest.Wait()
		require.Empty(t, done)
		_, err = who(a, db) // new work goes on
		require.NoError(t, err)
		require.NoError(t, tx.Commit())
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		assert.Equal(t, 2, s.open, "b's, and a's new one")
		require.NoError(t, other.Commit())
		require.NoError(t, pool.Drain(t.Context(), "nobody"))
		require.NoError(t, db.Close())
	})
}
