package quota

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/quota/internal/count"
	"github.com/tenancy-go/tenancy/tenant"
)

// Enforcer decides what tenants may use, by their plans. It must live as long as
// what it counts: make one when the host starts.
type Enforcer struct {
	source Source
	names  registry
	clk    *clock
	config

	shared   *sharing // nil without a Store
	watched  bool     // somebody wants to know of every decision
	seed     maphash.Seed
	accounts [accountShards]accountShard

	mu      sync.Mutex // guards what follows
	catalog *Catalog
	asked   int64                 // when it was asked for
	ready   map[planKey]*compiled // plans without overrides, of the catalog
}

const accountShards = 64

type accountShard struct {
	mu sync.RWMutex
	m  map[tenant.ID]*Account
}

// planKey is a plan without overrides in a time zone.
type planKey struct {
	plan string
	zone count.Zone
}

// New returns an Enforcer of the plans of source.
func New(source Source, opts ...Option) (*Enforcer, error) {
	if source == nil {
		return nil, errors.New("quota: New: nil Source")
	}
	e := &Enforcer{source: source, config: defaults(), seed: maphash.MakeSeed()}
	for _, opt := range opts {
		opt(&e.config)
	}
	if e.err != nil {
		return nil, e.err
	}
	e.clk = newClock(e.now)
	e.watched = e.observer != nil || e.events != nil
	e.shared = newSharing(&e.config, e.clk)
	return e, nil
}

// Close waits until the store that replicas share has heard of all that was used, and
// tells it that this process holds nothing any more. Without a store it does nothing.
// It is for after the last request.
func (e *Enforcer) Close(ctx context.Context) error {
	if e.shared == nil {
		return nil
	}
	return e.shared.close(ctx)
}

// Ref returns a reference to the limit, feature or set of resources called name.
// It need not be in a plan yet: where it is not, it refuses. Names are remembered for
// good: pass those of your code, never what a client sent.
func (e *Enforcer) Ref(name string) Ref { return e.names.ref(name) }

// Account returns the account of ctx's tenant. Without one the error is
// [tenant.FromContext]'s. If the plan cannot be asked for, or does not stand the
// check, the error wraps [ErrUnavailable] or [ErrInvalid].
func (e *Enforcer) Account(ctx context.Context) (*Account, error) {
	t, err := tenant.FromContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("quota: %w", err)
	}
	a := e.account(t.ID)
	if s := a.state.Load(); s != nil && e.clk.rough() < s.fresh && s.serves(&t) {
		return a, nil
	}
	if err := a.refresh(ctx, t); err != nil {
		return nil, err
	}
	return a, nil
}

// account returns the account of the tenant id, whose plan may not be known yet.
func (e *Enforcer) account(id tenant.ID) *Account {
	s := &e.accounts[maphash.String(e.seed, string(id))%accountShards]
	s.mu.RLock()
	a := s.m[id]
	s.mu.RUnlock()
	if a != nil {
		return a
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a = s.m[id]; a == nil {
		if s.m == nil {
			s.m = make(map[tenant.ID]*Account)
		}
		a = &Account{id: id, e: e}
		if e.shared != nil {
			a.turns = make(chan struct{}, maxTurns)
		}
		s.m[id] = a
	}
	return a
}

// planFor returns the plan of t, ready to decide.
func (e *Enforcer) planFor(ctx context.Context, t tenant.Tenant) (*compiled, error) {
	zone, err := e.zone(t)
	if err != nil {
		return nil, fmt.Errorf("tenant %s: time zone: %w", t.ID, err)
	}
	catalog, err := e.currentCatalog(ctx)
	if err != nil {
		return nil, err
	}
	overrides, err := e.source.Overrides(ctx, t.ID)
	if err == nil && t.Parent != "" {
		var parents []Override
		parents, err = e.source.Overrides(ctx, t.Parent)
		overrides = slices.Concat(parents, overrides)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: overrides of tenant %s: %w", ErrUnavailable, t.ID, err)
	}
	return e.compile(catalog, t, overrides, zone)
}

func (e *Enforcer) compile(catalog *Catalog, t tenant.Tenant, overrides []Override, zone *time.Location) (*compiled, error) {
	plan, err := catalog.Resolve(t, overrides, time.Unix(0, e.clk.exact()))
	if err != nil {
		return nil, err
	}
	for i := range overrides {
		if overrides[i].layerFor(t) != "" {
			return compile(catalog, plan, zone, e), nil
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.catalog != catalog {
		return compile(catalog, plan, zone, e), nil
	}
	key := planKey{plan.Name, count.ZoneOf(zone)}
	if e.ready[key] == nil {
		e.ready[key] = compile(catalog, plan, zone, e)
	}
	return e.ready[key], nil
}

// currentCatalog returns the catalog, which is asked for once for all tenants whose
// plans are looked at.
func (e *Enforcer) currentCatalog(ctx context.Context) (*Catalog, error) {
	now := e.clk.exact()
	e.mu.Lock()
	kept, asked := e.catalog, e.asked
	e.mu.Unlock()
	if kept != nil && now-asked < int64(e.refreshEvery)/4 {
		return kept, nil
	}
	catalog, err := e.source.Catalog(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: catalog: %w", ErrUnavailable, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = now
	if e.catalog == nil || catalog.version > e.catalog.version {
		e.catalog, e.ready = catalog, make(map[planKey]*compiled)
	}
	return e.catalog, nil
}
