package quota

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// flight is a question for an account's plan that is on its way.
type flight struct {
	done chan struct{}
	err  error // once done is closed
}

// serves reports whether s is the account's state for the tenant as its record t
// says. A record older than the one that s was made for does not count.
func (s *accountState) serves(t *tenant.Tenant) bool {
	if t.Version < s.tenant.version {
		return true
	}
	return t.Plan == s.tenant.plan && t.Parent == s.tenant.parent && t.Version == s.tenant.version
}

// refresh asks for the plan of t, the account's tenant, with all others who do. It
// does not wait while the plan that is known is good enough, and goes on with that
// while the source fails.
func (a *Account) refresh(ctx context.Context, t tenant.Tenant) error {
	for {
		old, now := a.state.Load(), a.e.clk.exact()
		if old != nil && !old.serves(&t) {
			old = nil
		}
		if old != nil && now < old.fresh {
			return nil
		}
		f := a.ask(ctx, t)
		if old != nil && now < old.fresh+int64(a.e.refreshEvery) && !old.ends(now) {
			return nil
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return fmt.Errorf("%w: plan of tenant %s: %w", ErrUnavailable, a.id, ctx.Err())
		}
		if f.err != nil {
			return a.makeDo(old, f.err)
		}
	}
}

// ends reports whether an override that s has in it is over at now.
func (s *accountState) ends(now int64) bool {
	return !s.plan.Until.IsZero() && now >= instant(s.plan.Until)
}

// makeDo goes on with old for some time, where that may be, and else returns err.
func (a *Account) makeDo(old *accountState, err error) error {
	now := a.e.clk.exact()
	if old == nil || now >= old.stale || old.ends(now) {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state.Load() == old {
		retry := *old
		retry.fresh = now + int64(a.e.refreshEvery)/10
		a.state.Store(&retry)
	}
	return nil
}

// ask begins to ask for the plan of t, if nobody does so already.
func (a *Account) ask(ctx context.Context, t tenant.Tenant) *flight {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asking != nil {
		return a.asking
	}
	f := &flight{done: make(chan struct{})}
	a.asking = f
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.e.timeout)
	go func() {
		defer cancel()
		f.err = a.learn(ctx, t)
		a.mu.Lock()
		a.asking = nil
		a.mu.Unlock()
		close(f.done)
	}()
	return f
}

// learn asks for the plan of t, and puts the account under it.
func (a *Account) learn(ctx context.Context, t tenant.Tenant) error {
	now := a.e.clk.exact()
	plan, err := a.e.planFor(ctx, t)
	if err != nil {
		return err
	}
	s := &accountState{
		plan:   plan,
		tenant: tenantState{version: t.Version, plan: t.Plan, parent: t.Parent},
		fresh:  now + int64(a.e.refreshEvery),
		stale:  now + int64(max(a.e.staleAfter, a.e.refreshEvery)),
	}
	if !plan.Until.IsZero() {
		s.fresh = min(s.fresh, instant(plan.Until))
	}
	s.setFeatures(a.id)
	levels, err := a.levels(ctx, plan)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s.ledger = a.ledger(plan, levels)
	a.state.Store(s)
	return nil
}

// setFeatures works out what the tenant id has of each feature.
func (s *accountState) setFeatures(id tenant.ID) {
	s.values, s.enabled = s.plan.values, s.plan.enabled
	for i, f := range s.plan.features {
		if f == nil || !f.Partial {
			continue
		}
		if &s.values[0] == &s.plan.values[0] { // those of all tenants of the plan
			s.values, s.enabled = slices.Clone(s.values), slices.Clone(s.enabled)
		}
		s.values[i] = f.of(f.name, string(id))
		s.enabled[i] = s.values[i] != zeroOf(s.values[i])
	}
}

// levels asks for the levels of stocks that the account has not counted yet.
func (a *Account) levels(ctx context.Context, plan *compiled) (map[int]int64, error) {
	old := a.state.Load()
	levels := make(map[int]int64)
	for i, l := range plan.limits {
		if l == nil || l.Kind != Stock || old != nil && old.entry(Ref{index: i}).stock != nil {
			continue
		}
		level, err := a.e.levels(ctx, a.id, l.name)
		if err != nil {
			return nil, fmt.Errorf("%w: level of %s of tenant %s: %w", ErrUnavailable, l.name, a.id, err)
		}
		levels[i] = level
	}
	return levels, nil
}

// ledger returns the entries of plan, with all that was counted so far. Cells of
// limits that changed are closed: whoever comes to one waits for the new state.
func (a *Account) ledger(plan *compiled, levels map[int]int64) []*entry {
	var old []*entry
	if s := a.state.Load(); s != nil {
		old = s.ledger
	}
	ledger := make([]*entry, max(len(plan.limits), len(old)))
	for i := range ledger {
		was, l := at(old, i), at(plan.limits, i)
		if was == nil && l == nil {
			continue
		}
		e := &entry{}
		if was != nil {
			*e = *was
		}
		e.rule, e.limit = nil, l
		if l != nil {
			e.enter(a.e, levels[i])
		}
		ledger[i] = e
	}
	return ledger
}

// enter makes e count by its limit, from what it remembers.
func (e *entry) enter(of *Enforcer, level int64) {
	l := e.limit
	switch {
	case l.Kind == Stock:
		if e.stock == nil {
			e.stock = new(gauge)
			e.stock.used.Store(level)
		}
	case l.Kind == Concurrent && l.Per == PerKey:
		e.heldByKey = orNew(e.heldByKey)
	case l.Kind == Concurrent:
		e.held = orNew(e.held)
	case e.counts():
		e.enterRate(of)
	}
}

func orNew[T any](p *T) *T {
	if p == nil {
		p = new(T)
	}
	return p
}

func (e *entry) enterRate(of *Enforcer) {
	l, was := e.limit, *e
	goesOn := was.under != nil && was.under.Per == l.Per
	if !goesOn || !was.under.same(l) {
		if goesOn {
			longer := *l
			longer.rule = l.rule.with(was.under.rule)
			l = &longer
		}
		e.under, e.cell, e.keys = l, nil, nil
		if l.Per == PerKey {
			e.keys = newTable(l.rule, of.clk, of.maxKeys, 1)
			if goesOn {
				e.keys.takeOver(was.keys)
			}
		} else {
			e.cell = l.rule.newCell(of.clk.exact())
			if goesOn {
				l.rule.adopt(e.cell, was.under.rule, was.cell, of.clk)
			}
		}
	}
	if l.Per == PerTenant && !l.Shadow {
		e.rule = e.under.rule
	}
}

// timeout is how long a question to the source may take, unless it is said.
const timeout = 5 * time.Second
