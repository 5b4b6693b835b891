package quota

import (
	"sync/atomic"

	"github.com/tenancy-go/tenancy/quota/internal/count"
)

// adopt closes old, a cell of another rule, and lets c, which nobody else uses,
// remember what was used of it. The counter of c does not go down.
func (r *rule) adopt(c cell, from *rule, old cell, clk *clock) {
	old.lock()
	defer old.unlock()
	now := from.rollLocked(old, clk)
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
		w.Shift(w.of(c), shift)
		w.Bound(w.of(c), used+shift, worn)
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
		if count.Same(was.Roller, w.Roller) {
			copy(words, theirs)
			wasNew := old.load(wordState)>>(newShift+i)&1 != 0
			return wasNew && now-old[r.since] < 2*int64(w.public.Per.nominal())
		}
		if was.public.Per.nominal() <= w.public.Per.nominal() {
			top, _ := was.Ceiling(theirs, was.limit, now)
			known = max(known, used-(top-was.limit))
		}
		// A period in another time zone ends when it would have, or later: moving
		// from zone to zone brings no units back.
		if was.public.Per == w.public.Per && was.public.Roll == Calendar && w.public.Roll == Calendar {
			copy(words, theirs)
			w.Roller.(count.Calendar).Move(words, now)
			return false
		}
	}
	w.Start(words, used-known, now)
	return true
}

// imitate lets c remember at now what from, another cell of r, does. The counter of
// c does not go down.
func (r *rule) imitate(c, from cell, now int64) {
	for i := range r.windows {
		w := &r.windows[i]
		copy(w.of(c), w.of(from))
		w.Shift(w.of(c), c.load(wordUsed)-from.load(wordUsed))
	}
	if r.burst != nil {
		c.store(r.burst.word, from.load(r.burst.word))
	}
	r.refresh(c, now)
}

// step moves the counter of c, which is locked, and all that goes by it, one further.
func (r *rule) step(c cell, clk *clock) {
	atomic.AddInt64(&c[wordUsed], 1)
	for i := range r.windows {
		w := &r.windows[i]
		w.Shift(w.of(c), 1)
	}
	r.rollLocked(c, clk)
}

// isFresh reports whether c decides at now as a new cell would.
func (r *rule) isFresh(c cell, now int64) bool {
	used := c.load(wordUsed)
	for i := range r.windows {
		w := &r.windows[i]
		if top, _ := w.Ceiling(w.of(c), w.limit, now); top != used+w.limit {
			return false
		}
	}
	return r.burst == nil || c.load(r.burst.word) <= now
}
