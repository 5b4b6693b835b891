package route_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestUnplacedIsRefused(t *testing.T) {
	f := newFixture(t)
	_, err := f.who(t.Context(), acme)
	require.ErrorIs(t, err, route.ErrUnplaced)
	require.ErrorIs(t, err, isolation.ErrNotProvisioned)
	assert.Zero(t, f.shared.open.Load()+f.own.open.Load()+f.us.open.Load(), "before anything is sent")
	require.ErrorIs(t, f.Migrate(t.Context(), acme), route.ErrUnplaced)
	require.NoError(t, f.Deprovision(t.Context(), acme))
}

func TestProvisionRecordsTheRulesChoice(t *testing.T) {
	f := newFixture(t)
	for _, c := range []tenant.Tenant{acme, globex} {
		require.NoError(t, f.Provision(t.Context(), c))
		require.NoError(t, f.Provision(t.Context(), c))
	}
	who, err := f.who(t.Context(), acme)
	require.NoError(t, err)
	assert.Equal(t, "shared/acme", who)
	who, err = f.who(t.Context(), globex)
	require.NoError(t, err)
	assert.Equal(t, "us/globex", who)
	p, err := f.Placement(t.Context(), "acme")
	require.NoError(t, err)
	assert.Equal(t, route.Placement{Tenant: "acme", Cell: "shared", Region: "eu", State: route.Placed, Version: 1}, p)

	upgraded := acme
	upgraded.Plan = "pro"
	who, err = f.who(t.Context(), upgraded)
	require.NoError(t, err)
	assert.Equal(t, "shared/acme", who, "a plan moves nobody away from their data")
	require.NoError(t, f.Provision(t.Context(), upgraded))
	assert.Empty(t, f.own.made)
}

func TestProvisionGoesOnWhereItFailed(t *testing.T) {
	f := newFixture(t)
	f.shared.fail = errors.New("disk full")
	require.ErrorContains(t, f.Provision(t.Context(), acme), "cell shared: disk full")
	upgraded := acme
	upgraded.Plan = "pro"
	require.NoError(t, f.Provision(t.Context(), upgraded))
	assert.Equal(t, map[tenant.ID]int{"acme": 1}, f.shared.made)
	assert.Empty(t, f.own.made)

	unknown := tenant.Tenant{ID: "initech", Region: "eu", Plan: "gold"}
	require.ErrorIs(t, f.Provision(t.Context(), unknown), route.ErrUnplaced)
	unknown.Region = "mars"
	require.ErrorIs(t, f.Provision(t.Context(), unknown), route.ErrUnplaced)
	_, err := f.Placement(t.Context(), "initech")
	require.ErrorIs(t, err, route.ErrUnplaced)
}

func TestRegionIsPinned(t *testing.T) {
	f := newFixture(t)
	require.NoError(t, f.Provision(t.Context(), acme))
	p, err := f.Placement(t.Context(), "acme")
	require.NoError(t, err)

	abroad := p
	abroad.Cell = "us"
	_, err = f.Update(t.Context(), abroad)
	var outside *route.RegionError
	require.ErrorAs(t, err, &outside)
	assert.Equal(t, route.RegionError{Tenant: "acme", Want: "eu", Cell: "us", Region: "us"}, *outside)
	moving := p
	moving.State, moving.Other = route.Moving, "us"
	_, err = f.Update(t.Context(), moving)
	require.ErrorIs(t, err, route.ErrRegion)
	abroad.Region = "us"
	_, err = f.Update(t.Context(), abroad)
	require.ErrorIs(t, err, route.ErrRegion)
	who, err := f.who(t.Context(), acme)
	require.NoError(t, err)
	assert.Equal(t, "shared/acme", who)

	// Whoever writes into the store by hand is not believed either.
	p.Cell = "us"
	p, err = f.store.Update(t.Context(), p)
	require.NoError(t, err)
	f.forget(t)
	_, err = f.who(t.Context(), acme)
	require.ErrorIs(t, err, route.ErrRegion)
	require.ErrorIs(t, f.Migrate(t.Context(), acme), route.ErrRegion)
	require.ErrorIs(t, f.Provision(t.Context(), acme), route.ErrRegion)

	// Nor is a pin that was lifted enough while the tenant's own record says eu.
	p.Region = ""
	p, err = f.Update(t.Context(), p)
	require.NoError(t, err)
	_, err = f.who(t.Context(), acme)
	require.ErrorIs(t, err, route.ErrRegion)
	p.Region = "us"
	_, err = f.Update(t.Context(), p)
	require.NoError(t, err)
	emigrated := acme
	emigrated.Region = "us"
	who, err = f.who(t.Context(), emigrated)
	require.NoError(t, err)
	assert.Equal(t, "us/acme", who, "both steps and the record say so")
	assert.Zero(t, f.shared.open.Load(), "the old place is drained")
}

