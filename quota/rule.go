package quota

import (
	"slices"
	"time"

	"github.com/tenancy-go/tenancy/quota/internal/count"
)

// rule is a limit by windows, made ready to decide. All cells of a plan's tenants
// share it, and nothing changes it.
type rule struct {
	name    string
	payment bool     // more is a matter of paying
	policy  []string // the windows as clients are told of them: one field, which nobody changes
	windows []window
	active  int    // the first of windows, which the plan has; those after it only count on, in case that they come back
	words   int    // of a cell
	precise bool   // needs the exact time: it has a strict window
	quick   bool   // neither that nor a burst: take is count at a rough time
	burst   *burst // nil lets all units of a window come at once
	soft    int    // the word of the soft ceiling; 0 without soft limits
	since   int    // the word of the time from which on new windows count
	keyed   bool   // each cell is of a key
}

// window is one window of a rule.
type window struct {
	count.Roller
	public Window
	limit  int64 // with what grace adds
	warn   int64 // use above it is reported; limit and more means never
	word   int   // of the cell, where its own begin
}

// of returns the window's words in c.
func (w *window) of(c cell) []int64 { return c[w.word : w.word+w.Words()] }

// newRule returns the rule of windows that were validated, shortest first.
func newRule(name string, limit Limit, zone *time.Location) *rule {
	r := &rule{name: name, payment: limit.Payment, words: headWords}
	for _, public := range limit.sorted() {
		w := window{
			public: public,
			Roller: public.roller(zone),
			limit:  public.Limit + limit.grace(public.Limit),
			warn:   limit.warn(public.Limit),
			word:   r.words,
		}
		r.words += w.Words()
		r.precise = r.precise || public.Roll == Strict
		if w.warn < w.limit {
			r.soft = -1
		}
		r.windows = append(r.windows, w)
	}
	r.active = len(r.windows)
	r.setPolicy()
	if limit.Burst > 0 && len(r.windows) > 0 {
		first := r.windows[0]
		r.burst = &burst{count.Burst{Units: limit.Burst, Limit: first.public.Limit, Length: int64(first.public.Per.nominal())}, r.words}
		r.words++
	}
	if r.soft < 0 {
		r.soft = r.words
		r.words++
	}
	r.quick = !r.precise && r.burst == nil
	return r
}

// remembers returns r with what cells need that take over from others.
func (r *rule) remembers() *rule {
	longer := *r
	longer.since = longer.words
	longer.words++
	return &longer
}

// dormant is the limit of windows that only count.
const dormant = int64(1) << 60

// with returns r with the windows of before that it does not have, so that what was
// used of them is not forgotten.
func (r *rule) with(before *rule) *rule {
	both := *r
	both.windows = slices.Clip(both.windows)
	for _, w := range before.windows {
		has := func(mine window) bool { return count.Same(mine.Roller, w.Roller) || mine.public.Per == w.public.Per }
		if len(both.windows) < 2*maxWindows && !slices.ContainsFunc(both.windows, has) {
			w.limit, w.warn, w.word = dormant, dormant, both.words
			both.windows = append(both.windows, w)
			both.words += w.Words()
			both.precise = both.precise || w.public.Roll == Strict
		}
	}
	both.quick = !both.precise && both.burst == nil
	return &both
}

// share returns r as one of so many replicas holds it when it is alone.
func (r *rule) share(replicas int64) *rule {
	alone := *r
	alone.windows = slices.Clone(r.windows)
	for i := range alone.windows {
		w := &alone.windows[i]
		w.limit = shareOf(w.limit, replicas)
		w.warn = w.limit // warning is the store's
	}
	alone.soft = 0
	return &alone
}

// same reports whether r and other decide alike.
func (r *rule) same(other *rule) bool {
	return slices.EqualFunc(r.windows[:r.active], other.windows[:other.active], func(a, b window) bool {
		return a.public == b.public && a.limit == b.limit && a.warn == b.warn && count.Same(a.Roller, b.Roller)
	}) && (r.burst == nil) == (other.burst == nil) && (r.burst == nil || *r.burst == *other.burst)
}

// now returns the time of a decision.
func (r *rule) now(clk *clock) int64 {
	if r.precise {
		return clk.exact()
	}
	return clk.rough()
}

// newCell returns a cell in which nothing was used before now.
func (r *rule) newCell(now int64) cell {
	c := make(cell, r.words)
	r.start(c, now)
	return c
}

// start makes c a cell in which nothing was used before now.
func (r *rule) start(c cell, now int64) {
	used := c.load(wordUsed)
	for i := range r.windows {
		w := &r.windows[i]
		w.Start(w.of(c), used, now)
	}
	if r.burst != nil {
		c.store(r.burst.word, 0)
	}
	c.store(wordState, c.load(wordState)&stateLocked)
	r.refresh(c, now)
}

// isOf reports whether c is the cell of key, or one that keys share.
func (r *rule) isOf(c cell, key int64) bool {
	owner := c.load(wordKey)
	return !r.keyed || owner == key || owner == ofMany
}
