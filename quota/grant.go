package quota

import (
	"context"
	"sync"
	"time"
)

// Grant is what a [Claim] was granted. End it with Done or Cancel, whichever comes
// first counts; a Grant of rates alone may as well be dropped.
type Grant struct {
	account *Account
	mu      sync.Mutex
	ended   bool
	parts   []part
	few     [2]part
}

// Done ends the grant: what was held is free again. What was counted, and what was
// put into stock, stays.
func (g *Grant) Done() {
	if g != nil && g.end() {
		for i := range g.parts {
			g.parts[i].done(g.account)
		}
	}
}

// done ends p: what is held is free again, and what was put into stock stays.
func (p *part) done(a *Account) {
	switch p.limit.Kind {
	case Concurrent:
		p.release(p.claim.N)
		p.releaseShared(a, p.claim.N)
	case Stock:
		p.unreserve(p.claim.N)
		p.keepShared(a)
	default:
	}
}

// Cancel ends the grant as if it had never been: all units go back, also to windows
// that ended since.
func (g *Grant) Cancel(ctx context.Context) {
	if g != nil && g.end() {
		g.undo()
		for i := range g.parts {
			if p := &g.parts[i]; p.limit.Kind != Concurrent {
				g.account.used(ctx, p.claim, -p.claim.N)
			}
		}
	}
}

// Settle corrects the units of limit to what was really used, once that is known:
// the tokens of an answer, the bytes of a file. More than were claimed count as
// well, even beyond the limit: then the next is refused. For a limit that the
// grant does not have, Settle does nothing.
func (g *Grant) Settle(ctx context.Context, limit Ref, actual int64) {
	if g == nil || actual < 0 || actual > maxUnits {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended {
		g.settle(ctx, g.account.own(limit), actual)
	}
}

// settle corrects the units of limit, or of each limit of a set, to actual.
func (g *Grant) settle(ctx context.Context, limit Ref, actual int64) {
	has := make(map[int]int64) // by the number of the limit
	for i := range g.parts {
		if p := &g.parts[i]; p.asked == limit.index || p.claim.Limit.index == limit.index {
			has[p.claim.Limit.index] += p.claim.N
		}
	}
	for index, n := range has {
		own := Ref{index: index}
		if actual > n {
			g.settleUp(ctx, own, actual-n)
		} else {
			g.settleDown(ctx, own, n-actual)
		}
	}
}

// settleUp adds n units of limit. Those of a rate are counted now, and go back from
// now.
func (g *Grant) settleUp(ctx context.Context, limit Ref, n int64) {
	for i := range g.parts {
		p := &g.parts[i]
		if p.claim.Limit.index != limit.index {
			continue
		}
		if p.limit.Kind == Rate {
			more := *p
			more.claim.N, more.at = n, g.account.e.clk.exact()
			if p.sharedPart != nil {
				more.sharedPart = &sharedPart{key: p.key, alone: p.alone} // from no lease
				more.at += g.account.e.shared.ahead.Load()
			}
			more.force(g.account, n)
			g.parts = append(g.parts, more)
			g.account.used(ctx, more.claim, n)
			return
		}
		p.force(g.account, n)
		p.claim.N += n
		if p.limit.Kind == Stock {
			g.account.used(ctx, p.claim, n)
		}
		return
	}
}

// settleDown gives n units of limit back, those that were counted last first.
func (g *Grant) settleDown(ctx context.Context, limit Ref, n int64) {
	for i := len(g.parts) - 1; i >= 0 && n > 0; i-- {
		p := &g.parts[i]
		if p.claim.Limit.index != limit.index {
			continue
		}
		back := min(n, p.claim.N)
		p.giveBack(g.account, back)
		p.claim.N -= back
		n -= back
		if p.limit.Kind != Concurrent {
			g.account.used(ctx, p.claim, -back)
		}
	}
}

// end reports whether g had not ended.
func (g *Grant) end() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	ended := g.ended
	g.ended = true
	return !ended
}

func (g *Grant) undo() {
	for i := range g.parts {
		g.parts[i].giveBack(g.account, g.parts[i].claim.N)
	}
}

