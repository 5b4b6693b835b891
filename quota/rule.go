package quota

import (
	"slices"
	"sync/atomic"
	"time"
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
	roller
	public Window
	limit  int64 // with what grace adds
	warn   int64 // use above it is reported; limit and more means never
	word   int   // of the cell, where its own begin
}

// of returns the window's words in c.
func (w *window) of(c cell) []int64 { return c[w.word : w.word+w.words()] }

// newRule returns the rule of windows that were validated, shortest first.
func newRule(name string, limit Limit, zone *time.Location) *rule {
	r := &rule{name: name, payment: limit.Payment, words: headWords}
	for _, public := range limit.sorted() {
		w := window{
			public: public,
			roller: public.roller(zone),
			limit:  public.Limit + limit.grace(public.Limit),
			warn:   limit.warn(public.Limit),
			word:   r.words,
		}
		r.words += w.words()
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
		r.burst = &burst{word: r.words, units: limit.Burst, limit: first.public.Limit, length: int64(first.public.Per.nominal())}
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
		has := func(mine window) bool { return sameRoller(mine.roller, w.roller) || mine.public.Per == w.public.Per }
		if len(both.windows) < 2*maxWindows && !slices.ContainsFunc(both.windows, has) {
			w.limit, w.warn, w.word = dormant, dormant, both.words
			both.windows = append(both.windows, w)
			both.words += w.words()
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
		return a.public == b.public && a.limit == b.limit && a.warn == b.warn && sameRoller(a.roller, b.roller)
	}) && (r.burst == nil) == (other.burst == nil) && (r.burst == nil || *r.burst == *other.burst)
}

func sameRoller(a, b roller) bool {
	x, isCalendar := a.(calendar)
	y, both := b.(calendar)
	if isCalendar && both {
		return x.period.unit == y.period.unit && x.period.zone.String() == y.period.zone.String()
	}
	return !isCalendar && !both && a == b
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
		w.start(w.of(c), used, now)
	}
	if r.burst != nil {
		c.store(r.burst.word, 0)
	}
	c.store(wordState, c.load(wordState)&stateLocked)
	r.refresh(c, now)
}

// take counts n units in c, the cell of key, if there is room for all of them, and
// none if not.
func (r *rule) take(c cell, key, n int64, clk *clock) Decision {
	now := r.now(clk)
	if r.burst == nil {
		return r.count(c, key, n, now, clk)
	}
	if d := r.burst.take(r, c, n, now); !d.OK {
		return d
	}
	d := r.count(c, key, n, now, clk)
	if !d.OK {
		r.burst.refund(c, n, now, now)
	}
	return d
}

// count is take after the burst, at the time now.
func (r *rule) count(c cell, key, n, now int64, clk *clock) Decision {
	head := (*[headWords]int64)(c)
	if now >= atomic.LoadInt64(&head[wordEdge]) {
		now = r.roll(c, clk)
	}
	for {
		used := atomic.LoadInt64(&head[wordUsed])
		left := atomic.LoadInt64(&head[wordCeiling]) - used - n
		if r.keyed && !r.isOf(c, key) { // not before the counter is read: see table
			return moved
		}
		if left < 0 {
			// A flood of single units ends here, without a lock.
			if retry := atomic.LoadInt64(&head[wordRetry]); n == 1 && now < retry {
				return r.refused(causeOf(retry), c.closest(), retry, now)
			}
			d, room := r.reconsider(c, key, n, clk)
			if !room {
				return d
			}
			continue
		}
		if atomic.CompareAndSwapInt64(&head[wordUsed], used, used+n) {
			d := r.granted(left)
			if r.soft > 0 && used+n > c.load(r.soft) {
				d.code = r.warn(c, clk)
			}
			return d
		}
	}
}

// roll brings c up to the time, which it returns.
func (r *rule) roll(c cell, clk *clock) int64 {
	c.lock()
	defer c.unlock()
	return r.rollLocked(c, clk.exact())
}

// rollLocked brings c up to now. A closed cell stays as it is. No window has ended
// before the edge, so until just before it all are what they were when c was rolled
// last.
func (r *rule) rollLocked(c cell, now int64) int64 {
	used, edge := c.load(wordUsed), c.load(wordEdge)
	if used >= closed {
		return now
	}
	if now >= edge {
		for i := range r.windows {
			w := &r.windows[i]
			w.roll(w.of(c), used, edge-1, now)
		}
	}
	r.refresh(c, now)
	return now
}

