package quota

import (
	"context"

	"github.com/tenancy-go/tenancy/quota/internal/count"
)

// Claim asks for N units of a limit of any kind save Bandwidth, or for a resource.
type Claim struct {
	Limit Ref
	// Key is whose units they are, for limits per key. For a set of resources it is
	// the name of the resource; N units are counted by each limit whose pattern fits.
	Key string
	N   int64
}

// Claim grants all of claims or none: units of rates are counted, room in stocks is
// taken, and what is concurrent is held until [Grant.Done]. The decision is that of
// the claim that refused, or else of the one with the least left.
//
// No limit is touched unless all seem to have room. If another takes the last unit
// of one in between, what was taken of the others goes back at once. At most 200 limits
// can be claimed together.
func (a *Account) Claim(ctx context.Context, claims ...Claim) (*Grant, Decision) {
	g := &Grant{}
	d := a.claim(ctx, g, claims)
	if !d.OK {
		return nil, d
	}
	return g, d
}

// claim is Claim into g.
func (a *Account) claim(ctx context.Context, g *Grant, claims []Claim) Decision {
	g.account = a
	for {
		s := a.state.Load()
		d := a.claimOnce(ctx, s, g, claims)
		if !d.isMoved() {
			return d
		}
		a.renew(s)
	}
}

// claimOnce is claim under the plan of s. The decision is moved if there is another
// by now.
func (a *Account) claimOnce(ctx context.Context, s *accountState, g *Grant, claims []Claim) Decision {
	parts := g.few[:0]
	for _, c := range claims {
		c.Limit = a.own(c.Limit)
		var d Decision
		if parts, d = s.parts(parts, c); !d.OK {
			a.refuse(ctx, c, d)
			return d
		}
	}
	if len(parts) > maxSteps {
		d := because(CauseInvalid, parts[maxSteps].limit.name)
		a.refuse(ctx, parts[maxSteps].claim, d)
		return d
	}
	if a.e.shared != nil {
		return a.claimShared(ctx, s, g, parts)
	}
	if len(parts) > 1 {
		for i := range parts {
			if d := parts[i].peek(s, a.e.clk); !d.OK && !parts[i].limit.Shadow {
				if !d.isMoved() {
					a.refuse(ctx, parts[i].claim, d)
				}
				return d
			}
		}
	}
	least := Decision{OK: true, amount: maxUnits}
	for i := range parts {
		p := &parts[i]
		d := p.take(s, a.e.clk)
		if !d.OK && !d.isMoved() && p.limit.Shadow {
			a.event(ctx, Event{Kind: Shadowed}, p.claim)
			p.claim.N = 0
			d = p.limit.rule.granted(0)
		}
		if !d.OK {
			g.parts = parts[:i]
			g.undo()
			if !d.isMoved() {
				a.refuse(ctx, p.claim, d)
			}
			return d
		}
		p.warned = d.warned()
		if d.amount <= least.amount && p.claim.N > 0 {
			least = d
		}
	}
	g.parts = parts
	a.tell(ctx, parts)
	return least
}

// parts adds to parts what c asks for. It refuses what the plan does not have.
func (s *accountState) parts(parts []part, c Claim) ([]part, Decision) {
	l := at(s.plan.limits, c.Limit.index)
	if c.N < 0 || c.N > maxUnits || l != nil && l.Kind == Bandwidth {
		return parts, because(CauseInvalid, c.Limit.name)
	}
	if l != nil {
		return append(parts, part{claim: c, asked: c.Limit.index, limit: l}), Decision{OK: true}
	}
	set := at(s.plan.resources, c.Limit.index)
	switch {
	case set == nil:
		return parts, because(CauseNotInPlan, c.Limit.name)
	case c.Key == "":
		return parts, because(CauseInvalid, c.Limit.name)
	case !set.Allows(c.Key):
		return parts, because(CauseNotInPlan, limitName(c.Limit.name, clip(c.Key)))
	}
	for _, own := range set.limits {
		if match(own.pattern, c.Key) {
			l := s.plan.limits[own.index]
			parts = append(parts, part{claim: Claim{Limit: Ref{name: l.name, index: own.index}, N: c.N}, asked: c.Limit.index, limit: l})
		}
	}
	return parts, Decision{OK: true}
}

