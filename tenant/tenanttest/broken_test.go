package tenanttest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
)

// broken is a correct store with one fault put in.
type broken struct {
	tenant.Store
	*Clock
	find   func(context.Context, tenant.Ref) (tenant.Tenant, error)
	create func(context.Context, tenant.Tenant) (tenant.Tenant, error)
	update func(context.Context, tenant.Tenant) (tenant.Tenant, error)
	delete func(context.Context, tenant.ID, int64) (tenant.Tenant, error)
	list   func(context.Context, tenant.Query) (tenant.Page, error)
}

func (b *broken) Find(ctx context.Context, ref tenant.Ref) (tenant.Tenant, error) {
	return b.find(ctx, ref)
}

func (b *broken) Create(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
	return b.create(ctx, t)
}

func (b *broken) Update(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
	return b.update(ctx, t)
}

func (b *broken) Delete(ctx context.Context, id tenant.ID, version int64) (tenant.Tenant, error) {
	return b.delete(ctx, id, version)
}

func (b *broken) List(ctx context.Context, q tenant.Query) (tenant.Page, error) {
	return b.list(ctx, q)
}

func newBroken(opts ...tenant.MemoryOption) *broken {
	clock := NewClock()
	s := tenant.NewMemoryStore(append([]tenant.MemoryOption{tenant.WithMemoryClock(clock.Now)}, opts...)...)
	return &broken{Store: s, Clock: clock, find: s.Find, create: s.Create, update: s.Update, delete: s.Delete, list: s.List}
}

// faults are stores that are wrong in one way, and the clause that has to notice.
var faults = []struct {
	name   string
	clause string
	store  func() *broken
}{
	{"finds names in any case", "find refuses malformed names", func() *broken {
		b := newBroken()
		b.find = func(ctx context.Context, ref tenant.Ref) (tenant.Tenant, error) {
			if ref.Kind() == tenant.KindSlug {
				ref = tenant.BySlug(strings.ToLower(ref.Name()))
			}
			return b.Store.Find(ctx, ref)
		}
		return b
	}},
	{"takes a malformed name for the first tenant", "find refuses malformed names", func() *broken {
		b := newBroken()
		b.find = func(ctx context.Context, ref tenant.Ref) (tenant.Tenant, error) {
			if ref.Validate() != nil {
				ref = tenant.ByID("acme")
			}
			return b.Store.Find(ctx, ref)
		}
		return b
	}},
	{"takes a slug for an ID", "find knows every name", func() *broken {
		b := newBroken()
		b.find = func(ctx context.Context, ref tenant.Ref) (tenant.Tenant, error) {
			t, err := b.Store.Find(ctx, ref)
			if errors.Is(err, tenant.ErrNotFound) && ref.Kind() == tenant.KindID {
				return b.Store.Find(ctx, tenant.BySlug(ref.Name()))
			}
			return t, err
		}
		return b
	}},
	{"forgets tombstones", "a deleted tenant's ID and slug are kept from others", func() *broken {
		b := newBroken(tenant.WithSlugRetention(0))
		return b
	}},
	{"never frees a slug", "a deleted tenant's slug is free in time", func() *broken {
		return newBroken(tenant.WithSlugRetention(1 << 62))
	}},
	{"keeps the clock in local time", "create returns the record as kept", func() *broken {
		b := newBroken()
		b.create = func(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
			t, err := b.Store.Create(ctx, t)
			t.CreatedAt = t.CreatedAt.In(time.FixedZone("CET", 3600))
			return t, err
		}
		return b
	}},
	{"sorts the caller's own domains", "records are not shared", func() *broken {
		b := newBroken()
		b.create = func(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
			slices.Sort(t.Domains)
			return b.Store.Create(ctx, t)
		}
		return b
	}},
	{"shares its records", "records are not shared", sharing},
	{"ignores the version", "update checks the version", func() *broken {
		b := newBroken()
		b.update = func(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
			if kept, err := b.Store.Find(ctx, tenant.ByID(t.ID)); err == nil {
				t.Version = kept.Version
			}
			return b.Store.Update(ctx, t)
		}
		return b
	}},
	{"checks the version, then writes", "one of many wins a version", checkThenWrite},
	{"checks the slug, then writes", "one of many wins a slug", func() *broken {
		b := newBroken()
		var arrived sync.WaitGroup
		arrived.Add(racers)
		b.create = func(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
			_, err := b.Store.Find(ctx, tenant.BySlug(t.Slug))
			arrived.Done()
			arrived.Wait()
			if err == nil {
				return tenant.Tenant{}, tenant.ErrExists
			}
			t.Slug = string(t.ID) // stands for a column without a unique key
			return b.Store.Create(ctx, t)
		}
		return b
	}},
	{"lets update delete", "update keeps to the transitions of status", func() *broken {
		b := newBroken()
		b.update = func(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
			if t.Status == tenant.StatusDeleted {
				return b.Store.Delete(ctx, t.ID, t.Version)
			}
			return b.Store.Update(ctx, t)
		}
		return b
	}},
	{"knows no parents", "parents exist", func() *broken {
		b := newBroken()
		b.create = func(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
			t.Parent = ""
			return b.Store.Create(ctx, t)
		}
		return b
	}},
	{"looks one parent up only", "parents form no circle", func() *broken {
		b := newBroken()
		b.update = func(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
			if t.ID == "a" && t.Parent == "d" {
				t.Parent = ""
			}
			return b.Store.Update(ctx, t)
		}
		return b
	}},
	{"trims text", "text comes back byte for byte", func() *broken {
		b := newBroken()
		b.create = func(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
			t.Name = strings.TrimSpace(t.Name)
			return b.Store.Create(ctx, t)
		}
		return b
	}},
	{"goes on after its context", "a cancelled context stops everything", func() *broken {
		b := newBroken()
		b.delete = func(ctx context.Context, id tenant.ID, version int64) (tenant.Tenant, error) {
			return b.Store.Delete(context.WithoutCancel(ctx), id, version)
		}
		return b
	}},
	{"lists tombstones", "list filters", func() *broken {
		b := newBroken()
		b.list = func(ctx context.Context, q tenant.Query) (tenant.Page, error) {
			if len(q.Status) == 0 {
				q.Status = []tenant.Status{tenant.StatusActive, tenant.StatusSuspended, tenant.StatusDeleted}
			}
			return b.Store.List(ctx, q)
		}
		return b
	}},
	{"takes % for anything", "list searches literally", func() *broken {
		b := newBroken()
		b.list = func(ctx context.Context, q tenant.Query) (tenant.Page, error) {
			q.Search = strings.Trim(q.Search, "%")
			return b.Store.List(ctx, q)
		}
		return b
	}},
	{"pages by offset", "list pages survive changes", pagingByOffset},
	{"ignores the direction", "list sorts and pages", func() *broken {
		b := newBroken()
		b.list = func(ctx context.Context, q tenant.Query) (tenant.Page, error) {
			q.Desc = false
			return b.Store.List(ctx, q)
		}
		return b
	}},
	{"takes any limit", "list refuses what makes no sense", func() *broken {
		b := newBroken()
		b.list = func(ctx context.Context, q tenant.Query) (tenant.Page, error) {
			q.Limit = min(q.Limit, tenant.MaxLimit)
			return b.Store.List(ctx, q)
		}
		return b
	}},
	{"stores half on error", "an error leaves nothing behind", func() *broken {
		b := newBroken()
		b.create = func(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
			kept, err := b.Store.Create(ctx, t)
			if errors.Is(err, tenant.ErrExists) {
				t.Domains = nil
				_, _ = b.Store.Create(ctx, t)
			}
			return kept, err
		}
		return b
	}},
}

