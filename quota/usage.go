package quota

import (
	"context"
	"fmt"
	"time"
)

// Usage is what a tenant has used of one limit, beside what it may use: for a page
// or a report.
type Usage struct {
	Limit   string        `json:"limit"`
	Kind    Kind          `json:"kind"`
	Windows []WindowUsage `json:"windows,omitempty"` // of Rate per tenant; empty if it has none, and for other kinds
	Used    int64         `json:"used"`              // of Stock and Concurrent per tenant
	Max     int64         `json:"max"`               // of the other kinds, or Unlimited
	Warned  bool          `json:"warned"`            // the soft limit is passed
}

// WindowUsage is what was used of a window.
type WindowUsage struct {
	Window
	Used      int64     `json:"used"`
	Remaining int64     `json:"remaining"` // without what grace lets in
	Resets    time.Time `json:"resets"`    // when what was used until now no longer counts, or begins to count less
	Warned    bool      `json:"warned"`    // the soft limit is passed
}

// String returns what was used of what.
func (u WindowUsage) String() string { return fmt.Sprintf("%d of %s", u.Used, u.Window) }

// Usage returns what the tenant has used of all limits of its plan, by name.
// Limits per key, and of bandwidth, are left out. It fails only where a [Store] does.
func (a *Account) Usage(ctx context.Context) ([]Usage, error) {
	s := a.state.Load()
	var all []Usage
	for _, name := range sortedKeys(s.plan.Limits) {
		all = a.appendUsage(all, s, a.e.Ref(name))
	}
	for _, name := range sortedKeys(s.plan.Resources) {
		set := at(s.plan.resources, a.e.Ref(name).index)
		for _, l := range set.limits {
			all = a.appendUsage(all, s, Ref{index: l.index})
		}
	}
	if a.e.shared != nil {
		return a.readUsage(ctx, s, all)
	}
	return all, nil
}

// readUsage puts what the store says into all.
func (a *Account) readUsage(ctx context.Context, s *accountState, all []Usage) ([]Usage, error) {
	counters := make([]Counter, len(all))
	for i, u := range all {
		counters[i] = Counter{Limit: u.Limit, Terms: s.entry(a.e.Ref(u.Limit)).limit.terms}
	}
	ctx, cancel := context.WithTimeout(ctx, a.e.shared.timeout)
	defer cancel()
	levels, err := a.e.shared.store.Read(ctx, a.id, counters)
	if err != nil {
		return nil, fmt.Errorf("%w: usage of tenant %s: %w", ErrUnavailable, a.id, err)
	}
	for i := range all {
		e := s.entry(a.e.Ref(all[i].Limit))
		levels[i].less(e.lease.spare())
		all[i].read(e.limit, levels[i])
	}
	return all, nil
}

// less takes away n units that are counted but not used yet.
func (l *Level) less(n int64) {
	l.Used = max(0, l.Used-n)
	for i := range l.Windows {
		l.Windows[i].Used = max(0, l.Windows[i].Used-n)
	}
}

// read puts what the store says of l into u.
func (u *Usage) read(l *limit, level Level) {
	u.Used, u.Warned = level.Used, l.Kind != Rate && l.Max != Unlimited && level.Used > l.warn
	for i := range u.Windows {
		w, read := &u.Windows[i], level.Windows[i]
		w.Used, w.Resets, w.Remaining = read.Used, read.Resets, max(0, w.Limit-read.Used)
		w.Warned = l.warns() && read.Used > l.Limit.warn(w.Limit)
		u.Warned = u.Warned || w.Warned
	}
}

