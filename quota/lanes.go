package quota

import (
	"context"
	"sync"

	"github.com/tenancy-go/tenancy/tenant"
)

// lanes are the servers of a store, as far as somebody has asked them: one, if the store
// does not say.
type lanes struct {
	of Batcher // nil for a store that takes one Taking at a time

	mu sync.RWMutex
	m  map[string]*lane // guarded by mu
}

// lane is one server. Where it does not answer, the others' tenants do not notice.
type lane struct {
	breaker breaker

	waiting turns[*question] // so that a tenant with many leases does not keep the others waiting
	flying  int              // calls
}

// lane returns the lane of the tenant id.
func (s *lanes) lane(ctx context.Context, id tenant.ID) *lane {
	name := ""
	if s.of != nil {
		name = s.of.Lane(ctx, id)
	}
	s.mu.RLock()
	l := s.m[name]
	s.mu.RUnlock()
	if l != nil {
		return l
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l = s.m[name]; l == nil {
		if s.m == nil {
			s.m = make(map[string]*lane)
		}
		l = new(lane)
		s.m[name] = l
	}
	return l
}

// laneNow returns the tenant's lane, as the store says now.
func (a *Account) laneNow(ctx context.Context) *lane {
	l := a.e.shared.lanes.lane(ctx, a.id)
	a.lane.Store(l)
	return l
}

// rests reports whether nobody is to ask the tenant's server at now, as far as its lane is
// known.
func (a *Account) rests(now int64) bool {
	l := a.lane.Load()
	return l != nil && l.breaker.rests(now)
}