// sharing hands out the maps it keeps.
func sharing() *broken {
	b := newBroken()
	kept := make(map[tenant.ID]tenant.Tenant)
	b.create = func(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
		t, err := b.Store.Create(ctx, t)
		kept[t.ID] = t
		return t, err
	}
	b.find = func(context.Context, tenant.Ref) (tenant.Tenant, error) { return kept["acme"], nil }
	return b
}

// checkThenWrite has every racer see the old version before the first writes.
func checkThenWrite() *broken {
	b := newBroken()
	var arrived sync.WaitGroup
	arrived.Add(racers)
	b.update = func(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
		kept, err := b.Store.Find(ctx, tenant.ByID(t.ID))
		if err != nil || kept.Version != t.Version {
			return tenant.Tenant{}, tenant.ErrConflict
		}
		arrived.Done()
		arrived.Wait()
		return t, nil
	}
	return b
}

// pagingByOffset counts the tenants it has listed, as LIMIT and OFFSET do.
func pagingByOffset() *broken {
	b := newBroken()
	b.list = func(ctx context.Context, q tenant.Query) (tenant.Page, error) {
		offset, limit := len(q.Cursor), q.Limit
		q.Cursor, q.Limit = "", tenant.MaxLimit
		page, err := b.Store.List(ctx, q)
		if err != nil || offset+limit >= len(page.Tenants) {
			return tenant.Page{Tenants: page.Tenants[min(offset, len(page.Tenants)):]}, err
		}
		return tenant.Page{Tenants: page.Tenants[offset : offset+limit], Next: strings.Repeat("a", offset+limit)}, nil
	}
	return b
}

func TestBrokenStoresAreCaught(t *testing.T) {
	t.Parallel()
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(clauses(), func(c clause) bool { return c.name == fault.clause })
			require.GreaterOrEqual(t, i, 0)
			assert.Error(t, clauses()[i].check(t.Context(), fault.store()))
		})
	}
}

// deaf is a watcher with a fault.
type deaf struct {
	*tenant.MemoryStore
	silent, stubborn bool
}

func (d deaf) Watch(ctx context.Context, changed func(tenant.Change)) error {
	if !d.silent {
		changed(tenant.Change{ID: "acme"})
		<-ctx.Done()
		return ctx.Err()
	}
	changed(tenant.Change{})
	<-ctx.Done()
	if d.stubborn {
		return nil
	}
	return ctx.Err()
}

func TestBrokenWatchersAreCaught(t *testing.T) {
	t.Parallel()
	s := tenant.NewMemoryStore()
	ends := watcherClauses()[1].check
	require.NoError(t, ends(t.Context(), s, s))
	require.Error(t, ends(t.Context(), s, deaf{MemoryStore: s}), "says nothing of the gap before it listens")
	require.Error(t, ends(t.Context(), s, deaf{MemoryStore: s, silent: true, stubborn: true}), "keeps its context's error to itself")
}

func TestSuiteSkipsWhatNeedsAClock(t *testing.T) {
	t.Parallel()
	TestStore(t, func(*testing.T) tenant.Store { return tenant.NewMemoryStore() })
}
