package tenant

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// DefaultSlugRetention is how long a deleted tenant's slug is kept from others
// unless a store is told otherwise.
const DefaultSlugRetention = 90 * 24 * time.Hour

// MemoryStore is a [Store] for one process, and tells of its changes as a
// [Watcher]. What it keeps is gone when the process ends.
type MemoryStore struct {
	now       func() time.Time
	retention time.Duration

	mu       sync.RWMutex
	tenants  map[ID]Tenant         // guarded by mu, as all below
	slugs    map[string]slugHolder // also of tombstones, until the slug is taken over
	domains  map[string]ID
	children map[ID]int // tenants, not deleted, that name the ID as their parent
	watchers map[*memoryWatch]struct{}
}

type slugHolder struct {
	id    ID
	until time.Time // when others may have it; zero while its tenant lives
}

var (
	_ Store   = (*MemoryStore)(nil)
	_ Watcher = (*MemoryStore)(nil)
)

// MemoryOption changes how a [MemoryStore] works.
type MemoryOption func(*MemoryStore)

// WithSlugRetention sets how long a deleted tenant's slug is kept from others,
// counted from its deletion; 0 frees it at once. The default is
// [DefaultSlugRetention].
func WithSlugRetention(d time.Duration) MemoryOption {
	return func(s *MemoryStore) { s.retention = d }
}

// WithMemoryClock sets the store's clock, instead of time.Now.
func WithMemoryClock(now func() time.Time) MemoryOption {
	return func(s *MemoryStore) { s.now = now }
}

// NewMemoryStore returns an empty store.
func NewMemoryStore(opts ...MemoryOption) *MemoryStore {
	s := &MemoryStore{
		now:       time.Now,
		retention: DefaultSlugRetention,
		tenants:   make(map[ID]Tenant),
		slugs:     make(map[string]slugHolder),
		domains:   make(map[string]ID),
		children:  make(map[ID]int),
		watchers:  make(map[*memoryWatch]struct{}),
	}
	for _, opt := range opts {
		opt(s)
	}
	return s
}

