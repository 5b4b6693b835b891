package cache

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Cache keeps values of type V by tenant and key. It is safe for concurrent use.
type Cache[K comparable, V any] struct {
	config

	mu      sync.Mutex
	shelves map[tenant.ID]*shelf[K, V] // guarded by mu, as all below; none is empty
	ranking ranking[K, V]
	total   int
	puts    uint64
	flights map[Key[K]]*flight[V]
	figures Stats
}

// Key is a key of one tenant.
type Key[K comparable] struct {
	Tenant tenant.ID
	Key    K
}

// entry is a value, or the error in its place.
type entry[V any] struct {
	value   V
	err     error
	expires int64 // in nanoseconds since 1970; 0 is never
}

// New returns an empty cache.
func New[K comparable, V any](opts ...Option) (*Cache[K, V], error) {
	c := defaults()
	for _, opt := range opts {
		opt(&c)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return &Cache[K, V]{
		config:  c,
		shelves: make(map[tenant.ID]*shelf[K, V]),
		flights: make(map[Key[K]]*flight[V]),
	}, nil
}

// Get returns the value of key for ctx's tenant, and whether there is one.
func (c *Cache[K, V]) Get(ctx context.Context, key K) (V, bool, error) {
	id, err := tenant.IDFromContext(ctx)
	if err != nil {
		var none V
		return none, false, refused(err)
	}
	c.mu.Lock()
	e, ok := c.lookup(id, key)
	c.mu.Unlock()
	return e.value, ok && e.err == nil, nil
}

// Set keeps value under key for ctx's tenant.
func (c *Cache[K, V]) Set(ctx context.Context, key K, value V) error {
	id, err := tenant.IDFromContext(ctx)
	if err != nil {
		return refused(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flights, Key[K]{id, key})
	c.put(id, key, entry[V]{value: value, expires: c.after(c.ttl)})
	return nil
}

// Remove forgets the value of key of ctx's tenant.
func (c *Cache[K, V]) Remove(ctx context.Context, key K) error {
	id, err := tenant.IDFromContext(ctx)
	if err != nil {
		return refused(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flights, Key[K]{id, key})
	c.drop(id, key)
	return nil
}

// Purge forgets all values of ctx's tenant.
func (c *Cache[K, V]) Purge(ctx context.Context) error {
	id, err := tenant.IDFromContext(ctx)
	if err != nil {
		return refused(err)
	}
	c.PurgeTenant(id)
	return nil
}

// PurgeTenant forgets all values of a tenant, such as one that is removed.
func (c *Cache[K, V]) PurgeTenant(id tenant.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.flights {
		if key.Tenant == id {
			delete(c.flights, key)
		}
	}
	if s := c.shelves[id]; s != nil {
		c.total -= s.values.Len()
		c.clear(s)
	}
}

// All yields what is kept at the moment that it begins, in no order: for tests that look
// for what one tenant has of another's. Errors that are kept are left out.
func (c *Cache[K, V]) All() iter.Seq2[Key[K], V] {
	return func(yield func(Key[K], V) bool) {
		type pair struct {
			key   Key[K]
			value V
		}
		c.mu.Lock()
		all := make([]pair, 0, c.total)
		for id, s := range c.shelves {
			for _, key := range s.values.Keys() {
				if e, _ := s.values.Peek(key); e.err == nil && !c.expired(e) {
					all = append(all, pair{Key[K]{id, key}, e.value})
				}
			}
		}
		c.mu.Unlock()
		for _, p := range all {
			if !yield(p.key, p.value) {
				return
			}
		}
	}
}

// lookup returns what is kept under a key, and counts.
func (c *Cache[K, V]) lookup(id tenant.ID, key K) (entry[V], bool) {
	s := c.shelves[id]
	if s == nil {
		c.figures.Misses++
		return entry[V]{}, false
	}
	e, ok := s.values.Get(key)
	if ok && c.expired(e) {
		c.drop(id, key)
		e, ok = entry[V]{}, false
	}
	if !ok {
		c.figures.Misses++
		s.figures.Misses++
		return entry[V]{}, false
	}
	c.figures.Hits++
	s.figures.Hits++
	return e, true
}

func (c *Cache[K, V]) expired(e entry[V]) bool {
	return e.expires != 0 && c.now().UnixNano() >= e.expires
}

// after returns when what is kept for d from now on expires.
func (c *Cache[K, V]) after(d time.Duration) int64 {
	if d == 0 {
		return 0
	}
	return c.now().Add(d).UnixNano()
}

func refused(err error) error { return fmt.Errorf("cache: %w", err) }
