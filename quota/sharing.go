package quota

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// sharing is how an Enforcer counts in a Store that replicas share.
type sharing struct {
	store    Store
	timeout  time.Duration // of one call
	ttl      time.Duration // how long the store holds things for a process that is gone
	replicas int64
	holder   string
	clk      *clock
	events   func(context.Context, Event)

	serial   atomic.Uint64
	lanes    lanes
	holdings holdings
	settler  settler
	leases   leases
	batches  *batches // nil if the store takes one at a time
	patience patience
	stop     sync.Once
	stopped  chan struct{} // closed once nobody is to try any more what fails

	ahead atomic.Int64 // nanoseconds of the store's clock before this process's
}

// newSharing returns what c says, or nil without a store.
func newSharing(c *config, clk *clock) *sharing {
	if c.store == nil {
		return nil
	}
	s := &sharing{
		store: c.store, timeout: c.storeTimeout, ttl: c.storeTTL, replicas: c.replicas,
		holder: rand.Text(), clk: clk, events: c.events, stopped: make(chan struct{}),
	}
	s.holdings.init(s)
	s.settler.init(s)
	if b, ok := c.store.(Batcher); ok {
		s.batches, s.lanes.of = &batches{s: s, to: b}, b
	}
	s.leases.clk, s.patience.limit = clk, c.leasePatience
	if c.leasePatience < 0 {
		s.patience.limit = c.storeTimeout
	}
	return s
}

// taking returns a Taking of the tenant id with an ID of its own.
func (s *sharing) taking(id tenant.ID) Taking {
	return Taking{ID: s.holder + "-" + strconv.FormatUint(s.serial.Add(1), 36), Tenant: id, Holder: s.holder, TTL: s.ttl}
}

// reply is what is known of a call.
type reply int

const (
	answered reply = iota
	unasked        // the store is left alone for now
	unknown        // it may have done what it was asked, or may do it yet
)

// lost is a Taking whose answer did not come.
type lost struct {
	taking Taking
	sent   int64 // when it was, for the first time
}

// askedFor is how long after it was sent a lost Taking may be asked for: stores remember
// the answer for a little longer, by their own clock.
const askedFor = AnswersFor - 10*time.Second

// take carries out t, which is a's, in bounded time.
func (s *sharing) take(ctx context.Context, a *Account, t Taking) (Taken, reply) {
	within, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	l := a.laneNow(within)
	if !l.breaker.allows(s.clk.exact()) {
		return Taken{}, unasked
	}
	answers := l.breaker.answers.Load()
	taken, err := s.store.Take(within, t)
	// If the caller's own context ended, the store is not to blame; nor if others had their
	// answers while this one waited, as behind a flood of the same tenant's.
	if err == nil || ctx.Err() == nil && (within.Err() == nil || l.breaker.answers.Load() == answers) {
		s.heard(ctx, l, err == nil)
	}
	if err != nil {
		return Taken{}, unknown
	}
	s.ahead.Store(instant(taken.At) - s.clk.exact())
	return taken, answered
}

// heard takes down whether the server of l answered.
func (s *sharing) heard(ctx context.Context, l *lane, ok bool) {
	if !l.breaker.done(ok, s.clk.exact()) || s.events == nil {
		return
	}
	event := Event{Kind: StoreDown}
	if ok {
		event.Kind = StoreUp
	}
	s.events(ctx, event)
}

// claimShared adds parts to g if the store grants all of them, and else none: those with
// a lease from what this process has ahead, and the others in one call. While the store
// cannot say, each limit does what its Outage says.
func (a *Account) claimShared(ctx context.Context, s *accountState, g *Grant, parts []part) Decision {
	shared := a.e.shared
	if ctx.Err() != nil {
		return a.unheard(ctx, parts)
	}
	known := make([]sharedPart, len(parts))
	for i := range parts {
		if p := &parts[i]; p.sharedPart == nil {
			known[i].key = s.storeKey(p)
			p.sharedPart = &known[i]
		}
	}
	d, silent := a.drawAll(ctx, s, parts)
	switch {
	case !d.OK:
		return d
	case silent && ctx.Err() != nil:
		return a.unheard(ctx, parts)
	case silent:
		return a.claimAlone(ctx, s, g, parts, nil)
	}
	var charges []Charge
	var charged []int // the part of each charge
	for i := range parts {
		if p := &parts[i]; p.claim.N == 0 {
			p.remote = true // for Settle
		} else if p.drawn == nil && !p.unlimited() {
			charges = append(charges, Charge{Counter: p.counter(), N: p.claim.N})
			charged = append(charged, i)
		}
	}
	if len(charged) == 0 {
		return a.grantShared(ctx, s, g, parts, Taken{OK: true}, nil)
	}
	t := shared.taking(a.id)
	t.Charges = charges
	var held []Counter
	for _, c := range charges {
		if c.Terms.Kind != Rate {
			held = append(held, c.Counter)
		}
	}
	if !a.takeTurn(ctx) {
		return a.withoutStore(ctx, s, g, parts)
	}
	if !shared.holdings.begin(ctx, a.id, held...) {
		<-a.turns
		return a.withoutStore(ctx, s, g, parts)
	}
	open := lost{t, a.e.clk.exact()}
	taken, heard := shared.take(ctx, a, t)
	<-a.turns
	for at, i := range charged {
		if p := &parts[i]; p.limit.Kind != Rate {
			held := int64(0)
			if heard == answered && taken.OK {
				held = taken.Granted[at].N
			}
			shared.holdings.end(a.id, p.counter(), held, heard != unknown)
		}
	}
	switch {
	case heard == unasked:
		return a.claimAlone(ctx, s, g, parts, nil)
	case heard == unknown && ctx.Err() != nil: // nobody is left to let in
		shared.resolve(open, false)
		return a.unheard(ctx, parts)
	case heard == unknown:
		return a.claimAlone(ctx, s, g, parts, &open)
	case !taken.OK:
		return a.refusedShared(ctx, s, g, parts, charged, taken)
	default:
		return a.grantShared(ctx, s, g, parts, taken, charged)
	}
}

