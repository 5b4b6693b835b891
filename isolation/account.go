package isolation

import (
	"maps"
	"time"
)

// maxAccounts bounds the tenants whose figures are kept although they use no
// connection. Those idle the longest are forgotten first.
const maxAccounts = 10_000

// account is what the pool keeps about an owner.
type account struct {
	owner   owner
	held    int   // connections in use, being opened, or granted
	most    int64 // that it may hold, as its latest request says; 0 means any number
	idle    ring  // idle connections confined to the owner, the last used last
	waiting fifo  // in order of arrival
	figures TenantStats

	forgotten  int // times that Forget was called for the owner while it was active
	asleep     bool
	prev, next *account // in the turns of those who wait, or in the sleepers
}

func (a *account) active() bool {
	return a.held > 0 || a.idle.len > 0 || a.waiting.len > 0
}

// accounts is a ring of accounts. The zero value is empty.
type accounts struct {
	first *account
	len   int
}

func (r *accounts) pushBack(a *account) {
	if r.first == nil {
		a.prev, a.next, r.first = a, a, a
	} else {
		last := r.first.prev
		a.prev, a.next = last, r.first
		last.next, r.first.prev = a, a
	}
	r.len++
}

func (r *accounts) remove(a *account) {
	if a.next == a {
		r.first = nil
	} else {
		a.prev.next, a.next.prev = a.next, a.prev
		if r.first == a {
			r.first = a.next
		}
	}
	a.prev, a.next = nil, nil
	r.len--
}

// ledger finds accounts by owner and forgets those that sleep.
type ledger struct {
	byOwner  map[owner]*account
	sleepers accounts // without connections and waiters, the longest asleep first
}

func newLedger() ledger { return ledger{byOwner: map[owner]*account{}} }

// wake returns o's account, made if need be, for as long as it is active.
func (l *ledger) wake(o owner) *account {
	a := l.byOwner[o]
	if a == nil {
		a = &account{owner: o}
		l.byOwner[o] = a
	}
	if a.asleep {
		a.asleep = false
		l.sleepers.remove(a)
	}
	return a
}

// settle puts a to sleep once it is no longer active.
func (l *ledger) settle(a *account) {
	if a.asleep || a.active() {
		return
	}
	a.asleep = true
	l.sleepers.pushBack(a)
	if l.sleepers.len > maxAccounts {
		oldest := l.sleepers.first
		l.sleepers.remove(oldest)
		delete(l.byOwner, oldest.owner)
	}
}

// idleSet finds idle connections by key and by age; by owner, they are in the
// accounts.
type idleSet struct {
	all   ring
	byKey map[placeKey]*ring
	keys  int // rings to keep although they are empty
}

func newIdleSet(maxConns int) idleSet {
	return idleSet{byKey: map[placeKey]*ring{}, keys: 4 * maxConns}
}

func (s *idleSet) add(p *physical, a *account, now time.Time) {
	p.released = now
	s.all.push(&p.everyone)
	s.ring(p.key).push(&p.sameKey)
	a.idle.push(&p.mine)
}

func (s *idleSet) remove(p *physical, a *account) {
	s.all.remove(&p.everyone)
	s.ring(p.key).remove(&p.sameKey)
	a.idle.remove(&p.mine)
}

// at returns the least recently used connection of key, or nil.
func (s *idleSet) at(key placeKey) *physical {
	if r := s.byKey[key]; r != nil {
		return r.oldest()
	}
	return nil
}

// ring returns key's ring. Empty ones are kept for their next use, up to a bound.
func (s *idleSet) ring(key placeKey) *ring {
	r := s.byKey[key]
	if r != nil {
		return r
	}
	if len(s.byKey) >= s.keys {
		maps.DeleteFunc(s.byKey, func(_ placeKey, r *ring) bool { return r.len == 0 })
	}
	r = &ring{}
	s.byKey[key] = r
	return r
}

// idleAt returns the connection that a used last at key, or nil.
func (a *account) idleAt(key placeKey) *physical {
	p := a.idle.newest()
	if p == nil || p.key == key {
		return p
	}
	for l := a.idle.root.next; l != &a.idle.root; l = l.next { // the owner has moved
		if l.physical.key == key {
			return l.physical
		}
	}
	return nil
}
