package quota

import (
	"sync/atomic"
)

// burst spreads the units of a rule's shortest window over its length and lets only
// so many come at once: the generic cell rate algorithm (ITU-T I.371), whose one
// word is the theoretical arrival time of the next unit.
type burst struct {
	word          int
	units         int64 // that may come at once
	limit, length int64 // units per nanoseconds
}

// spread returns the time that n units take at the rate.
func (b *burst) spread(n int64) int64 { return mulDivUp(n, b.length, b.limit) }

func (b *burst) take(r *rule, c cell, n, now int64) Decision {
	for {
		arrival := c.load(b.word)
		next, d := b.next(r, arrival, n, now)
		if !d.OK || atomic.CompareAndSwapInt64(&c[b.word], arrival, next) {
			return d
		}
	}
}

// next returns the arrival time after n units more, and whether they may come now.
func (b *burst) next(r *rule, arrival, n, now int64) (int64, Decision) {
	if b.limit == 0 || n > b.units {
		return 0, r.refused(CauseTooLarge, burstWindow, never, now)
	}
	next, room := max(arrival, now)+b.spread(n), b.spread(b.units)
	if next-now > room {
		return 0, r.refused(CauseLimit, burstWindow, next-room, now)
	}
	return next, Decision{OK: true}
}

// room returns how many units may come now.
func (b *burst) room(arrival, now int64) int64 {
	return mulDiv(max(0, b.spread(b.units)-(max(arrival, now)-now)), b.limit, b.length)
}

func (b *burst) peek(r *rule, c cell, n, now int64) Decision {
	_, d := b.next(r, c.load(b.word), n, now)
	return d
}

// force lets n units come whatever the rate.
func (b *burst) force(c cell, n, now int64) {
	for b.limit > 0 {
		arrival := c.load(b.word)
		if atomic.CompareAndSwapInt64(&c[b.word], arrival, max(arrival, now)+b.spread(n)) {
			return
		}
	}
}

func (b *burst) refund(c cell, n int64) {
	if b.limit > 0 {
		atomic.AddInt64(&c[b.word], -b.spread(n))
	}
}