func (a *Account) appendUsage(all []Usage, s *accountState, limit Ref) []Usage {
	e := s.entry(limit)
	if e.limit == nil || e.limit.Per == PerKey || e.limit.Kind == Bandwidth {
		return all
	}
	u := Usage{Limit: e.limit.name, Kind: e.limit.Kind, Max: Unlimited}
	switch {
	case e.limit.Kind != Rate:
		u.Used, u.Max = e.gauge().used.Load(), e.limit.Max
		u.Warned = u.Max != Unlimited && u.Used > e.limit.warn
	case e.counts():
		if u.Windows = e.under.rule.usage(e.cell, a.e.clk); u.Windows == nil { // another plan is on its way
			a.renew(s)
			return a.appendUsage(all, a.state.Load(), limit)
		}
		for _, w := range u.Windows {
			u.Warned = u.Warned || w.Warned
		}
	}
	return append(all, u)
}

// usage returns what was used of the windows of c, or nil if c is closed.
func (r *rule) usage(c cell, clk *clock) []WindowUsage {
	c.lock()
	defer c.unlock()
	if c.isClosed() {
		return nil
	}
	now := r.rollLocked(c, clk)
	windows := make([]WindowUsage, r.active)
	for i := range windows {
		windows[i] = r.windowUsage(c, i, now)
	}
	return windows
}

// windowUsage is usage of one window of c, which is locked and was rolled to now.
func (r *rule) windowUsage(c cell, i int, now int64) WindowUsage {
	w := &r.windows[i]
	words, used := w.of(c), c.load(wordUsed)
	top, _ := w.Ceiling(words, w.limit, now)
	u := WindowUsage{Window: w.public, Used: used - (top - w.limit), Resets: time.Unix(0, w.Reset(words, now)).UTC()}
	u.Remaining = max(0, w.public.Limit-u.Used)
	u.Warned = w.warn < w.limit && u.Used > w.warn
	return u
}

// left is what is left of a window.
type left struct {
	rule         *rule
	window       *window
	units, reset int64
	share        float64 // of the limit
}

// closest returns what is left of the window of c with the least share left, and whether the soft limit of any is passed. Of a cell that is closed it knows
// nothing.
func (r *rule) closest(c cell, clk *clock) (closest left, warned bool) {
	c.lock()
	defer c.unlock()
	if c.isClosed() {
		return left{rule: r, window: &r.windows[0], share: 2}, false
	}
	now := clk.exact()
	if now >= c.load(wordEdge) {
		now = r.rollLocked(c, clk)
	}
	closest.share = 2
	used := c.load(wordUsed)
	for i := range r.windows[:r.active] {
		w := &r.windows[i]
		words := w.of(c)
		top, _ := w.Ceiling(words, w.limit, now)
		now := used - (top - w.limit)
		warned = warned || w.warn < w.limit && now > w.warn
		units := max(0, w.public.Limit-now)
		if share := float64(units) / float64(max(1, w.public.Limit)); share < closest.share {
			closest = left{rule: r, window: w, units: units, share: share}
		}
	}
	closest.reset = closest.window.Reset(closest.window.of(c), now)
	return closest, warned
}

// Count counts n units that were used already, whatever the limit: bytes that were
// sent, tokens that a stream has produced. More than the limit is owed: the next is
// refused.
func (a *Account) Count(ctx context.Context, c Claim) {
	c.Limit = a.own(c.Limit)
	s := a.state.Load()
	parts, d := s.parts(nil, c)
	if !d.OK {
		return
	}
	for i := range parts {
		p := &parts[i]
		if p.limit.Kind == Rate && !p.unlimited() {
			if a.e.shared != nil {
				p.remote, p.sharedPart = true, &sharedPart{key: s.storeKey(p)}
			}
			p.force(a, c.N)
		}
		if p.limit.Kind == Rate {
			a.used(ctx, p.claim, c.N)
		}
	}
}

// Release gives back n units of a limit of kind Stock, such as the bytes of a file
// that was deleted. More than are kept leave none.
func (a *Account) Release(ctx context.Context, limit Ref, n int64) {
	limit = a.own(limit)
	e := a.state.Load().entry(limit)
	if e.stock == nil || n <= 0 || n > maxUnits {
		return
	}
	e.stock.free(n)
	if a.e.shared != nil {
		a.e.shared.settler.add(a.id, Return{Counter: e.counter(limit), Kept: -n}, nil)
	}
	a.used(ctx, Claim{Limit: limit}, -n)
}

