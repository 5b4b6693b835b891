package tenant

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"
)

// load is one read of the store, and what changed since it began.
type load struct {
	ref         Ref
	epoch       uint64
	outdated    map[ID]struct{}
	outdatedAll bool
}

// load reads ref from the store, together with all who ask for it in the same
// epoch: who asks after a change never gets an answer from before it. The read
// outlives the caller who began it.
func (d *Directory) load(ctx context.Context, ref Ref, epoch uint64) <-chan singleflight.Result {
	key := binary.BigEndian.AppendUint64(nil, epoch)
	key = append(append(key, byte(ref.Kind())), ref.Name()...)
	return d.loads.DoChan(string(key), func() (any, error) {
		l := d.begin(ref)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.config.loadTimeout)
		defer cancel()
		t, err := d.ask(ctx, ref)
		return d.settle(l, t, err)
	})
}

func (d *Directory) begin(ref Ref) *load {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := &load{ref: ref, epoch: d.epoch, outdated: make(map[ID]struct{})}
	d.running[l] = struct{}{}
	d.stats.Loads++
	return l
}

// ask reads ref from the store. It runs in a goroutine of its own, where a panic
// would end the program instead of one request.
func (d *Directory) ask(ctx context.Context, ref Ref) (t *Tenant, err error) {
	defer func() {
		if p := recover(); p != nil {
			t, err = nil, fmt.Errorf("tenant: directory: the store panicked: %v", p)
		}
	}()
	found, err := d.store.Find(ctx, ref)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("tenant: directory: find: %w", err)
	case found.ID.Validate() != nil || !found.has(ref):
		return nil, fmt.Errorf("tenant: directory: the store answered with tenant %s, which has not the name asked for", printable(string(found.ID)))
	}
	return &found, nil
}

// has reports whether ref names t.
func (t *Tenant) has(ref Ref) bool {
	switch ref.Kind() {
	case KindID:
		return string(t.ID) == ref.Name()
	case KindSlug:
		return t.Slug == ref.Name()
	case KindDomain:
		return slices.Contains(t.Domains, ref.Name())
	default:
		return false
	}
}

// settle keeps the outcome of l, if nothing changed meanwhile, and returns the
// answer for those who wait for it.
func (d *Directory) settle(l *load, t *Tenant, err error) (*Tenant, error) {
	now := d.config.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.running, l)
	switch {
	case err == nil:
		if _, outdated := l.outdated[t.ID]; !outdated && !l.outdatedAll {
			d.keep(l.ref, t, now)
		}
		return t, nil
	case errors.Is(err, ErrNotFound):
		d.keepUnknown(l, now)
		return nil, err
	default:
		return d.keepFailure(l, err, now)
	}
}

// keep remembers t by all its names. A tombstone is remembered by those only by
// which it was found: its slug may have become another's.
func (d *Directory) keep(ref Ref, t *Tenant, now time.Time) {
	if old, ok := d.records.Peek(t.ID); ok && now.Before(old.expires) && old.tenant.Version > t.Version {
		return // a read that began earlier and ended later
	}
	d.records.Remove(t.ID)
	r := &record{tenant: t, names: []Ref{ByID(t.ID)}, expires: now.Add(d.config.ttl)}
	switch {
	case t.Status != StatusDeleted:
		r.names = append(r.names, BySlug(t.Slug))
		for _, domain := range t.Domains {
			r.names = append(r.names, ByDomain(domain))
		}
	case ref.Kind() == KindSlug:
		r.names = append(r.names, ref)
	}
	for _, name := range r.names {
		if other, ok := d.names[name]; ok {
			d.records.Remove(other.tenant.ID) // it has lost the name, so the record is out of date
		}
		d.unknown.Remove(name)
		d.names[name] = r
	}
	d.records.Add(t.ID, r)
}

// forgetNames is called for each record that leaves.
func (d *Directory) forgetNames(_ ID, r *record) {
	for _, name := range r.names {
		if d.names[name] == r {
			delete(d.names, name)
		}
	}
}

func (d *Directory) keepUnknown(l *load, now time.Time) {
	if l.epoch != d.epoch {
		return
	}
	if r, ok := d.names[l.ref]; ok {
		d.records.Remove(r.tenant.ID) // it has lost the name, so the record is out of date
	}
	d.unknown.Add(l.ref, refusal{err: ErrNotFound, until: now.Add(d.config.unknownTTL), epoch: l.epoch})
}

// keepFailure answers from a record past its time, if there is one that may
// still be used, and else with err.
func (d *Directory) keepFailure(l *load, err error, now time.Time) (*Tenant, error) {
	d.stats.Failures++
	if r, ok := d.names[l.ref]; ok && d.bridges(r, now) {
		if r.retry.IsZero() {
			d.stats.Stale++ // later on recall counts, and nobody waits
		}
		if !now.Before(r.expires) { // else it was read meanwhile, by another name
			r.retry = now.Add(retryPause)
		}
		return r.tenant, nil
	}
	d.unknown.Add(l.ref, refusal{err: err, until: now.Add(retryPause), epoch: l.epoch})
	return nil, err
}
