package route

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/tenancy-go/tenancy/tenant"
)

// MemoryStore is a [Store] for one process, and tells of its changes as a
// tenant.Watcher. What it keeps is gone when the process ends.
type MemoryStore struct {
	mu         sync.Mutex
	placements map[tenant.ID]Placement // guarded by mu, as all below
	version    int64
	watchers   map[*watch]struct{}
}

var (
	_ Store          = (*MemoryStore)(nil)
	_ tenant.Watcher = (*MemoryStore)(nil)
)

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{placements: make(map[tenant.ID]Placement), watchers: make(map[*watch]struct{})}
}

// Find implements [Store].
func (s *MemoryStore) Find(ctx context.Context, id tenant.ID) (Placement, error) {
	if err := ctx.Err(); err != nil {
		return Placement{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.placements[id]; ok {
		return p, nil
	}
	return Placement{}, ErrUnplaced
}

// Create implements [Store].
func (s *MemoryStore) Create(ctx context.Context, p Placement) (Placement, error) {
	if err := errors.Join(p.Validate(), ctx.Err()); err != nil {
		return Placement{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.placements[p.Tenant]; ok {
		return Placement{}, ErrPlaced
	}
	return s.keep(p), nil
}

// Update implements [Store].
func (s *MemoryStore) Update(ctx context.Context, p Placement) (Placement, error) {
	if err := errors.Join(p.Validate(), ctx.Err()); err != nil {
		return Placement{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.placements[p.Tenant]
	if !ok {
		return Placement{}, ErrUnplaced
	}
	if err := p.Follows(kept); err != nil {
		return Placement{}, err
	}
	return s.keep(p), nil
}

// Delete implements [Store].
func (s *MemoryStore) Delete(ctx context.Context, id tenant.ID, version int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.placements[id]
	if !ok {
		return ErrUnplaced
	}
	if kept.Version != version {
		return (Placement{Tenant: id, Version: version}).Follows(kept)
	}
	delete(s.placements, id)
	s.tell(id)
	return nil
}

// List implements [Store].
func (s *MemoryStore) List(ctx context.Context, q Query) ([]Placement, error) {
	q, err := q.Check()
	if err := errors.Join(err, ctx.Err()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []Placement
	for _, p := range s.placements {
		if q.Selects(p) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b Placement) int { return cmp.Compare(a.Tenant, b.Tenant) })
	return found[:min(q.Limit, len(found))], nil
}

// keep puts p in its place, at a new version.
func (s *MemoryStore) keep(p Placement) Placement {
	s.version++
	p.Version = s.version
	s.placements[p.Tenant] = p
	s.tell(p.Tenant)
	return p
}

func (s *MemoryStore) tell(id tenant.ID) {
	for w := range s.watchers {
		w.pending = append(w.pending, tenant.Change{ID: id})
		select {
		case w.ready <- struct{}{}:
		default:
		}
	}
}

// watch is what one call of Watch has yet to tell.
type watch struct {
	pending []tenant.Change // guarded by the store's mu
	ready   chan struct{}   // holds a token while there are changes
}

// Watch implements tenant.Watcher.
func (s *MemoryStore) Watch(ctx context.Context, changed func(tenant.Change)) error {
	if changed == nil {
		return errors.New("route: watch: want a function to call, not nil")
	}
	w := &watch{ready: make(chan struct{}, 1)}
	s.mu.Lock()
	s.watchers[w] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.watchers, w)
		s.mu.Unlock()
	}()
	changed(tenant.Change{})
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.ready:
		}
		s.mu.Lock()
		changes := w.pending
		w.pending = nil
		s.mu.Unlock()
		for _, c := range changes {
			changed(c)
		}
	}
}
