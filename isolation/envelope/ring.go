package envelope

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// ringID names all versions of a tenant's key for a purpose.
type ringID struct {
	tenant  tenant.ID
	purpose Purpose
}

func (id ringID) binding(version uint32) Binding {
	return Binding{Tenant: id.tenant, Purpose: id.purpose, Version: version}
}

// errOutdated means that keys were dropped while they were being read or used.
// Whoever gets it begins again.
var errOutdated = errors.New("envelope: keys were dropped meanwhile")

// ahead is how far beyond the versions known here another process may have come.
// Versions further on are no reason to ask the store.
const ahead = 8

// ring holds the versions of a tenant's key for a purpose.
type ring struct {
	id      ringID
	expires time.Time

	mu        sync.Mutex // guards all below
	records   []Record   // by version
	keys      map[uint32]*dataKey
	dropped   bool
	nextByAge time.Time // when sealing may try to rotate by age
}

func newRing(id ringID, records []Record, expires time.Time) *ring {
	return &ring{id: id, expires: expires, records: records, keys: make(map[uint32]*dataKey)}
}

// latest returns the newest record; its version is 0 if there is none.
func (r *ring) latest() Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.latestLocked()
}

func (r *ring) latestLocked() Record {
	if len(r.records) == 0 {
		return Record{}
	}
	return r.records[len(r.records)-1]
}

// currentKey returns the newest key, or nil if it is not unwrapped.
func (r *ring) currentKey() *dataKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys[r.latestLocked().Version]
}

func (r *ring) key(version uint32) *dataKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys[version]
}

// record returns the record of a version. Where there is none, it tells whether
// another process may have made one since.
func (r *ring) record(version uint32) (rec Record, found, maybe bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range slices.Backward(r.records) {
		if rec.Version == version {
			return rec, true, false
		}
	}
	latest := r.latestLocked().Version
	return Record{}, false, version > latest && version-latest <= ahead
}

// keep adds an unwrapped key, or drops it if the ring was dropped meanwhile.
func (r *ring) keep(k *dataKey) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dropped {
		k.drop()
		return errOutdated
	}
	r.keys[k.version] = k
	return nil
}

// update takes over what the store has now. Keys that are unwrapped stay.
func (r *ring) update(records []Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = records
	for version, k := range r.keys {
		if !slices.ContainsFunc(records, func(rec Record) bool { return rec.Version == version }) {
			k.drop()
			delete(r.keys, version)
		}
	}
}

func (r *ring) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropped = true
	for _, k := range r.keys {
		k.drop()
	}
	clear(r.keys)
}

// dueByAge reports whether the newest key is older than maxAge, at most once in
// every pause.
func (r *ring) dueByAge(now time.Time, maxAge, pause time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	latest := r.latestLocked()
	if latest.Version == 0 || now.Before(latest.Created.Add(maxAge)) || now.Before(r.nextByAge) {
		return false
	}
	r.nextByAge = now.Add(pause)
	return true
}

// retirable returns an error if a process that read the keys at a time, or later, may
// take a version below the given one for the newest.
func (r *ring) retirable(below uint32, read time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	below = min(below, r.latestLocked().Version)
	for _, rec := range r.records {
		if rec.Version >= below && !rec.Created.After(read) {
			return nil
		}
	}
	if below <= 1 || r.records[0].Version >= below {
		return nil // there is nothing to retire
	}
	return fmt.Errorf("%w: version %d is not yet known everywhere", ErrTooSoon, below)
}