// Reconcile sets what is kept of a limit of kind Stock to the truth, as it was
// measured, and returns by how much the count was off. Grants that have not ended
// are not part of it, and still count beside. It fails for a limit that is not of kind
// Stock, and where a [Store] does: before it, the store hears of what this process still
// has to tell of the tenant.
func (a *Account) Reconcile(ctx context.Context, limit Ref, truth int64) (drift int64, err error) {
	limit = a.own(limit)
	e := a.state.Load().entry(limit)
	switch {
	case e.stock == nil:
		return 0, fmt.Errorf("%w: %s is no limit of kind stock of tenant %s", ErrInvalid, limit.name, a.id)
	case truth < 0 || truth > maxUnits:
		return 0, fmt.Errorf("%w: reconcile %s: want 0 to 2^53 units, got %d", ErrInvalid, limit.name, truth)
	}
	drift = e.stock.reconcile(truth) - truth
	if a.e.shared != nil {
		if drift, err = a.reconcileShared(ctx, e.counter(limit), truth); err != nil {
			return 0, err
		}
	}
	a.used(ctx, Claim{Limit: limit}, -drift)
	return drift, nil
}

// reconcileShared is Reconcile in the store.
func (a *Account) reconcileShared(ctx context.Context, c Counter, truth int64) (drift int64, err error) {
	if err := a.e.shared.settle(ctx, a.id); err != nil {
		return 0, fmt.Errorf("%w: reconcile %s of tenant %s: %w", ErrUnavailable, c.Limit, a.id, err)
	}
	var levels [2][]Level
	for i := range levels {
		if levels[i], err = a.e.shared.store.Read(ctx, a.id, []Counter{c}); err != nil {
			return 0, fmt.Errorf("%w: reconcile %s of tenant %s: %w", ErrUnavailable, c.Limit, a.id, err)
		}
		if i == 0 {
			t := a.e.shared.taking(a.id)
			t.Returns = []Return{{Counter: c, Kept: truth, Exact: true}}
			if _, err = a.e.shared.store.Take(ctx, t); err != nil {
				return 0, fmt.Errorf("%w: reconcile %s of tenant %s: %w", ErrUnavailable, c.Limit, a.id, err)
			}
		}
	}
	return levels[0][0].Used - levels[1][0].Used, nil
}

// counter returns what a store counts e in, which is of kind Stock once if not now.
func (e *entry) counter(limit Ref) Counter {
	if e.limit != nil && e.limit.Kind == Stock {
		return Counter{Limit: e.limit.name, Terms: e.limit.terms}
	}
	return Counter{Limit: limit.name, Terms: &Terms{Kind: Stock, Max: Unlimited, Zone: time.UTC}}
}

// Enabled reports whether the tenant has the feature: whether its value is true, or
// anything but zero.
func (a *Account) Enabled(feature Ref) bool {
	s := a.state.Load()
	if i := a.own(feature).index; uint(i) < uint(len(s.enabled)) {
		return s.enabled[i]
	}
	return false
}

// Value returns the tenant's value of the feature: a bool, int64, float64 or string.
// Without the feature in its plan it returns nil.
func (a *Account) Value(feature Ref) any { return at(a.state.Load().values, a.own(feature).index) }

// ValueFor is Value for who, someone of the tenant: of a feature that is rolled out
// to a percentage, each of them has a place of their own.
func (a *Account) ValueFor(feature Ref, who string) any {
	f := at(a.state.Load().plan.features, a.own(feature).index)
	if f == nil {
		return nil
	}
	return f.of(feature.name, string(a.id)+"\x00"+who)
}

// Allows reports whether the tenant may use the resource of a set, such as a model.
func (a *Account) Allows(set Ref, resource string) bool {
	r := at(a.state.Load().plan.resources, a.own(set).index)
	return r != nil && r.Allows(resource)
}
