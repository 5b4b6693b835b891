package quota

import "sync"

// keyLeases are the leases of the keys of one limit of one tenant.
type keyLeases struct {
	mu    sync.RWMutex // guards what follows
	limit *limit
	m     map[string]*lease
}

// enterLease gives e a lease where its limit has one, and takes it away where it has none:
// what it holds goes back when it is swept.
func (e *entry) enterLease(a *Account, ref Ref) {
	l := e.limit
	switch {
	case a.e.shared == nil || l.Lease == 0 || l.Kind == Rate && len(l.rule.windows) == 0:
		e.lease, e.leases = nil, nil
	case l.Per == PerKey:
		e.lease, e.leases = nil, orNew(e.leases)
		e.leases.follow(l)
	default:
		if e.lease == nil {
			e.lease = &lease{account: a, ref: ref}
		}
		e.leases = nil
		e.lease.follow(l)
	}
}

// leaseOf returns the lease that c is to draw from, or nil if there is none.
func (e *entry) leaseOf(a *Account, c Claim) *lease {
	if e.leases == nil {
		return e.lease
	}
	if e.keys != nil && e.keys.isShared(c.Key) {
		return nil
	}
	return e.leases.of(a, c)
}

// of returns the lease of c's key, or nil if there are too many.
func (k *keyLeases) of(a *Account, c Claim) *lease {
	k.mu.RLock()
	l := k.m[c.Key]
	k.mu.RUnlock()
	if l != nil {
		return l
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if l = k.m[c.Key]; l == nil && int64(len(k.m)) < a.e.maxKeys {
		l = &lease{account: a, ref: c.Limit, key: c.Key, stored: storeKey(c.Key), limit: k.limit}
		if k.m == nil {
			k.m = make(map[string]*lease)
		}
		k.m[c.Key] = l
		l.list() // a key that never gets a unit is forgotten too
	}
	return l
}

// follow puts the leases under limit.
func (k *keyLeases) follow(limit *limit) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.limit != nil && k.limit.Lease == limit.Lease && k.limit.terms.same(limit.terms) {
		return
	}
	for _, l := range k.m {
		l.follow(limit)
	}
	k.limit = limit
}

// forget gives up l, which has nothing.
func (k *keyLeases) forget(l *lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.m[l.key] == l && !l.listed.Load() {
		delete(k.m, l.key)
	}
}
