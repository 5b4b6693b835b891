package quota

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/tenancy-go/tenancy/tenant"
)

// Account is one tenant's: what its plan allows, and what it has used of it. It is
// for one request: ask the [Enforcer] again for the next.
type Account struct {
	id    tenant.ID
	e     *Enforcer
	state atomic.Pointer[accountState] // nil until the plan is known

	turns    chan struct{}        // of those who ask the Store; nil without one
	refilled atomic.Int64         // how often the Store has answered a refill
	silent   atomic.Int64         // one more than refilled when somebody waited for one in vain
	lane     atomic.Pointer[lane] // as the Store said last

	mu     sync.Mutex // of whoever changes state
	asking *flight    // guarded by mu
}

// accountState is an account under one version of its plan. Only what its cells
// count changes.
type accountState struct {
	plan   *compiled
	record tenant.Tenant // whose plan it is
	fresh  int64         // until then the plan need not be asked for again
	stale  int64         // from then on it must not be used
	ledger []*entry      // by the number of their limit; nil for what was never in the plan

	values  []any  // of features, by number
	enabled []bool // whether they are anything but zero
}

// entry is what an account knows of one limit. It remembers what was counted also
// while the plan has no such limit: a tenant that goes to another plan and comes back
// has used what it has used.
type entry struct {
	rule  *rule  // of plain rates per tenant: with the cell all that a decision needs
	cell  cell   // of rates per tenant
	limit *limit // nil for what the plan does not have

	under     *limit // of cell
	underKeys *limit // of keys
	keys      *table // of rates per key
	stock     *gauge
	held      *gauge
	heldByKey *gauges
	soft      *softState // with a Store only
	lease     *lease     // of limits per tenant that have one
	leases    *keyLeases // of limits per key that do
}

// entry returns the entry of a limit, which is empty for one that nobody knows.
func (s *accountState) entry(limit Ref) *entry {
	if e := at(s.ledger, limit.index); e != nil {
		return e
	}
	return &entry{}
}

// counts reports whether the plan has e's limit with windows.
func (e *entry) counts() bool {
	return e.limit != nil && e.limit.Kind == Rate && len(e.limit.rule.windows) > 0
}

// Tenant returns whose account it is.
func (a *Account) Tenant() tenant.ID { return a.id }

// Plan returns the plan with all that applies to the tenant. It is shared: do not
// change it.
func (a *Account) Plan() *Resolved { return a.state.Load().plan.Resolved }

// Take counts n units of a limit of kind Rate, such as one request, if it has room
// for all of them, and else none. A limit that the plan does not have refuses. For
// other kinds, for limits per key and for several at once there is [Account.Claim].
func (a *Account) Take(ctx context.Context, limit Ref, n int64) Decision {
	for {
		s := a.state.Load()
		if limit.of != &a.e.names || uint(limit.index) >= uint(len(s.ledger)) || uint64(n-1) >= uint64(maxUnits) {
			return a.takeOther(ctx, limit, n) // also for no units
		}
		e := s.ledger[limit.index]
		if e == nil || e.rule == nil {
			return a.takeOther(ctx, limit, n)
		}
		var d Decision
		if r := e.rule; r.quick {
			d = r.count(e.cell, 0, n, a.e.clk.rough(), a.e.clk)
		} else {
			d = r.take(e.cell, 0, n, a.e.clk)
		}
		if d.isMoved() {
			a.renew(s)
			continue
		}
		if a.e.watched || d.OK && d.code != 0 {
			a.told(ctx, e.limit, Claim{Limit: limit, N: n}, d)
		}
		return d
	}
}

// renew waits for the state after s, which is on its way when a cell of s was closed. If
// there is none, a counter has gone so far that it must begin anew: renew sees to it.
func (a *Account) renew(s *accountState) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state.Load() != s {
		return
	}
	next := *s
	next.ledger = a.ledger(s.plan, nil)
	a.state.Store(&next)
}

// own returns limit with the number that its name has here.
func (a *Account) own(limit Ref) Ref {
	if limit.of == &a.e.names || limit.of == nil {
		return limit
	}
	return a.e.names.ref(limit.name)
}

// takeOther is Take for what is no plain rate. What is to be held needs a Grant.
func (a *Account) takeOther(ctx context.Context, limit Ref, n int64) Decision {
	limit = a.own(limit)
	if d, is := a.takeLeased(ctx, limit, n); is {
		return d
	}
	if l := at(a.state.Load().plan.limits, limit.index); l != nil && (l.Kind != Rate || l.Per != PerTenant) {
		d := l.rule.refused(CauseInvalid, noWindow, never, 0)
		a.refuse(ctx, Claim{Limit: limit, N: n}, d)
		return d
	}
	_, d := a.Claim(ctx, Claim{Limit: limit, N: n})
	return d
}

// told tells those who want to know of a decision about a plain rate.
func (a *Account) told(ctx context.Context, l *limit, c Claim, d Decision) {
	if !d.OK {
		a.refuse(ctx, c, d)
		return
	}
	a.tell(ctx, []part{{claim: c, limit: l, warned: d.warned()}})
}

// tell tells of parts that were granted.
func (a *Account) tell(ctx context.Context, parts []part) {
	for i := range parts {
		p := &parts[i]
		if p.limit.Kind != Concurrent {
			a.used(ctx, p.claim, p.claim.N)
		}
		if p.warned == 0 {
			continue
		}
		if p.limit.Kind != Rate {
			a.event(ctx, Event{Kind: Warned}, p.claim)
		}
		for j, w := range p.limit.rule.windows {
			if p.warned>>j&1 != 0 {
				a.event(ctx, Event{Kind: Warned, Window: w.public.Per}, p.claim)
			}
		}
	}
}

// used tells the observer of n units of c's limit.
func (a *Account) used(ctx context.Context, c Claim, n int64) {
	if a.e.observer != nil && n != 0 {
		a.e.observer.Used(ctx, a.id, c.Limit.name, n)
	}
}

// refuse tells of a refusal.
func (a *Account) refuse(ctx context.Context, c Claim, d Decision) {
	event := Event{Kind: Refused}
	if window, ok := d.Window(); ok {
		event.Window = window.Per
	}
	a.event(ctx, event, c)
}

func (a *Account) event(ctx context.Context, event Event, c Claim) {
	if a.e.events == nil {
		return
	}
	event.Tenant, event.Limit, event.Key, event.N = a.id, c.Limit.name, c.Key, c.N
	a.e.events(ctx, event)
}