// Find implements [Finder].
func (s *MemoryStore) Find(ctx context.Context, ref Ref) (Tenant, error) {
	if err := ctx.Err(); err != nil {
		return Tenant{}, err
	}
	if err := ref.Validate(); err != nil {
		return Tenant{}, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t, ok := s.tenants[s.lookup(ref)]; ok {
		return t.Clone(), nil
	}
	return Tenant{}, ErrNotFound
}

// lookup returns the ID that ref stands for, or "".
func (s *MemoryStore) lookup(ref Ref) ID {
	switch ref.Kind() {
	case KindID:
		return ID(ref.Name())
	case KindSlug:
		if holder := s.slugs[ref.Name()]; holder.keeps(s.now()) {
			return holder.id
		}
	case KindDomain:
		return s.domains[ref.Name()]
	}
	return ""
}

func (h slugHolder) keeps(now time.Time) bool { return h.until.IsZero() || now.Before(h.until) }

// Create implements [Store].
func (s *MemoryStore) Create(ctx context.Context, t Tenant) (Tenant, error) {
	now := s.now()
	t, err := t.ForCreate(now)
	if err != nil {
		return Tenant{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return Tenant{}, err
	}
	if _, ok := s.tenants[t.ID]; ok {
		return Tenant{}, taken("ID", string(t.ID))
	}
	if err := s.checkNames(t, now); err != nil {
		return Tenant{}, err
	}
	s.keep(Tenant{}, t)
	return t.Clone(), nil
}

// Update implements [Store].
func (s *MemoryStore) Update(ctx context.Context, t Tenant) (Tenant, error) {
	if err := t.Validate(); err != nil {
		return Tenant{}, err
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return Tenant{}, err
	}
	kept, ok := s.tenants[t.ID]
	if !ok {
		return Tenant{}, ErrNotFound
	}
	t, err := t.ForUpdate(kept, now)
	if err != nil {
		return Tenant{}, err
	}
	if err := s.checkNames(t, now); err != nil {
		return Tenant{}, err
	}
	s.keep(kept, t)
	return t.Clone(), nil
}

// Delete implements [Store].
func (s *MemoryStore) Delete(ctx context.Context, id ID, version int64) (Tenant, error) {
	if err := id.Validate(); err != nil {
		return Tenant{}, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return Tenant{}, err
	}
	kept, ok := s.tenants[id]
	if !ok {
		return Tenant{}, ErrNotFound
	}
	t, err := kept.ForDelete(version, now)
	if err != nil {
		return Tenant{}, err
	}
	if s.children[id] > 0 {
		return Tenant{}, invalid("Parent", "%s has tenants below it; delete or move them first", id)
	}
	s.keep(kept, t)
	s.slugs[t.Slug] = slugHolder{id: id, until: now.Add(s.retention)}
	return t.Clone(), nil
}

// List implements [Store].
func (s *MemoryStore) List(ctx context.Context, q Query) (Page, error) {
	if err := ctx.Err(); err != nil {
		return Page{}, err
	}
	q, after, err := q.Check()
	if err != nil {
		return Page{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []Tenant
	for _, t := range s.tenants {
		if q.Selects(t) && (after.ID == "" || q.compare(after, q.Position(t)) < 0) {
			found = insert(found, t, q)
		}
	}
	for i := range found {
		found[i] = found[i].Clone()
	}
	return q.Page(found), nil
}

// insert puts t in its place among the first q.Limit+1 tenants found so far.
func insert(found []Tenant, t Tenant, q Query) []Tenant {
	at, _ := slices.BinarySearchFunc(found, q.Position(t), func(t Tenant, p Position) int {
		return q.compare(q.Position(t), p)
	})
	if at > q.Limit {
		return found
	}
	found = slices.Insert(found, at, t)
	return found[:min(len(found), q.Limit+1)]
}

// checkNames returns nil if t's slug and domains are its own or free, and its
// parent may be its parent.
func (s *MemoryStore) checkNames(t Tenant, now time.Time) error {
	if holder, ok := s.slugs[t.Slug]; ok && holder.id != t.ID && holder.keeps(now) {
		return taken("Slug", t.Slug)
	}
	for _, domain := range t.Domains {
		if id, ok := s.domains[domain]; ok && id != t.ID {
			return taken("Domains", domain)
		}
	}
	if t.Parent == "" {
		return nil
	}
	if parent, ok := s.tenants[t.Parent]; !ok || parent.Status == StatusDeleted {
		return invalid("Parent", "no tenant %s", t.Parent)
	}
	for id := t.Parent; id != ""; id = s.tenants[id].Parent {
		if id == t.ID {
			return invalid("Parent", "%s is below %s", t.Parent, t.ID)
		}
	}
	return nil
}

// keep replaces old, the zero Tenant if there was none, by t.
func (s *MemoryStore) keep(old, t Tenant) {
	delete(s.slugs, old.Slug)
	for _, domain := range old.Domains {
		delete(s.domains, domain)
	}
	s.countChild(old, -1)

	s.tenants[t.ID] = t
	s.slugs[t.Slug] = slugHolder{id: t.ID}
	for _, domain := range t.Domains {
		s.domains[domain] = t.ID
	}
	s.countChild(t, +1)
	for w := range s.watchers {
		w.add(Change{ID: t.ID})
	}
}

func (s *MemoryStore) countChild(t Tenant, n int) {
	if t.Parent == "" || t.Status == StatusDeleted {
		return
	}
	if s.children[t.Parent] += n; s.children[t.Parent] == 0 {
		delete(s.children, t.Parent)
	}
}

func taken(field, name string) error {
	return &FieldError{Field: field, Reason: name + " is taken; choose another", Err: ErrExists}
}
