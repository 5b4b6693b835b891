package tenant

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"
)

// Directory is a [Finder] that answers from memory. It reads each tenant once
// per [WithTTL], however many ask at once, remembers for a shorter while which
// names have no tenant, and bridges a failing store with what it read before.
//
// A change in the store shows after the TTL, or at once if the Directory is
// told: by [Directory.Invalidate], or by [Directory.Follow] for the changes of
// all processes. It is safe for concurrent use.
type Directory struct {
	store  Finder
	config directoryConfig
	loads  singleflight.Group

	mu      sync.Mutex // guards all below, and the fields of records
	records *simplelru.LRU[ID, *record]
	names   map[Ref]*record // of the records kept, and only those
	unknown *simplelru.LRU[Ref, refusal]
	epoch   uint64 // counts invalidations
	running map[*load]struct{}
	stats   DirectoryStats
}

var _ Finder = (*Directory)(nil)

// record is a tenant as it was read once.
type record struct {
	tenant  *Tenant // shared with callers: never changed
	names   []Ref
	expires time.Time
	retry   time.Time // when the store may be asked again; zero unless it failed since expires
}

// refusal is the answer for a name without a tenant, or one whose tenant could
// not be read. It counts only in the epoch in which the store was asked: any
// change since may have given the name to a tenant.
type refusal struct {
	err   error
	until time.Time
	epoch uint64
}

// retryPause is how long a failing store is left alone about one name.
const retryPause = time.Second

// DirectoryStats counts what a [Directory] did since it was made.
type DirectoryStats struct {
	Hits         uint64 // answers from a record within its TTL
	Stale        uint64 // answers from a record past it, since the store failed; one for all who waited together
	NegativeHits uint64 // refusals from memory: no such tenant, or a failure within the last second
	Misses       uint64 // callers that had to wait for the store
	Loads        uint64 // reads of the store
	Failures     uint64 // reads that failed for another reason than that there is no such tenant
	Tenants      int    // records kept now
	Unknown      int    // refusals kept now
}

// NewDirectory returns a Directory over store, usually a [Store].
func NewDirectory(store Finder, opts ...DirectoryOption) (*Directory, error) {
	if store == nil {
		return nil, errors.New("tenant: directory: want a store, not nil")
	}
	d := &Directory{
		store:   store,
		config:  defaultDirectoryConfig(),
		names:   make(map[Ref]*record),
		running: make(map[*load]struct{}),
	}
	for _, opt := range opts {
		opt(&d.config)
	}
	if err := d.config.check(); err != nil {
		return nil, err
	}
	var err error
	if d.records, err = simplelru.NewLRU(d.config.maxTenants, d.forgetNames); err != nil {
		return nil, fmt.Errorf("tenant: directory: %w", err)
	}
	if d.unknown, err = simplelru.NewLRU[Ref, refusal](d.config.maxUnknown, nil); err != nil {
		return nil, fmt.Errorf("tenant: directory: %w", err)
	}
	return d, nil
}

// Find implements [Finder]. What it returns is the caller's own, to change at
// will: a copy, so that no caller can alter what the next request sees.
//
// While the store fails, a tenant read before is returned for as long as
// [WithStaleFor] says; for any other the error is the store's, and is kept for a
// second. Errors do not outlive a change that the Directory is told of.
func (d *Directory) Find(ctx context.Context, ref Ref) (Tenant, error) {
	t, err := d.findShared(ctx, ref)
	if err != nil {
		return Tenant{}, err
	}
	return t.Clone(), nil
}

// findShared is Find without the copy. What it returns must not be changed.
func (d *Directory) findShared(ctx context.Context, ref Ref) (*Tenant, error) {
	found := d.recall(ref, d.config.now())
	if found.refresh {
		d.load(ctx, ref, found.epoch) // not waited for: the next caller finds what it leaves
	}
	if found.tenant != nil || found.err != nil {
		return found.tenant, found.err
	}
	if err := ref.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case result := <-d.load(ctx, ref, found.epoch):
		t, _ := result.Val.(*Tenant)
		return t, result.Err
	}
}

// recollection is what a Directory knows of a name: a tenant, a refusal, or
// neither.
type recollection struct {
	tenant  *Tenant
	err     error
	refresh bool   // the tenant is stale, and the store may be asked again
	epoch   uint64 // when it was asked for
}

func (d *Directory) recall(ref Ref, now time.Time) recollection {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r, ok := d.names[ref]; ok {
		d.records.Get(r.tenant.ID) // makes it the one used last
		if now.Before(r.expires) {
			d.stats.Hits++
			return recollection{tenant: r.tenant}
		}
		if !r.retry.IsZero() && d.bridges(r, now) {
			return d.recallStale(r, now)
		}
	}
	if no, ok := d.unknown.Get(ref); ok && no.epoch == d.epoch && now.Before(no.until) {
		d.stats.NegativeHits++
		return recollection{err: no.err}
	}
	d.stats.Misses++
	return recollection{epoch: d.epoch}
}

func (d *Directory) recallStale(r *record, now time.Time) recollection {
	d.stats.Stale++
	due := !now.Before(r.retry)
	if due {
		r.retry = now.Add(retryPause)
	}
	return recollection{tenant: r.tenant, refresh: due, epoch: d.epoch}
}

// bridges reports whether r may answer while the store fails.
func (d *Directory) bridges(r *record, now time.Time) bool {
	return now.Before(r.expires.Add(d.config.staleFor))
}

// Invalidate forgets all that is known of the tenant, under whatever name, and
// that any name is unknown: it may be the tenant's new one. A read that is under
// way is not relied upon later.
func (d *Directory) Invalidate(id ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.epoch++
	d.records.Remove(id)
	for l := range d.running {
		l.outdated[id] = struct{}{}
	}
}

// Purge forgets everything.
func (d *Directory) Purge() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.epoch++
	d.records.Purge()
	d.unknown.Purge()
	for l := range d.running {
		l.outdatedAll = true
	}
}

// Follow invalidates what w tells of, and everything when w may have missed
// something, until ctx ends or w fails. It returns w's error: a host runs it
// beside its server, and starts it again if it fails before ctx ends.
func (d *Directory) Follow(ctx context.Context, w Watcher) error {
	if w == nil {
		return errors.New("tenant: directory: want a watcher to follow, not nil")
	}
	return w.Watch(ctx, func(c Change) {
		if c.ID == "" {
			d.Purge()
			return
		}
		d.Invalidate(c.ID)
	})
}

// Stats returns what d did so far.
func (d *Directory) Stats() DirectoryStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	stats := d.stats
	stats.Tenants, stats.Unknown = d.records.Len(), d.unknown.Len()
	return stats
}
