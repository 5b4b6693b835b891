package quota

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tenancy-go/tenancy/tenant"
)

// Source tells which plans there are, and what tenants have beside them. It must be
// safe for concurrent use. quotatest.TestSource checks an implementation against
// these comments.
type Source interface {
	// Catalog returns the catalog of now. It may be shared: nobody changes it.
	Catalog(ctx context.Context) (*Catalog, error)
	// Overrides returns those of the tenant id, for itself and for its children,
	// ordered by ID. Expired ones may be among them. A tenant that is not known
	// has none.
	Overrides(ctx context.Context, id tenant.ID) ([]Override, error)
}

// MemorySource is a Source for one process.
type MemorySource struct {
	mu        sync.RWMutex
	catalog   *Catalog
	overrides map[tenant.ID][]Override // sorted by ID
}

// NewMemorySource returns a Source of catalog, without overrides.
func NewMemorySource(catalog *Catalog) *MemorySource {
	return &MemorySource{catalog: catalog, overrides: make(map[tenant.ID][]Override)}
}

// Catalog implements [Source].
func (s *MemorySource) Catalog(context.Context) (*Catalog, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.catalog == nil {
		return nil, fmt.Errorf("%w: no catalog was set", ErrUnavailable)
	}
	return s.catalog, nil
}

// SetCatalog puts catalog in the place of the one before, whose version must be
// lower. The error wraps [ErrInvalid].
func (s *MemorySource) SetCatalog(catalog *Catalog) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.catalog != nil && catalog.version <= s.catalog.version {
		return invalid("version", "want more than %d, the version there is, got %d", s.catalog.version, catalog.version)
	}
	s.catalog = catalog
	return nil
}

// Overrides implements [Source].
func (s *MemorySource) Overrides(_ context.Context, id tenant.ID) ([]Override, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.overrides[id]), nil
}

// SetOverride adds o, or puts it in the place of the one with its tenant and ID. It has
// effect like a new catalog does (see [WithRefresh]), or with the next request that
// carries a newer record of the tenant.
func (s *MemorySource) SetOverride(o Override) error {
	if err := o.Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.catalog != nil {
		if err := s.catalog.CheckOverride(o); err != nil {
			return err
		}
	}
	kept := s.overrides[o.Tenant]
	i, found := slices.BinarySearchFunc(kept, o.ID, func(o Override, id string) int { return strings.Compare(o.ID, id) })
	o.Version = 1
	if found {
		o.Version = kept[i].Version + 1
		kept[i] = o
		return nil
	}
	s.overrides[o.Tenant] = slices.Insert(kept, i, o)
	return nil
}

// RemoveOverride takes the override away, if it is there.
func (s *MemorySource) RemoveOverride(id tenant.ID, override string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := slices.DeleteFunc(s.overrides[id], func(o Override) bool { return o.ID == override })
	if len(kept) == 0 {
		delete(s.overrides, id)
		return
	}
	s.overrides[id] = kept
}