// forget has the router read all placements again, as after a gap in the news.
func (f *fixture) forget(t testing.TB) {
	t.Helper()
	require.ErrorIs(t, f.Follow(t.Context(), gap{}), errGap)
}

var errGap = errors.New("fake: gap")

// gap is a watcher that may have missed something.
type gap struct{}

func (gap) Watch(_ context.Context, changed func(tenant.Change)) error {
	changed(tenant.Change{})
	return errGap
}

func TestUnknownCellIsRefused(t *testing.T) {
	f := newFixture(t)
	_, err := f.store.Create(t.Context(), route.Placement{Tenant: "acme", Cell: "closed", State: route.Placed})
	require.NoError(t, err)
	_, err = f.who(t.Context(), acme)
	require.ErrorIs(t, err, route.ErrNoCell)
	_, err = f.Create(t.Context(), route.Placement{Tenant: "initech", Cell: "closed", State: route.Placed})
	require.ErrorIs(t, err, route.ErrNoCell)
}

func TestMoveTakesEffectAtOnce(t *testing.T) {
	f := newFixture(t)
	require.NoError(t, f.Provision(t.Context(), acme))
	ctx := tenant.NewContext(t.Context(), acme)
	begun, err := f.db.BeginTx(ctx, nil)
	require.NoError(t, err)
	held, err := f.db.Conn(ctx)
	require.NoError(t, err)
	_, err = whoOn(ctx, held)
	require.NoError(t, err)
	_, err = f.who(t.Context(), acme)
	require.NoError(t, err)
	require.EqualValues(t, 3, f.shared.open.Load())

	f.move(t, "acme", "own")
	assert.EqualValues(t, 2, f.shared.open.Load(), "idle connections are closed")
	who, err := f.who(t.Context(), acme)
	require.NoError(t, err)
	assert.Equal(t, "own/acme", who)
	who, err = whoOn(ctx, held)
	require.NoError(t, err)
	assert.Equal(t, "own/acme", who)
	who, err = whoOn(ctx, begun)
	require.NoError(t, err)
	assert.Equal(t, "shared/acme", who, "a transaction that had begun is let finish")
	require.NoError(t, held.Close())
	drained := make(chan error, 1)
	go func() { drained <- f.pool.Drain(t.Context(), "acme") }()
	require.NoError(t, begun.Commit())
	require.NoError(t, <-drained)
	assert.Zero(t, f.shared.open.Load())
}

// A router that hears of nothing serves the old place for MaxAge at most, also on a
// connection that is held all the while.
func TestMaxAgeBoundsStaleness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, route.MaxAge(time.Minute))
		require.NoError(t, f.Provision(t.Context(), acme))
		ctx := tenant.NewContext(t.Context(), acme)
		held, err := f.db.Conn(ctx)
		require.NoError(t, err)
		_, err = whoOn(ctx, held)
		require.NoError(t, err)

		p, err := f.store.Find(t.Context(), "acme")
		require.NoError(t, err)
		p.Cell = "own"
		_, err = f.store.Update(t.Context(), p) // another process's
		require.NoError(t, err)
		time.Sleep(time.Minute - 1)
		who, err := whoOn(ctx, held)
		require.NoError(t, err)
		assert.Equal(t, "shared/acme", who)
		time.Sleep(time.Nanosecond)
		who, err = whoOn(ctx, held)
		require.NoError(t, err)
		assert.Equal(t, "own/acme", who)
		require.NoError(t, held.Close())
		assert.Zero(t, f.shared.open.Load(), "and the old place is drained")
	})
}

func TestFollowHearsOtherProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, route.MaxAge(time.Hour))
		require.NoError(t, f.Provision(t.Context(), acme))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.Follow(ctx, f.store) }()
		synctest.Wait()
		who, err := f.who(t.Context(), acme)
		require.NoError(t, err)
		require.Equal(t, "shared/acme", who)

		p, err := f.store.Find(t.Context(), "acme")
		require.NoError(t, err)
		p.Cell = "own"
		p, err = f.store.Update(t.Context(), p)
		require.NoError(t, err)
		synctest.Wait()
		assert.Zero(t, f.shared.open.Load(), "drained before anybody asks")
		who, err = f.who(t.Context(), acme)
		require.NoError(t, err)
		assert.Equal(t, "own/acme", who)
		require.NoError(t, f.store.Delete(t.Context(), "acme", p.Version))
		synctest.Wait()
		_, err = f.who(t.Context(), acme)
		require.ErrorIs(t, err, route.ErrUnplaced)
		stop()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

// failing is a store that can be told to fail, to panic and to wait.
type failing struct {
	route.Store
	find func() error
}

func (s *failing) Find(ctx context.Context, id tenant.ID) (route.Placement, error) {
	if s.find != nil {
		if err := s.find(); err != nil {
			return route.Placement{}, err
		}
	}
	return s.Store.Find(ctx, id)
}

func TestStoreThatFailsRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &failing{Store: route.NewMemoryStore()}
		f := newFixture(t, route.Record(store), route.MaxAge(time.Minute))
		require.NoError(t, f.Provision(t.Context(), acme))
		_, err := f.who(t.Context(), acme)
		require.NoError(t, err)
		down := errors.New("down")
		store.find = func() error { return down }
		_, err = f.who(t.Context(), acme)
		require.NoError(t, err, "within its age")
		time.Sleep(time.Minute)
		_, err = f.who(t.Context(), acme)
		require.ErrorIs(t, err, down)
		require.NotErrorIs(t, err, isolation.ErrNotProvisioned)
		store.find = func() error { panic("nil pointer") }
		_, err = f.who(t.Context(), acme)
		require.ErrorContains(t, err, "panicked")
		store.find = nil
		_, err = f.who(t.Context(), acme)
		require.NoError(t, err)
	})
}

// Who asks after a change does not get what was read before it.
func TestReadsFromBeforeAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read, let := make(chan struct{}), make(chan struct{})
		store := &slow{Store: route.NewMemoryStore(), read: read, let: let}
		f := newFixture(t, route.Record(store))
		require.NoError(t, f.Provision(t.Context(), acme))
		store.slow.Store(true)
		early := make(chan string, 1)
		go func() {
			who, err := f.who(t.Context(), acme)
			assert.NoError(t, err)
			early <- who
		}()
		<-read // it has read the old placement
		store.slow.Store(false)
		f.move(t, "acme", "own")
		who, err := f.who(t.Context(), acme)
		require.NoError(t, err)
		assert.Equal(t, "own/acme", who)
		close(let)
		assert.Equal(t, "own/acme", <-early, "and who asked before has sent nothing yet")
		who, err = f.who(t.Context(), acme)
		require.NoError(t, err)
		assert.Equal(t, "own/acme", who, "nor is it remembered")
	})
}