// maxTurns is how many requests of one tenant ask the store at a time, so that a flood of
// one's does not take all connections to it.
const maxTurns = 8

// takeTurn waits for one of the tenant's turns, for as long as a call may take.
func (a *Account) takeTurn(ctx context.Context) bool {
	select {
	case a.turns <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(a.e.shared.timeout)
	defer timer.Stop()
	select {
	case a.turns <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// withoutStore decides where the store could not be asked in time.
func (a *Account) withoutStore(ctx context.Context, s *accountState, g *Grant, parts []part) Decision {
	if ctx.Err() != nil {
		return a.unheard(ctx, parts)
	}
	return a.claimAlone(ctx, s, g, parts, nil)
}

// unheard refuses whose context ended before the store could say.
func (a *Account) unheard(ctx context.Context, parts []part) Decision {
	a.undraw(parts)
	d := because(CauseUnavailable, "")
	if len(parts) > 0 {
		d = parts[0].limit.rule.refused(CauseUnavailable, noWindow, never, 0)
		a.refuse(ctx, parts[0].claim, d)
	}
	return d
}

// grantShared puts parts into g as the store granted them.
func (a *Account) grantShared(ctx context.Context, s *accountState, g *Grant, parts []part, taken Taken, charged []int) Decision {
	for at, i := range charged {
		p := &parts[i]
		p.remote, p.at = true, instant(taken.At)
		p.reserved = p.claim.N
		p.left, p.edge = taken.Granted[at].Left, int64(taken.Granted[at].For)
		p.mirror(s, a.e.clk)
		a.watchSoft(ctx, s, p)
	}
	least := Decision{OK: true, amount: maxUnits}
	for i := range parts {
		if p := &parts[i]; p.remote && p.claim.N > 0 && p.left <= least.amount {
			least = p.limit.rule.granted(p.left)
		}
	}
	g.parts = parts
	a.tell(ctx, parts)
	return least
}

// refusedShared is a refusal by the store. If the limit that refused is only there to
// look at, the rest is claimed without it.
func (a *Account) refusedShared(ctx context.Context, s *accountState, g *Grant, parts []part, charged []int, taken Taken) Decision {
	p := &parts[charged[taken.Refused]]
	if p.limit.Shadow {
		a.event(ctx, Event{Kind: Shadowed}, p.claim)
		p.claim.N, p.shadowed = 0, true
		return a.claimShared(ctx, s, g, parts)
	}
	a.undraw(parts)
	retry := int64(never)
	if taken.RetryAfter > 0 {
		retry = int64(taken.RetryAfter)
	}
	d := p.limit.rule.refused(taken.Cause, p.limit.windowOf(taken), retry, 0)
	a.refuse(ctx, p.claim, d)
	return d
}

// windowOf returns the window of l that refused.
func (l *limit) windowOf(taken Taken) uint8 {
	switch {
	case l.Kind != Rate:
		return noWindow
	case taken.Window >= len(l.terms.Windows):
		return burstWindow
	default:
		return uint8(taken.Window)
	}
}

// claimAlone decides without the store: each limit does what its Outage says, and what
// was let in is told to the store once it is back. If open is not nil, the store was asked
// that and may yet have counted it.
func (a *Account) claimAlone(ctx context.Context, s *accountState, g *Grant, parts []part, open *lost) Decision {
	d := a.decideAlone(ctx, s, g, parts)
	if open != nil {
		a.e.shared.resolve(*open, d.OK)
	}
	for i := range parts {
		if p := &parts[i]; d.OK && p.alone {
			a.e.shared.owe(a.id, p, open != nil)
		}
	}
	return d
}

func (a *Account) decideAlone(ctx context.Context, s *accountState, g *Grant, parts []part) Decision {
	for i := range parts {
		if p := &parts[i]; p.drawn == nil && !p.unlimited() && p.limit.Outage == Close && !p.limit.Shadow {
			a.undraw(parts)
			d := p.limit.rule.refused(CauseUnavailable, noWindow, never, 0)
			a.refuse(ctx, p.claim, d)
			return d
		}
	}
	least := Decision{OK: true, amount: maxUnits}
	for i := range parts {
		p := &parts[i]
		if p.drawn != nil || p.unlimited() {
			continue
		}
		if p.limit.Outage == Share && !p.limit.Shadow {
			d := p.take(s, a.e.clk)
			if !d.OK {
				g.parts = parts[:i]
				g.undo()
				a.undraw(parts[i:])
				if !d.isMoved() {
					a.refuse(ctx, p.claim, d)
				}
				return d
			}
			if d.amount <= least.amount {
				least = d
			}
		}
		p.at, p.alone = a.e.clk.exact(), true
	}
	g.parts = parts
	a.tell(ctx, parts)
	for i := range parts {
		if p := &parts[i]; p.alone {
			a.event(ctx, Event{Kind: Degraded}, p.claim)
		}
	}
	least.code |= degradedBit
	return least
}

// owe tells the store of what was let in without it, once it is back: of rates unless
// resolve does.
func (s *sharing) owe(id tenant.ID, p *part, resolved bool) {
	p.remote, p.reserved = true, p.claim.N
	switch {
	case p.limit.Kind != Rate:
		s.holdings.assume(id, p.counter(), p.claim.N)
	case !resolved:
		s.settler.add(id, Return{Counter: p.counter(), N: -p.claim.N}, nil)
	}
}

// resolve asks the store again, with the same ID, what became of a Taking, once it is
// back, and puts right what is not as it was decided meanwhile: whether its rates were let
// in. If the store is back too late to remember, its rates stay as the store has them:
// asked again, it might count them twice.
func (s *sharing) resolve(l lost, letIn bool) {
	t := l.taking
	s.settler.ask(t, l.sent+int64(askedFor), func(taken Taken, heard bool) {
		for i, c := range t.Charges {
			switch {
			case c.Terms.Kind != Rate:
				s.holdings.assume(t.Tenant, c.Counter, 0) // says what is held
			case !heard:
			case taken.OK && !letIn:
				s.settler.add(t.Tenant, Return{Counter: c.Counter, N: taken.Granted[i].N, At: taken.At}, nil)
			case letIn && !taken.OK:
				s.settler.add(t.Tenant, Return{Counter: c.Counter, N: -c.N}, nil)
			}
		}
	})
}

// unlimited reports whether p has nothing to count, also for a limit that only looks and
// refused.
func (p *part) unlimited() bool {
	return p.sharedPart != nil && p.shadowed || p.limit.Kind == Rate && len(p.limit.terms.Windows) == 0
}

// counter returns what the store counts p in.
func (p *part) counter() Counter {
	return Counter{Limit: p.limit.name, Key: p.key, Terms: p.limit.terms}
}

// mirror counts what the store granted in this process as well: what it has used of
// its share, should the store fail.
func (p *part) mirror(s *accountState, clk *clock) {
	e := s.entry(p.claim.Limit)
	switch {
	case p.limit.Kind != Rate:
	case p.limit.Per == PerKey:
		e.keys.force(p.claim.Key, p.claim.N)
	default:
		e.under.rule.force(e.cell, 0, p.claim.N, clk)
	}
}

// pause waits after so many failures in a row. It reports false if nobody is to try again.
func (s *sharing) pause(failures int) bool {
	select {
	case <-time.After(backoff(failures)):
		return true
	case <-s.stopped:
		return false
	}
}

// settleWithin bounds how long to wait for corrections of a tenant to be told.
const settleWithin = 5 * time.Second

// settle waits until the store has heard of all corrections of the tenant id.
func (s *sharing) settle(ctx context.Context, id tenant.ID) error {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	select {
	case <-s.settler.settled(id):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close sees to it that the store knows what was used, and that nothing is held.
func (s *sharing) close(ctx context.Context) error {
	defer s.stop.Do(func() { close(s.stopped) })
	s.leases.close(ctx)
	if err := s.settler.drain(ctx); err != nil {
		return fmt.Errorf("%w: the store has not heard of all that was used: %w", ErrUnavailable, err)
	}
	return s.holdings.letGo(ctx)
}
