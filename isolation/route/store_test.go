package route_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/isolation/route/routetest"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestMemoryStore(t *testing.T) {
	routetest.TestStore(t, func(*testing.T) route.Store { return route.NewMemoryStore() })
	routetest.TestWatcher(t, func(*testing.T) (route.Store, tenant.Watcher) {
		s := route.NewMemoryStore()
		return s, s
	})
}

// slow reads, and then waits to be let.
type slow struct {
	route.Store
	slow      atomic.Bool
	read, let chan struct{}
}

func (s *slow) Find(ctx context.Context, id tenant.ID) (route.Placement, error) {
	p, err := s.Store.Find(ctx, id)
	if s.slow.Load() {
		s.read <- struct{}{}
		<-s.let
	}
	return p, err
}

// The stores below are wrong in one way each.

type blind struct{ route.Store }

func (s blind) Update(ctx context.Context, p route.Placement) (route.Placement, error) {
	kept, err := s.Find(ctx, p.Tenant)
	if err != nil {
		return route.Placement{}, err
	}
	p.Version = kept.Version // whatever was read
	return s.Store.Update(ctx, p)
}

type checkThenAct struct{ route.Store }

func (s checkThenAct) Update(ctx context.Context, p route.Placement) (route.Placement, error) {
	kept, err := s.Find(ctx, p.Tenant)
	if err != nil {
		return route.Placement{}, err
	}
	if err := p.Follows(kept); err != nil {
		return route.Placement{}, err
	}
	runtime.Gosched() // others read meanwhile
	for {             // as an UPDATE without the version in its WHERE
		got, err := s.Store.Update(ctx, p)
		if err == nil || p.Validate() != nil || ctx.Err() != nil {
			return got, err
		}
		if kept, err = s.Find(ctx, p.Tenant); err != nil {
			return route.Placement{}, err
		}
		p.Version = kept.Version
	}
}

type unpinned struct{ route.Store }

func (s unpinned) Update(ctx context.Context, p route.Placement) (route.Placement, error) {
	lifted := p
	lifted.Region = ""
	lifted, err := s.Store.Update(ctx, lifted)
	if err != nil {
		return lifted, err
	}
	p.Version = lifted.Version
	return s.Store.Update(ctx, p)
}

type overwriting struct{ route.Store }

func (s overwriting) Create(ctx context.Context, p route.Placement) (route.Placement, error) {
	if kept, err := s.Find(ctx, p.Tenant); err == nil {
		_ = s.Delete(ctx, p.Tenant, kept.Version)
	}
	return s.Store.Create(ctx, p)
}

type unchecked struct{ route.Store }

func (s unchecked) List(ctx context.Context, q route.Query) ([]route.Placement, error) {
	q.Cell = ""
	return s.Store.List(ctx, q)
}

type deaf struct{ route.Store }

func (s deaf) Find(ctx context.Context, id tenant.ID) (route.Placement, error) {
	return s.Store.Find(context.WithoutCancel(ctx), id)
}

func TestBrokenStoresAreCaught(t *testing.T) {
	for name, tt := range map[string]struct {
		broken func(route.Store) route.Store
		clause string
	}{
		"no comparison":       {func(s route.Store) route.Store { return blind{s} }, "an update needs the version that was read"},
		"check, then act":     {func(s route.Store) route.Store { return checkThenAct{s} }, "of many updates at once one wins"},
		"no pin":              {func(s route.Store) route.Store { return unpinned{s} }, "a pinned region is lifted before it is replaced"},
		"creation overwrites": {func(s route.Store) route.Store { return overwriting{s} }, "a tenant has one placement"},
		"lists everything":    {func(s route.Store) route.Store { return unchecked{s} }, "a list is complete, in order, and by cell"},
		"ignores contexts":    {func(s route.Store) route.Store { return deaf{s} }, "a context that has ended is its error"},
	} {
		found := routetest.Check(t.Context(), func() route.Store { return tt.broken(route.NewMemoryStore()) })
		assert.Contains(t, found, tt.clause, name)
	}
	assert.Empty(t, routetest.Check(t.Context(), func() route.Store { return route.NewMemoryStore() }))
}