func TestDeprovisionRemovesEveryHome(t *testing.T) {
	f := newFixture(t)
	require.NoError(t, f.Provision(t.Context(), acme))
	p, err := f.Placement(t.Context(), "acme")
	require.NoError(t, err)
	p.State, p.Other = route.Moving, "own"
	_, err = f.Update(t.Context(), p)
	require.NoError(t, err)
	require.NoError(t, f.own.Provision(t.Context(), acme))
	require.NoError(t, f.Provision(t.Context(), globex))

	f.own.fail = errors.New("killed")
	require.ErrorContains(t, f.Deprovision(t.Context(), acme), "killed")
	_, err = f.who(t.Context(), acme)
	require.ErrorIs(t, err, route.ErrUnplaced, "a tenant that is half removed is not served")
	require.ErrorIs(t, f.Provision(t.Context(), acme), route.ErrUnplaced)
	require.NoError(t, f.Deprovision(t.Context(), acme))
	assert.Empty(t, f.shared.made)
	assert.Empty(t, f.own.made)
	assert.Len(t, f.us.made, 1)
	_, err = f.Placement(t.Context(), "acme")
	require.ErrorIs(t, err, route.ErrUnplaced)
	require.NoError(t, f.Provision(t.Context(), acme))
}

func TestPrepareGoesOn(t *testing.T) {
	f := newFixture(t)
	f.shared.fail = errors.New("down")
	f.us.fail = errors.New("out of reach")
	err := f.Prepare(t.Context())
	require.ErrorContains(t, err, "cell shared: down")
	require.ErrorContains(t, err, "cell us: out of reach")
	require.NoError(t, f.Prepare(t.Context()))
}

func TestSystemCells(t *testing.T) {
	f := newFixture(t)
	system := tenant.System(t.Context(), "test")
	_, err := whoOn(system, f.db)
	require.ErrorIs(t, err, isolation.ErrNoSystem)
	who, err := whoOn(route.InCell(system, "us"), f.db)
	require.NoError(t, err)
	assert.Equal(t, "us/system", who)
	_, err = whoOn(route.InCell(system, "nowhere"), f.db)
	require.ErrorIs(t, err, route.ErrNoCell)
	f.own.system = false
	_, err = whoOn(route.InCell(system, "own"), f.db)
	require.ErrorIs(t, err, isolation.ErrNoSystem)

	conn, err := f.db.Conn(system)
	require.NoError(t, err)
	for _, cell := range []string{"us", "shared", "us"} {
		who, err := whoOn(route.InCell(system, cell), conn)
		require.NoError(t, err)
		assert.Equal(t, cell+"/system", who)
	}
	require.NoError(t, conn.Close())
	tx, err := f.db.BeginTx(route.InCell(system, "us"), nil)
	require.NoError(t, err)
	_, err = whoOn(route.InCell(system, "shared"), tx)
	require.ErrorIs(t, err, isolation.ErrTenantChanged)
	require.NoError(t, tx.Rollback())

	r, err := route.New(f.cells(), byRegionAndPlan, route.SystemCell("shared"))
	require.NoError(t, err)
	place, err := r.PlaceSystem(system)
	require.NoError(t, err)
	assert.Same(t, f.shared, place.Via)
}

