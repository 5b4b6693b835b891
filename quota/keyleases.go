package quota

import "sync"

// keyLeases are the leases of the keys of one limit of one tenant.
type keyLeases struct {
	mu    sync.RWMutex // guards what follows
	limit *limit
	m     map[string]*lease
}

// enterLease gives e leases where its limit has them, and ends those of other terms: what
// they hold goes back when they are swept.
func (e *entry) enterLease(a *Account, ref Ref) {
	l := e.limit
	leased := a.e.shared != nil && l != nil && l.Lease > 0 && (l.Kind != Rate || len(l.rule.windows) > 0)
	one, many := leased && l.Per != PerKey, leased && l.Per == PerKey
	if e.lease != nil && (!one || !e.lease.follow(l)) {
		e.lease.end()
		e.lease = nil
	}
	if e.leases != nil && (!many || !e.leases.follow(l)) {
		e.leases.end()
		e.leases = nil
	}
	switch {
	case one && e.lease == nil:
		e.lease = &lease{account: a, ref: ref, limit: l}
	case many && e.leases == nil:
		e.leases = &keyLeases{limit: l}
	}
}

// leaseOf returns the lease that p is to draw from, or nil if there is none.
func (e *entry) leaseOf(a *Account, p *part) *lease {
	switch {
	case e.leases == nil:
		return e.lease
	case p.isShared():
		return nil
	default:
		return e.leases.of(a, p)
	}
}

// of returns the lease of p's key, or nil if there are too many.
func (k *keyLeases) of(a *Account, p *part) *lease {
	c := p.claim
	k.mu.RLock()
	l := k.m[c.Key]
	k.mu.RUnlock()
	if l != nil {
		return l
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if l = k.m[c.Key]; l == nil && int64(len(k.m)) < a.e.maxKeys {
		l = &lease{account: a, ref: c.Limit, key: c.Key, stored: p.key, limit: k.limit}
		if k.m == nil {
			k.m = make(map[string]*lease)
		}
		k.m[c.Key] = l
		l.list() // a key that never gets a unit is forgotten too
	}
	return l
}

// follow puts the leases under limit, if stores hold counters to that as before.
func (k *keyLeases) follow(limit *limit) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.limit.terms.same(limit.terms) {
		return false
	}
	if k.limit != limit {
		for _, l := range k.m {
			l.follow(limit)
		}
		k.limit = limit
	}
	return true
}

// end ends all.
func (k *keyLeases) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range k.m {
		l.end()
	}
}

// forget gives up l, which has nothing.
func (k *keyLeases) forget(l *lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.m[l.key] == l && !l.listed.Load() {
		delete(k.m, l.key)
	}
}
