package quota

import (
	"sync/atomic"

	"github.com/tenancy-go/tenancy/quota/internal/count"
)

// burst spreads the units of a rule's shortest window over its length and lets only
// so many come at once. Its one word is the arrival time of the next unit.
type burst struct {
	count.Burst
	word int
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
	next, at := b.Next(arrival, n, now)
	if at > now {
		return 0, r.refused(causeOf(at), burstWindow, at, now)
	}
	return next, Decision{OK: true}
}

func (b *burst) peek(r *rule, c cell, n, now int64) Decision {
	_, d := b.next(r, c.load(b.word), n, now)
	return d
}

// force lets n units come whatever the rate.
func (b *burst) force(c cell, n, now int64) {
	for {
		arrival := c.load(b.word)
		if atomic.CompareAndSwapInt64(&c[b.word], arrival, b.After(arrival, n, now)) {
			return
		}
	}
}

// refund takes n units back that came at the time at, save what of them was due since.
func (b *burst) refund(c cell, n, at, now int64) {
	if back := b.Back(n, at, now); back > 0 {
		atomic.AddInt64(&c[b.word], -back)
	}
}

// inherit lets c owe what old does by the rate from, and never more than a window.
func (b *burst) inherit(c cell, from *burst, old cell, now int64) {
	if owed := from.Owed(old.load(from.word), now); owed > 0 {
		c.store(b.word, now+min(b.Spread(owed), b.Length))
	}
}