// Without Record the rule decides for each statement.
func TestRuleAlone(t *testing.T) {
	f := newFixture(t)
	r, err := route.New(f.cells(), route.ByPlan(map[string]string{"free": "shared", "pro": "own"}))
	require.NoError(t, err)
	moved := make(chan tenant.ID, 10)
	stop := r.OnMove(func(id tenant.ID) { moved <- id })
	defer stop()
	of := func(tt tenant.Tenant) any {
		place, err := r.Place(t.Context(), tt)
		require.NoError(t, err)
		return place.Via
	}
	assert.Same(t, f.shared, of(acme))
	assert.Same(t, f.shared, of(acme))
	require.Empty(t, moved)
	upgraded := acme
	upgraded.Plan = "pro"
	assert.Same(t, f.own, of(upgraded))
	assert.Equal(t, tenant.ID("acme"), <-moved)
	_, err = r.Place(t.Context(), tenant.Tenant{ID: "initech", Plan: "gold"})
	require.ErrorIs(t, err, route.ErrUnplaced)
	_, err = r.Place(t.Context(), globex) // its plan says own, which is of eu
	require.ErrorIs(t, err, route.ErrRegion)
	_, err = r.Placement(t.Context(), "acme")
	require.Error(t, err)
	require.Error(t, r.Follow(t.Context(), f.store))

	r, err = route.New(f.cells(), route.ByRegion(map[string]string{"eu": "shared", "us": "us"}))
	require.NoError(t, err)
	assert.Same(t, f.us, of(globex))
	r, err = route.New(f.cells(), route.RuleFunc(func(context.Context, tenant.Tenant) (string, error) { return "nowhere", nil }))
	require.NoError(t, err)
	_, err = r.Place(t.Context(), acme)
	require.ErrorIs(t, err, route.ErrNoCell)
}

func TestMalformedIDsAreRefused(t *testing.T) {
	f := newFixture(t)
	for _, id := range []tenant.ID{"", "No", "a/b", "../x"} {
		bad := tenant.Tenant{ID: id, Region: "eu", Plan: "free"}
		for what, err := range map[string]error{
			"provision":   f.Provision(t.Context(), bad),
			"migrate":     f.Migrate(t.Context(), bad),
			"deprovision": f.Deprovision(t.Context(), bad),
		} {
			assert.ErrorIs(t, err, tenant.ErrInvalidID, what)
		}
		_, err := f.Place(t.Context(), bad)
		assert.ErrorIs(t, err, tenant.ErrInvalidID)
	}
}

func TestRouterConfinesNothingItself(t *testing.T) {
	f := newFixture(t)
	require.ErrorIs(t, f.Confine(t.Context(), &conn{home: f.shared}, acme), isolation.ErrUnsafe)
}

func TestNewRefuses(t *testing.T) {
	a, b := newHome("a"), newHome("b")
	rule := route.ByPlan(nil)
	for name, tt := range map[string]struct {
		cells []route.Cell
		rule  route.Rule
		opts  []route.Option
	}{
		"no cells":              {rule: rule},
		"no rule":               {cells: []route.Cell{{Name: "a", Strategy: a}}},
		"no name":               {cells: []route.Cell{{Strategy: a}}, rule: rule},
		"a name in capitals":    {cells: []route.Cell{{Name: "A", Strategy: a}}, rule: rule},
		"no strategy":           {cells: []route.Cell{{Name: "a"}}, rule: rule},
		"a name twice":          {cells: []route.Cell{{Name: "a", Strategy: a}, {Name: "a", Strategy: b}}, rule: rule},
		"a strategy twice":      {cells: []route.Cell{{Name: "a", Strategy: a}, {Name: "b", Strategy: a}}, rule: rule},
		"a region of two lines": {cells: []route.Cell{{Name: "a", Region: "e\nu", Strategy: a}}, rule: rule},
		"no store":              {cells: []route.Cell{{Name: "a", Strategy: a}}, opts: []route.Option{route.Record(nil)}},
		"no age":                {cells: []route.Cell{{Name: "a", Strategy: a}}, rule: rule, opts: []route.Option{route.MaxAge(0)}},
		"no room":               {cells: []route.Cell{{Name: "a", Strategy: a}}, rule: rule, opts: []route.Option{route.CacheSize(0)}},
		"no clock":              {cells: []route.Cell{{Name: "a", Strategy: a}}, rule: rule, opts: []route.Option{route.Clock(nil)}},
		"an unknown system":     {cells: []route.Cell{{Name: "a", Strategy: a}}, rule: rule, opts: []route.Option{route.SystemCell("b")}},
	} {
		_, err := route.New(tt.cells, tt.rule, tt.opts...)
		assert.Error(t, err, name)
	}
}
