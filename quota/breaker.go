package quota

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// breaker keeps callers from a store that does not answer. After so many failures in
// a row it lets nobody try for a while, and then one.
type breaker struct {
	failures atomic.Int64
	answers  atomic.Int64 // that came
	retryAt  atomic.Int64 // while open: when somebody may try
}

const (
	breakAfter = 3
	breakFor   = time.Second // and up to a fifth more, so that replicas do not come back together
)

// allows reports whether to try at now.
func (b *breaker) allows(now int64) bool {
	if b.failures.Load() < breakAfter {
		return true
	}
	retryAt := b.retryAt.Load()
	return now >= retryAt && b.retryAt.CompareAndSwap(retryAt, now+pause())
}

// rests reports whether nobody is to try at now.
func (b *breaker) rests(now int64) bool {
	return b.failures.Load() >= breakAfter && now < b.retryAt.Load()
}

// done takes down how a try went, and reports whether that changed something.
func (b *breaker) done(ok bool, now int64) (changed bool) {
	if ok {
		b.answers.Add(1)
		return b.failures.Swap(0) >= breakAfter
	}
	if failures := b.failures.Add(1); failures >= breakAfter {
		b.retryAt.Store(now + pause())
		return failures == breakAfter
	}
	return false
}

func pause() int64 { return int64(breakFor) + rand.Int64N(int64(breakFor)/5) } //nolint:gosec // no secret