// causeOf returns why a unit is refused until retry.
func causeOf(retry int64) Cause {
	if retry == never {
		return CauseTooLarge
	}
	return CauseLimit
}

// refresh computes what follows from the windows of c at now. Others may count
// meanwhile.
func (r *rule) refresh(c cell, now int64) {
	used := c.load(wordUsed)
	ceiling, edge, soft, retry, closest := closed-1, int64(never), int64(never), now, 0
	state := c.load(wordState)
	for i := range r.windows {
		w := &r.windows[i]
		words := w.of(c)
		top, until := w.ceiling(words, w.limit, now)
		ceiling, edge = min(ceiling, top), min(edge, until)
		if at := w.retry(words, used, w.limit, 1, now); at > retry {
			retry, closest = at, i
		}
		if w.warn >= w.limit {
			continue
		}
		bit, threshold := int64(1)<<(warnedShift+i), top-w.limit+w.warn
		if used <= threshold-w.warn/10 { // well below again: whoever hovers about the limit is warned once
			state &^= bit
		}
		if state&bit == 0 {
			soft = min(soft, threshold)
		}
	}
	c.store(wordState, state&^closestMask|int64(closest)<<closestShift)
	if r.soft > 0 {
		c.store(r.soft, soft)
	}
	c.store(wordRetry, retry)
	c.store(wordEdge, edge)
	c.store(wordCeiling, ceiling)
}

// reconsider looks at the windows anew for n units that seem to have no room. If
// they have none, it returns the refusal.
func (r *rule) reconsider(c cell, key, n int64, clk *clock) (Decision, bool) {
	c.lock()
	defer c.unlock()
	if c.isClosed() || !r.isOf(c, key) {
		return moved, false
	}
	now := r.rollLocked(c, clk.exact())
	used := c.load(wordUsed)
	if used+n <= c.load(wordCeiling) {
		return Decision{}, true
	}
	latest, closest := now, 0
	for i := range r.windows {
		w := &r.windows[i]
		if at := w.retry(w.of(c), used, w.limit, n, now); at > latest {
			latest, closest = at, i
		}
	}
	return r.refused(causeOf(latest), uint8(closest), latest, now), false
}

// peek returns a refusal if c, the cell of key, has no room for n units.
func (r *rule) peek(c cell, key, n int64, clk *clock) Decision {
	if r.burst != nil {
		if d := r.burst.peek(r, c, n, r.now(clk)); !d.OK {
			return d
		}
	}
	if r.now(clk) < c.load(wordEdge) && c.load(wordUsed)+n <= c.load(wordCeiling) {
		return Decision{OK: true}
	}
	d, room := r.reconsider(c, key, n, clk)
	d.OK = room
	return d
}

// force counts n units in c, the cell of key, whatever the limit. It reports false if
// c was given up or is another key's.
func (r *rule) force(c cell, key, n int64, clk *clock) bool {
	c.lock()
	defer c.unlock()
	if c.isClosed() || !r.isOf(c, key) {
		return false
	}
	now := r.rollLocked(c, clk.exact())
	atomic.AddInt64(&c[wordUsed], max(0, min(n, lasting-c.load(wordUsed))))
	if r.burst != nil {
		r.burst.force(c, n, now)
	}
	r.refresh(c, now)
	return true
}

// warn returns the windows whose soft limit was just passed, a bit for each.
func (r *rule) warn(c cell, clk *clock) uint32 {
	c.lock()
	defer c.unlock()
	if c.isClosed() {
		return 0
	}
	now := r.rollLocked(c, clk.exact())
	used := c.load(wordUsed)
	var passed int64
	for i := range r.windows {
		w := &r.windows[i]
		top, _ := w.ceiling(w.of(c), w.limit, now)
		if w.warn < w.limit && used > top-w.limit+w.warn {
			passed |= 1 << (warnedShift + i)
		}
	}
	state := c.load(wordState)
	c.store(wordState, state|passed)
	r.refresh(c, now)
	return uint32(passed &^ state >> warnedShift)
}

