package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/tenancy-go/tenancy/tenant"
)

// ErrPanic means that a loader panicked, or ended its goroutine.
var ErrPanic = errors.New("cache: loader panicked")

// flight is one run of a loader. It is taken out of Cache.flights when its key is set,
// removed or purged: what it finds is not kept then, and who asks later loads anew.
type flight[V any] struct {
	done    chan struct{}
	cancel  context.CancelFunc
	waiters int // guarded by the cache's mu
	value   V   // set before done is closed, as is err
	err     error
}

// Load returns the value of key for ctx's tenant. If there is none, it calls load, once
// for all who ask at the same time, and keeps what it returns. The context that load gets
// has the values of the first asker's, so its tenant too, and ends when all who wait have
// given up.
func (c *Cache[K, V]) Load(ctx context.Context, key K, load func(context.Context) (V, error)) (V, error) {
	var none V
	id, err := tenant.IDFromContext(ctx)
	if err != nil {
		return none, refused(err)
	}
	if err := ctx.Err(); err != nil {
		return none, err
	}
	c.mu.Lock()
	if e, ok := c.lookup(id, key); ok {
		c.mu.Unlock()
		return e.value, e.err
	}
	f := c.join(ctx, Key[K]{id, key}, load)
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		c.leave(Key[K]{id, key}, f)
		return none, ctx.Err()
	}
}

// join returns the flight for key, begun if need be, with one waiter more.
func (c *Cache[K, V]) join(ctx context.Context, key Key[K], load func(context.Context) (V, error)) *flight[V] {
	f := c.flights[key]
	if f == nil {
		f = &flight[V]{done: make(chan struct{})}
		ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
		c.flights[key] = f
		c.figures.Loads++
		go c.fly(ctx, key, f, load)
	}
	f.waiters++
	return f
}

// leave takes a waiter off, and gives the flight up with the last.
func (c *Cache[K, V]) leave(key Key[K], f *flight[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.waiters--; f.waiters > 0 {
		return
	}
	f.cancel()
	if c.flights[key] == f {
		delete(c.flights, key)
	}
}

// fly runs load, and keeps what it found.
func (c *Cache[K, V]) fly(ctx context.Context, key Key[K], f *flight[V], load func(context.Context) (V, error)) {
	defer f.cancel()
	defer close(f.done)
	defer func() { // also when the loader ends the goroutine
		c.mu.Lock()
		defer c.mu.Unlock()
		c.land(key, f)
	}()
	f.err = ErrPanic
	defer func() {
		if v := recover(); v != nil {
			f.err = fmt.Errorf("%w: %v\n%s", ErrPanic, v, debug.Stack())
		}
	}()
	f.value, f.err = load(ctx)
}

// land keeps what f found, unless something has changed since it began.
func (c *Cache[K, V]) land(key Key[K], f *flight[V]) {
	if f.err != nil {
		c.figures.LoadErrors++
	}
	if c.flights[key] != f {
		return
	}
	delete(c.flights, key)
	switch {
	case f.err == nil:
		c.put(key.Tenant, key.Key, entry[V]{value: f.value, expires: c.after(c.ttl)})
	case c.errorTTL > 0 && !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, context.DeadlineExceeded):
		c.put(key.Tenant, key.Key, entry[V]{err: f.err, expires: c.after(c.errorTTL)})
	}
}