// part is what a grant has of one limit.
type part struct {
	claim  Claim // how many units it has by now
	asked  int   // the number of whom the claim named: the limit, or a set of resources
	limit  *limit
	at     int64  // when they were counted
	gauge  *gauge // of what is held, which outlives the plan
	gauges *gauges
	warned uint32

	remote      bool // a Store has counted it, or is to
	*sharedPart      // with a Store; nil else
}

// sharedPart is what a part knows of the Store.
type sharedPart struct {
	key      string // of the store's counter
	drawn    *lease // where the units come from, if from one
	alone    bool   // it was let in without the store
	shadowed bool   // the limit is only there to look at, and would have refused
	reserved int64  // units that this process holds in the store for it
	left     int64  // units that the store had left
	edge     int64  // nanoseconds until it may have more
	soft     *softState
}

// peek returns a refusal if p has no room, without taking anything.
func (p *part) peek(s *accountState, clk *clock) Decision {
	e := s.entry(p.claim.Limit)
	switch {
	case p.limit.Kind != Rate:
		used := e.heldBy(p.claim.Key)
		if p.limit.max != Unlimited && used+p.claim.N > p.limit.max {
			return p.limit.full(p.claim.N)
		}
		return Decision{OK: true}
	case len(p.limit.rule.windows) == 0 || p.claim.N == 0:
		return Decision{OK: true}
	case p.limit.Per == PerKey:
		return e.keys.peek(p.claim.Key, p.claim.N)
	default:
		return e.under.rule.peek(e.cell, 0, p.claim.N, clk)
	}
}

// heldBy returns what key holds.
func (e *entry) heldBy(key string) int64 {
	if e.limit.Per == PerKey {
		return e.heldByKey.used(key)
	}
	return e.gauge().used.Load()
}

// gauge returns what counts for the tenant as a whole.
func (e *entry) gauge() *gauge {
	if e.limit.Kind == Stock {
		return e.stock
	}
	return e.held
}

// take counts or holds the units of p.
func (p *part) take(s *accountState, clk *clock) Decision {
	e, c := s.entry(p.claim.Limit), p.claim
	if p.limit.Kind != Rate {
		return p.hold(e)
	}
	p.at = p.limit.rule.now(clk)
	switch {
	case len(p.limit.rule.windows) == 0:
		return p.limit.rule.granted(maxUnits)
	case c.N == 0: // free, also for who has nothing left
		return p.limit.rule.granted(0)
	case p.limit.Per == PerKey:
		return e.keys.take(c.Key, c.N)
	default:
		return e.under.rule.take(e.cell, 0, c.N, clk)
	}
}

// hold takes the units of p, which is not of kind Rate.
func (p *part) hold(e *entry) Decision {
	var used int64
	var ok, warned bool
	n, l := p.claim.N, p.limit
	if l.Per == PerKey {
		p.gauges = e.heldByKey
		used, warned, ok = p.gauges.take(p.claim.Key, n, l.max, l.warn)
	} else {
		p.gauge = e.gauge()
		used, warned, ok = p.gauge.take(n, l.max, l.warn)
	}
	if !ok {
		return l.full(n)
	}
	if p.gauge != nil && l.Kind == Stock {
		p.gauge.reserved.Add(n)
	}
	d := l.rule.granted(maxUnits)
	if l.max != Unlimited {
		d.amount = l.max - used
	}
	if warned {
		d.code = 1
	}
	return d
}

// full is the refusal of n units for which there is no room.
func (l *limit) full(n int64) Decision {
	switch {
	case n > l.max:
		return l.rule.refused(CauseTooLarge, noWindow, never, 0)
	case l.Kind == Concurrent:
		return l.rule.refused(CauseBusy, noWindow, count.BusyRetry, 0)
	default:
		return l.rule.refused(CauseStock, noWindow, never, 0)
	}
}
