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
	if t.Version < s.record.Version {
		return true
	}
	return t.Version == s.record.Version && t.Plan == s.record.Plan && t.Parent == s.record.Parent
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
		if err := a.waitsForItself(ctx); err != nil {
			return a.makeDo(old, err)
		}
		f := a.ask(ctx, t)
		if old != nil && now < old.fresh+int64(a.e.refreshEvery) && !old.ends(now) {
			return nil
		}
		if err := a.wait(ctx, f); err != nil {
			return a.makeDo(old, err)
		}
		if s := a.state.Load(); s.serves(&t) && !s.ends(a.e.clk.exact()) {
			return nil // fresh when it was asked for, however long that took
		}
	}
}

// wait waits for f, and not much longer than a question may take, should the source
// not heed that.
func (a *Account) wait(ctx context.Context, f *flight) error {
	timer := time.NewTimer(a.e.timeout + a.e.timeout/10)
	defer timer.Stop()
	select {
	case <-f.done:
		return f.err
	case <-timer.C:
		return fmt.Errorf("%w: plan of tenant %s: the source does not answer", ErrUnavailable, a.id)
	case <-ctx.Done():
		return fmt.Errorf("%w: plan of tenant %s: %w", ErrUnavailable, a.id, ctx.Err())
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
		if !old.plan.Until.IsZero() {
			retry.fresh = min(retry.fresh, instant(old.plan.Until))
		}
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
	if s := a.state.Load(); s != nil && t.Version < s.record.Version {
		t = s.record // whoever comes with an older one does not bring the old plan back
	}
	f := &flight{done: make(chan struct{})}
	a.asking = f
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.e.timeout)
	go func() {
		defer cancel()
		f.err = a.learnSafely(ctx, t)
		a.mu.Lock()
		a.asking = nil
		a.mu.Unlock()
		close(f.done)
	}()
	return f
}

// learnSafely is learn, and turns a panic of the source into an error: no server's
// handler is there to catch it.
func (a *Account) learnSafely(ctx context.Context, t tenant.Tenant) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: plan of tenant %s: panic: %v", ErrUnavailable, a.id, fault)
		}
	}()
	return a.learn(ctx, t)
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
		record: t,
		fresh:  now + int64(a.e.refreshEvery),
		stale:  now + int64(max(a.e.staleAfter, a.e.refreshEvery)),
	}
	if !plan.Until.IsZero() {
		s.fresh = min(s.fresh, instant(plan.Until))
	}
	s.setFeatures(a.id)
	levels, err := a.levels(learning{a, plan}.in(ctx), plan)
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
	if a.e.shared != nil {
		return nil, nil // the store keeps them
	}
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
		ref := Ref{index: i}
		if a.e.shared != nil && e.soft == nil {
			e.soft = new(softState)
		}
		if l != nil {
			e.enter(a.e, levels[i])
			ref.name = l.name
		}
		e.enterLease(a, ref)
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
	if e.limit.Per == PerKey {
		e.enterKeys(of)
		return
	}
	l, was := e.limit, *e
	if was.under == nil || !was.under.same(l) || was.cell.load(wordUsed) > worn {
		if was.under != nil {
			l = l.with(was.under)
		}
		e.under, e.cell = l, l.rule.newCell(of.clk.exact())
		if was.under != nil {
			l.rule.adopt(e.cell, was.under.rule, was.cell, of.clk)
		}
	}
	if !l.Shadow && of.shared == nil {
		e.rule = e.under.rule
	}
}

func (e *entry) enterKeys(of *Enforcer) {
	l, was := e.limit, *e
	if was.underKeys != nil && was.underKeys.same(l) && !was.keys.worn.Load() {
		return
	}
	if was.underKeys != nil {
		l = l.with(was.underKeys)
	}
	e.underKeys, e.keys = l, newTable(l.rule, of.clk, of.maxKeys, 1)
	if was.underKeys != nil {
		e.keys.takeOver(was.keys)
	}
}

// with returns l with the windows of before that it does not have.
func (l *limit) with(before *limit) *limit {
	longer := *l
	longer.rule = l.rule.with(before.rule)
	return &longer
}

// timeout is how long a question to the source may take, unless it is said.
const timeout = 5 * time.Second
