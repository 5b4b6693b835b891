package route

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/tenancy-go/tenancy/tenant"
)

// records answer from memory what a store says, for as long as they may. They read a
// placement once for all who ask at the same time. That a tenant has none is not
// remembered: another process may be placing it.
type records struct {
	config

	mu      sync.Mutex
	kept    *simplelru.LRU[tenant.ID, record] // guarded by mu, as all below
	flights map[tenant.ID]*flight
}

type record struct {
	placement Placement
	expires   time.Time
}

// flight is one read of the store. It is taken out of flights when something changes:
// who asks later never gets what was read before.
type flight struct {
	done      chan struct{}
	placement Placement // set before done is closed, as is err
	err       error
}

func newRecords(c config) (*records, error) {
	kept, err := simplelru.NewLRU[tenant.ID, record](c.cacheSize, nil)
	if err != nil {
		return nil, fmt.Errorf("route: %w", err)
	}
	return &records{config: c, kept: kept, flights: make(map[tenant.ID]*flight)}, nil
}

// find returns id's placement, or what the store says instead.
func (r *records) find(ctx context.Context, id tenant.ID) (Placement, error) {
	now := r.now()
	r.mu.Lock()
	if kept, ok := r.kept.Get(id); ok && now.Before(kept.expires) {
		r.mu.Unlock()
		return kept.placement, nil
	}
	f := r.flights[id]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		r.flights[id] = f
		go r.load(context.WithoutCancel(ctx), id, f)
	}
	r.mu.Unlock()
	select {
	case <-f.done:
		return f.placement, f.err
	case <-ctx.Done():
		return Placement{}, fmt.Errorf("route: find tenant %s: %w", id, ctx.Err())
	}
}

// load reads id's placement. It outlives whoever asked first, since others wait too.
func (r *records) load(ctx context.Context, id tenant.ID, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, r.loadTimeout)
	defer cancel()
	began := r.now() // what is read may be as old as this
	f.placement, f.err = r.ask(ctx, id)

	r.mu.Lock()
	defer r.mu.Unlock()
	defer close(f.done)
	if r.flights[id] != f {
		return // something changed meanwhile
	}
	delete(r.flights, id)
	if f.err != nil {
		r.kept.Remove(id)
		return
	}
	r.kept.Add(id, record{f.placement, began.Add(r.maxAge)})
}

// ask reads the store. It runs in a goroutine of its own, where a panic would end the
// program instead of one request.
func (r *records) ask(ctx context.Context, id tenant.ID) (p Placement, err error) {
	defer func() {
		if v := recover(); v != nil {
			p, err = Placement{}, fmt.Errorf("route: find tenant %s: the store panicked: %v", id, v)
		}
	}()
	p, err = r.store.Find(ctx, id)
	switch {
	case errors.Is(err, ErrUnplaced):
		return Placement{}, fmt.Errorf("%w: tenant %s", ErrUnplaced, id)
	case err != nil:
		return Placement{}, fmt.Errorf("route: find tenant %s: %w", id, err)
	}
	return p, nil
}

// outdate forgets what is known of id.
func (r *records) outdate(id tenant.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept.Remove(id)
	delete(r.flights, id)
}

// outdateAll forgets everything.
func (r *records) outdateAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept.Purge()
	clear(r.flights)
}
