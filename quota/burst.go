package quota

import (
	"math/bits"
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

// Bounds of times, far beyond all that matter, so that sums of them fit.
const (
	maxSpread  = int64(1) << 61
	maxArrival = int64(1) << 62
)

// spread returns the time that n units take at the rate.
func (b *burst) spread(n int64) int64 {
	hi, lo := bits.Mul64(uint64(n), uint64(b.length))
	if hi >= uint64(b.limit) {
		return maxSpread
	}
	spread, left := bits.Div64(hi, lo, uint64(b.limit))
	if spread >= uint64(maxSpread) {
		return maxSpread
	}
	if left > 0 {
		spread++
	}
	return int64(spread)
}

// after returns the arrival time after n units more.
func (b *burst) after(arrival, n, now int64) int64 {
	return min(maxArrival, max(arrival, now)+b.spread(n))
}

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
	next, room := b.after(arrival, n, now), b.spread(b.units)
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
	for {
		arrival := c.load(b.word)
		if atomic.CompareAndSwapInt64(&c[b.word], arrival, b.after(arrival, n, now)) {
			return
		}
	}
}

// refund takes n units back that came at the time at, save what of them was due since.
func (b *burst) refund(c cell, n, at, now int64) {
	if back := b.back(n, at, now); back > 0 {
		atomic.AddInt64(&c[b.word], -back)
	}
}

// back returns the time that n units, which came at the time at, still take up.
func (b *burst) back(n, at, now int64) int64 {
	if at < now-maxSpread {
		return 0
	}
	return max(0, b.spread(n)-max(0, now-at))
}

// owed returns the units that came ahead of the rate, as of now.
func (b *burst) owed(c cell, now int64) int64 {
	ahead := min(c.load(b.word)-now, b.length)
	if ahead <= 0 {
		return 0
	}
	return mulDivUp(ahead, b.limit, b.length)
}

// inherit lets c owe what old does by the rate from, and never more than a window.
func (b *burst) inherit(c cell, from *burst, old cell, now int64) {
	if owed := from.owed(old, now); owed > 0 {
		c.store(b.word, now+min(b.spread(owed), b.length))
	}
}
