package quota

import (
	"context"
	"sync"
)

// Grant is what a [Claim] was granted. End it with Done or Cancel, whichever comes
// first counts; a Grant of rates alone may as well be dropped.
type Grant struct {
	account *Account
	mu      sync.Mutex
	ended   bool
	parts   []part
	few     [3]part
}

// Done ends the grant: what was held is free again. What was counted, and what was
// put into stock, stays.
func (g *Grant) Done() {
	if g != nil && g.end() {
		for i := range g.parts {
			p := &g.parts[i]
			switch p.limit.Kind {
			case Concurrent:
				p.release(p.claim.N)
			case Stock:
				p.unreserve(p.claim.N)
			default:
			}
		}
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
	if g.ended {
		return
	}
	for i := range g.parts {
		p := &g.parts[i]
		if p.claim.Limit != limit || actual == p.claim.N {
			continue
		}
		more := actual - p.claim.N
		if more < 0 {
			p.giveBack(g.account, -more)
		} else {
			p.force(g.account, more)
		}
		p.claim.N = actual
		if p.limit.Kind != Concurrent {
			g.account.used(ctx, p.claim, more)
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
		return
	}
	for n > 0 {
		s := a.state.Load()
		e := s.entry(p.claim.Limit)
		switch {
		case !e.counts():
			return // the plan of now does not count them
		case e.limit.Per == PerKey:
			if e.keys.giveBack(p.claim.Key, n, p.at) {
				return
			}
		case e.under.rule.giveBack(e.cell, 0, n, p.at, a.e.clk):
			return
		}
	}
}

// force counts n units more, whatever the limit.
func (p *part) force(a *Account, n int64) {
	if p.limit.Kind != Rate {
		p.add(n)
		return
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
			return
		}
	}
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
		p.gauge.used.Add(n)
		if p.limit.Kind == Stock {
			p.gauge.reserved.Add(n)
		}
	}
}
