package quota

import "sync/atomic"

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
	return r.rollLocked(c, clk)
}

// rollLocked brings c, which is locked, up to the time, which it returns. The time is
// read under the lock: one from before it might lie before what another has rolled c to
// since. A closed cell stays as it is. No window has ended before the edge, so until just
// before it all are what they were when c was rolled last.
func (r *rule) rollLocked(c cell, clk *clock) int64 {
	now := clk.exact()
	used, edge := c.load(wordUsed), c.load(wordEdge)
	if used >= closed {
		return now
	}
	if now >= edge {
		for i := range r.windows {
			w := &r.windows[i]
			w.Roll(w.of(c), used, edge-1, now)
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
		top, until := w.Ceiling(words, w.limit, now)
		ceiling, edge = min(ceiling, top), min(edge, until)
		if at := w.Retry(words, used, w.limit, 1, now); at > retry {
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
	now := r.rollLocked(c, clk)
	used := c.load(wordUsed)
	if used+n <= c.load(wordCeiling) {
		return Decision{}, true
	}
	latest, closest := now, 0
	for i := range r.windows {
		w := &r.windows[i]
		if at := w.Retry(w.of(c), used, w.limit, n, now); at > latest {
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
	now := r.rollLocked(c, clk)
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
	now := r.rollLocked(c, clk)
	used := c.load(wordUsed)
	var passed int64
	for i := range r.windows {
		w := &r.windows[i]
		top, _ := w.Ceiling(w.of(c), w.limit, now)
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
	now := r.rollLocked(c, clk)
	used, state := c.load(wordUsed), c.load(wordState)
	for i := range r.windows {
		if isNew := state>>(newShift+i)&1 != 0; isNew && at < c[r.since] {
			continue // it did not count then
		}
		w := &r.windows[i]
		w.Refund(w.of(c), used, n, at, now)
	}
	if r.burst != nil {
		r.burst.refund(c, n, at, now)
	}
	r.refresh(c, now)
	return true
}
