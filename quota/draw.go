package quota

import "context"

// drawAll takes the units of those of parts that have a lease. It reports silent if they
// would have to wait for the store for too long: then each limit does what its Outage
// says. The decision is not OK if the store refuses one of them; then none is drawn.
func (a *Account) drawAll(ctx context.Context, s *accountState, parts []part) (d Decision, silent bool) {
	for i := range parts {
		p := &parts[i]
		if p.drawn != nil || p.claim.N == 0 || p.limit.Lease == 0 || p.claim.N > maxLease {
			continue
		}
		l := s.entry(p.claim.Limit).leaseOf(a, p)
		if l == nil {
			continue
		}
		d, how := p.draw(ctx, l)
		switch how {
		case drewUnits:
			a.watchSoft(ctx, s, p)
		case drewRefusal:
			a.undraw(parts)
			a.refuse(ctx, p.claim, d)
			return d, false
		case drewSilence:
			silent = true
		case drewNothing:
		}
	}
	return Decision{OK: true}, silent
}

// undraw gives back what parts have drawn.
func (a *Account) undraw(parts []part) {
	for i := range parts {
		if p := &parts[i]; p.sharedPart != nil && p.drawn != nil {
			p.giveBack(a, p.claim.N)
			p.drawn, p.remote = nil, false
		}
	}
}

// drew is how drawing from a lease went.
type drew int

const (
	drewUnits   drew = iota
	drewRefusal      // the store has no room
	drewSilence      // nobody can say
	drewNothing      // others were faster: the store is to decide
)

// drawRounds is how often to wait for a refill, should others take what it brought.
const drawRounds = 2

// draw takes the units of p from l, and waits for more of them if it must.
func (p *part) draw(ctx context.Context, l *lease) (Decision, drew) {
	e, n := l.account.e, p.claim.N
	for round := 0; ; round++ {
		now := p.limit.rule.now(e.clk)
		if rest, at, ok := l.take(n, now); ok {
			p.drawn, p.remote, p.at, p.reserved = l, true, at, n
			p.left, p.edge = l.left.Load()+rest, max(0, l.edge.Load()-now)
			return Decision{}, drewUnits
		}
		if d, is := l.refused(p.limit.rule, n, now); is {
			return d, drewRefusal
		}
		if l.account.rests(now) {
			return Decision{}, drewSilence
		}
		if round == drawRounds {
			return Decision{}, drewNothing
		}
		if round == 0 {
			l.want(n)
			defer l.want(-n)
		}
		f := l.ask(n)
		if f == nil {
			return Decision{}, drewNothing
		}
		if !f.await(ctx, l.account) {
			return Decision{}, drewSilence
		}
		if r := f.refusal; r != nil && f.need <= n {
			return r.of(p.limit.rule, e.clk.exact()), drewRefusal
		}
	}
}

// await waits for the answer, and reports whether there is one. Once somebody has waited
// for too long nobody of the tenant waits until the store has answered one of its refills.
func (f *refill) await(ctx context.Context, a *Account) bool {
	s, answers := a.e.shared, a.refilled.Load()
	if a.silent.Load() == answers+1 {
		return f.isDone() && !f.silent
	}
	f.waited.Do(func() { s.patience.watch(f) })
	select {
	case <-f.done:
	case <-f.late:
	case <-ctx.Done():
	}
	if !f.isDone() {
		if ctx.Err() == nil {
			a.silent.Store(answers + 1)
		}
		return false
	}
	return !f.silent
}

// takeLeased is [Account.Take] by a limit with a lease that has n units. It reports false
// if there is none, or a longer way to go.
func (a *Account) takeLeased(ctx context.Context, limit Ref, n int64) (Decision, bool) {
	s := a.state.Load()
	e := at(s.ledger, limit.index)
	if e == nil || e.lease == nil || e.limit.Kind != Rate || n < 1 || n > maxLease {
		return Decision{}, false
	}
	now := e.limit.rule.now(a.e.clk)
	rest, _, ok := e.lease.take(n, now)
	d := e.limit.rule.granted(e.lease.left.Load() + rest)
	if !ok {
		if d, ok = e.lease.refused(e.limit.rule, n, now); !ok {
			return d, false
		}
	}
	if a.e.watched {
		a.told(ctx, e.limit, Claim{Limit: limit, N: n}, d)
	}
	if e.limit.warns() && e.soft.due(now) {
		a.watchSoft(ctx, s, &part{claim: Claim{Limit: limit, N: n}, limit: e.limit, sharedPart: &sharedPart{}})
	}
	return d, true
}