// giveBack takes n units of p back.
func (p *part) giveBack(a *Account, n int64) {
	if p.limit.Kind != Rate {
		p.release(n)
		p.unreserve(n)
		switch {
		case p.limit.Kind == Concurrent:
			p.releaseShared(a, n)
		case n == p.claim.N && p.remote: // all of it: also what an estimate had reserved beyond
			p.releaseShared(a, p.reserved)
		}
		return
	}
	if n == 0 {
		return
	}
	if p.sharedPart != nil && p.drawn != nil && p.drawn.giveBack(n, p.at) {
		return
	}
	if p.remote {
		a.e.shared.settler.add(a.id, Return{Counter: p.counter(), N: n, At: time.Unix(0, p.at)}, nil)
	}
	p.giveBackHere(a, n)
}

// giveBackHere takes n units of a rate back that this process counted.
func (p *part) giveBackHere(a *Account, n int64) {
	if len(p.limit.rule.windows) == 0 {
		return // the plan of then did not count them
	}
	for n > 0 {
		s := a.state.Load()
		e := s.entry(p.claim.Limit)
		switch {
		case p.limit.Per == PerKey:
			if e.keys == nil || e.keys.giveBack(p.claim.Key, n, p.at) {
				return
			}
		case e.cell == nil || e.under.rule.giveBack(e.cell, 0, n, p.at, a.e.clk):
			a.wear(s, e)
			return
		}
		a.renew(s)
	}
}

// wear sees to it that a counter that has gone far begins anew.
func (a *Account) wear(s *accountState, e *entry) {
	if e.cell != nil && e.cell.load(wordUsed) > worn {
		a.renew(s)
	}
}

// force counts n units more, whatever the limit.
func (p *part) force(a *Account, n int64) {
	if p.limit.Kind != Rate {
		p.add(n)
		if p.remote && p.limit.Kind == Concurrent {
			p.reserved += n
			a.e.shared.holdings.assume(a.id, p.counter(), n)
		}
		return
	}
	if p.remote {
		a.e.shared.settler.add(a.id, Return{Counter: p.counter(), N: -n}, nil)
	}
	for {
		s := a.state.Load()
		e := s.entry(p.claim.Limit)
		switch {
		case !e.counts():
			return
		case e.limit.Per == PerKey:
			if e.keys.force(p.claim.Key, n) {
				return
			}
		case e.under.rule.force(e.cell, 0, n, a.e.clk):
			a.wear(s, e)
			return
		}
		a.renew(s)
	}
}

// releaseShared lets go of n units that this process holds in the store, or of which a
// lease does.
func (p *part) releaseShared(a *Account, n int64) {
	if !p.remote {
		return
	}
	if n = min(n, p.reserved); n > 0 {
		p.reserved -= n
		if p.drawn == nil || !p.drawn.giveBack(n, p.at) {
			a.e.shared.holdings.release(a.id, p.counter(), n)
		}
	}
}

// keepShared tells the store what stays in stock, and lets go of what was reserved for
// it once the store knows.
func (p *part) keepShared(a *Account) {
	if !p.remote {
		return
	}
	shared, id, c, reserved := a.e.shared, a.id, p.counter(), p.reserved
	shared.settler.add(id, Return{Counter: c, Kept: p.claim.N}, func() { shared.holdings.release(id, c, reserved) })
}

// release, unreserve and add are of what is held.

func (p *part) release(n int64) {
	switch {
	case p.gauges != nil:
		p.gauges.release(p.claim.Key, n)
	case p.gauge != nil:
		p.gauge.release(n)
	}
}

func (p *part) unreserve(n int64) {
	if p.gauge != nil && p.limit.Kind == Stock {
		p.gauge.reserved.Add(-n)
	}
}

func (p *part) add(n int64) {
	switch {
	case p.gauges != nil:
		p.gauges.add(p.claim.Key, n)
	case p.gauge != nil:
		p.gauge.add(n)
		if p.limit.Kind == Stock {
			p.gauge.reserved.Add(n)
		}
	}
}