// giveBack takes n units back that were counted for key at the time at. It reports
// false, and does nothing, if c was given up or is another key's.
func (r *rule) giveBack(c cell, key, n, at int64, clk *clock) bool {
	c.lock()
	defer c.unlock()
	if c.isClosed() || !r.isOf(c, key) {
		return false
	}
	now := r.rollLocked(c, clk.exact())
	used, state := c.load(wordUsed), c.load(wordState)
	for i := range r.windows {
		if isNew := state>>(newShift+i)&1 != 0; isNew && at < c[r.since] {
			continue // it did not count then
		}
		w := &r.windows[i]
		w.refund(w.of(c), used, n, at, now)
	}
	if r.burst != nil {
		r.burst.refund(c, n, at, now)
	}
	r.refresh(c, now)
	return true
}

// adopt closes old, a cell of another rule, and lets c, which nobody else uses,
// remember what was used of it. The counter of c does not go down.
func (r *rule) adopt(c cell, from *rule, old cell, clk *clock) {
	old.lock()
	defer old.unlock()
	now := from.rollLocked(old, clk.exact())
	used := atomic.SwapInt64(&old[wordUsed], closed)
	old.store(wordRetry, 0)
	old.store(wordEdge, never)

	shift := c[wordUsed] - used
	r.start(c, now)
	fresh := int64(0)
	for i := range r.windows {
		w := &r.windows[i]
		if from.inherit(w, w.of(c), old, used, now) {
			fresh |= 1 << (newShift + i)
		}
		w.shift(w.of(c), shift)
		w.bound(w.of(c), used+shift, worn)
	}
	if r.since > 0 {
		c[r.since] = now
		c.store(wordState, c.load(wordState)&^newMask|fresh)
	}
	if r.burst != nil && from.burst != nil {
		r.burst.inherit(c, from.burst, old, now)
	}
	r.refresh(c, now)
}

// inherit tells words, of the window w of another rule, what old, a cell of r,
// knows. A window that r has too goes on. One that is new counts what is known to
// have been used within its length, as if it had been just before now; inherit reports
// whether w is one, or became one not so long ago.
func (r *rule) inherit(w *window, words []int64, old cell, used, now int64) (isNew bool) {
	known := int64(0)
	for i := range r.windows {
		was := &r.windows[i]
		theirs := was.of(old)
		if sameRoller(was.roller, w.roller) {
			copy(words, theirs)
			wasNew := old.load(wordState)>>(newShift+i)&1 != 0
			return wasNew && now-old[r.since] < 2*int64(w.public.Per.nominal())
		}
		if was.public.Per.nominal() <= w.public.Per.nominal() {
			top, _ := was.ceiling(theirs, was.limit, now)
			known = max(known, used-(top-was.limit))
		}
		// A period in another time zone ends when it would have, or later: moving
		// from zone to zone brings no units back.
		if was.public.Per == w.public.Per && was.public.Roll == Calendar && w.public.Roll == Calendar {
			copy(words, theirs)
			w.roller.(calendar).move(words, now)
			return false
		}
	}
	w.start(words, used-known, now)
	return true
}

// isOf reports whether c is the cell of key, or one that keys share.
func (r *rule) isOf(c cell, key int64) bool {
	owner := c.load(wordKey)
	return !r.keyed || owner == key || owner == ofMany
}

// imitate lets c remember at now what from, another cell of r, does. The counter of
// c does not go down.
func (r *rule) imitate(c, from cell, now int64) {
	for i := range r.windows {
		w := &r.windows[i]
		copy(w.of(c), w.of(from))
		w.shift(w.of(c), c.load(wordUsed)-from.load(wordUsed))
	}
	if r.burst != nil {
		c.store(r.burst.word, from.load(r.burst.word))
	}
	r.refresh(c, now)
}

// step moves the counter of c, and all that goes by it, one further at now.
func (r *rule) step(c cell, now int64) {
	atomic.AddInt64(&c[wordUsed], 1)
	for i := range r.windows {
		w := &r.windows[i]
		w.shift(w.of(c), 1)
	}
	r.rollLocked(c, now)
}

// isFresh reports whether c decides at now as a new cell would.
func (r *rule) isFresh(c cell, now int64) bool {
	used := c.load(wordUsed)
	for i := range r.windows {
		w := &r.windows[i]
		if top, _ := w.ceiling(w.of(c), w.limit, now); top != used+w.limit {
			return false
		}
	}
	return r.burst == nil || c.load(r.burst.word) <= now
}
