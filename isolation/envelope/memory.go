package envelope

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tenancy-go/tenancy/tenant"
)

// MemoryStore is a [Store] for one process, which loses all keys, and with them all
// that they sealed, when it ends.
type MemoryStore struct {
	mu         sync.Mutex // guards all below
	records    map[Position]Record
	tombstones map[tenant.ID]Tombstone
}

var _ Store = (*MemoryStore)(nil)

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{records: make(map[Position]Record), tombstones: make(map[tenant.ID]Tombstone)}
}

// Load implements [Store].
func (s *MemoryStore) Load(ctx context.Context, id tenant.ID, p Purpose) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, gone := s.tombstones[id]; gone {
		return nil, ErrShredded
	}
	return s.sorted(func(at Position) bool { return at.Tenant == id && at.Purpose == p }), nil
}

// Create implements [Store].
func (s *MemoryStore) Create(ctx context.Context, r Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, gone := s.tombstones[r.Tenant]; gone {
		return ErrShredded
	}
	if latest := s.latest(r.Tenant, r.Purpose); r.Version != latest+1 {
		return fmt.Errorf("%w: version %d follows %d", ErrConflict, r.Version, latest)
	}
	r.Created, r.Wrapped = stamp(r.Created), r.Wrapped.clone()
	s.records[r.Position()] = r
	return nil
}

// Rewrap implements [Store].
func (s *MemoryStore) Rewrap(ctx context.Context, old Record, wrapped Wrapped) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.records[old.Position()]
	if !ok || r.Wrapped.KeyID != old.Wrapped.KeyID || !bytes.Equal(r.Wrapped.Blob, old.Wrapped.Blob) {
		return ErrConflict
	}
	r.Wrapped = wrapped.clone()
	s.records[old.Position()] = r
	return nil
}

// Remove implements [Store].
func (s *MemoryStore) Remove(ctx context.Context, id tenant.ID, p Purpose, below uint32) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, below := len(s.records), min(below, s.latest(id, p))
	maps.DeleteFunc(s.records, func(at Position, _ Record) bool {
		return at.Tenant == id && at.Purpose == p && at.Version < below
	})
	return n - len(s.records), nil
}

// List implements [Store].
func (s *MemoryStore) List(ctx context.Context, after Position, limit int) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	records := s.sorted(func(at Position) bool { return compare(at, after) > 0 })
	return records[:min(limit, len(records))], nil
}

// Shred implements [Journal].
func (s *MemoryStore) Shred(ctx context.Context, t Tombstone) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.records, func(at Position, _ Record) bool { return at.Tenant == t.Tenant })
	if _, gone := s.tombstones[t.Tenant]; !gone {
		t.At = stamp(t.At)
		s.tombstones[t.Tenant] = t
	}
	return nil
}

// Tombstone implements [Journal].
func (s *MemoryStore) Tombstone(ctx context.Context, id tenant.ID) (Tombstone, bool, error) {
	if err := ctx.Err(); err != nil {
		return Tombstone{}, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, gone := s.tombstones[id]
	return t, gone, nil
}

// Tombstones implements [Journal].
func (s *MemoryStore) Tombstones(ctx context.Context, after tenant.ID, limit int) ([]Tombstone, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return page(s.tombstones, after, limit), nil
}

// page returns the first tombstones after a tenant.
func page(tombstones map[tenant.ID]Tombstone, after tenant.ID, limit int) []Tombstone {
	var found []Tombstone
	for _, id := range slices.Sorted(maps.Keys(tombstones)) {
		if id > after && len(found) < limit {
			found = append(found, tombstones[id])
		}
	}
	return found
}

func (s *MemoryStore) latest(id tenant.ID, p Purpose) (version uint32) {
	for at := range s.records {
		if at.Tenant == id && at.Purpose == p {
			version = max(version, at.Version)
		}
	}
	return version
}

// sorted returns copies of the records at the positions that match.
func (s *MemoryStore) sorted(matches func(Position) bool) []Record {
	var found []Record
	for at, r := range s.records {
		if matches(at) {
			r.Wrapped = r.Wrapped.clone()
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b Record) int { return compare(a.Position(), b.Position()) })
	return found
}

func compare(a, b Position) int {
	if c := strings.Compare(string(a.Tenant), string(b.Tenant)); c != 0 {
		return c
	}
	if c := strings.Compare(string(a.Purpose), string(b.Purpose)); c != 0 {
		return c
	}
	return int(int64(a.Version) - int64(b.Version))
}

func (w Wrapped) clone() Wrapped {
	w.Blob = bytes.Clone(w.Blob)
	return w
}
