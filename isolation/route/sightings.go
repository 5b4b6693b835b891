package route

import (
	"fmt"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/tenancy-go/tenancy/tenant"
)

// sightings remember in which cell each tenant was seen last, and tell when it is seen
// in another. A tenant that was forgotten meanwhile has been idle for long, and so have
// its connections.
type sightings struct {
	mu    sync.Mutex
	cells *simplelru.LRU[tenant.ID, *Cell] // guarded by mu, as all below
	hooks map[int]func(tenant.ID)
	next  int
}

func newSightings(size int) (*sightings, error) {
	cells, err := simplelru.NewLRU[tenant.ID, *Cell](size, nil)
	if err != nil {
		return nil, fmt.Errorf("route: %w", err)
	}
	return &sightings{cells: cells, hooks: make(map[int]func(tenant.ID))}, nil
}

// add has hook called for each tenant that moved, until stop is called.
func (s *sightings) add(hook func(tenant.ID)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.next
	s.next++
	s.hooks[n] = hook
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.hooks, n)
	}
}

// note takes down that id's place is in c.
func (s *sightings) note(id tenant.ID, c *Cell) {
	s.mu.Lock()
	last, known := s.cells.Get(id)
	if known && last == c {
		s.mu.Unlock()
		return
	}
	s.cells.Add(id, c)
	s.mu.Unlock()
	if known {
		s.tell(id)
	}
}

// tell calls the hooks.
func (s *sightings) tell(id tenant.ID) {
	s.mu.Lock()
	hooks := make([]func(tenant.ID), 0, len(s.hooks))
	for _, hook := range s.hooks {
		hooks = append(hooks, hook)
	}
	s.mu.Unlock()
	for _, hook := range hooks {
		hook(id)
	}
}
