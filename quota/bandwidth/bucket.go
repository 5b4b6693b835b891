package bandwidth

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// bucket is what one tenant may move in one direction. The tokens are a
// [rate.Limiter]'s. The waiting is not: there, one who gives up leaves a gap that
// nobody uses, and a changed rate does not reach those who wait already.
type bucket struct {
	turn    chan struct{} // held by the one who waits for tokens; the others queue for it, first come, first served
	refresh time.Duration

	mu      sync.Mutex    // held for no longer than it takes to count
	limiter *rate.Limiter // of the last limit; nil before the first
	limited bool          // whether limiter applies
	quantum int           // the most that is granted at once
	step    int           // the most that is waited for at once
	credit  int64         // taken from limiter, but not moved
	queued  int64         // bytes of those who wait
	due     time.Time     // when to ask for the limits again
	dropped bool          // nobody comes here any more
}

// answer is what came of asking for bytes.
type answer struct {
	granted int           // bytes that may be moved now
	queued  int           // else: bytes to wait for
	wait    time.Duration // for so long, as things stand
	stale   bool          // neither: ask for the limits first
	at      time.Time
}

// take grants as many of n bytes as there are, if that is a step at least and nobody waits
// for them. Else a step is counted as waiting, until leave, unless that would take
// longer than patience. To one who has not just asked, it may be stale.
func (b *bucket) take(n int, patience time.Duration, asked bool) answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now() // under mu, since a Limiter whose time goes back counts a span twice
	if b.stale(now, asked) {
		return answer{stale: true}
	}
	if b.queued == 0 || !b.limited {
		if granted := b.spend(now, n); granted > 0 {
			return answer{granted: granted, at: now}
		}
	}
	a := answer{queued: min(n, b.step), at: now}
	a.wait = b.until(now, b.queued+int64(a.queued))
	if a.wait <= patience {
		b.queued += int64(a.queued)
	}
	return a
}

// takeInTurn is take for the one who holds the turn.
func (b *bucket) takeInTurn(n int) answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if granted := b.spend(now, n); granted > 0 {
		return answer{granted: granted, at: now}
	}
	n = min(n, b.step)
	return answer{queued: n, at: now, wait: b.until(now, int64(n))}
}

// size returns how many bytes take would grant, or let wait, at once.
func (b *bucket) size(asked bool) (n int, stale bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	switch {
	case b.stale(now, asked):
		return 0, true
	case !b.limited:
		return b.quantum, false
	default:
		return max(b.step, int(min(b.have(now), float64(b.quantum)))), false
	}
}

// leave takes n bytes off those that wait.
func (b *bucket) leave(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queued -= int64(n)
}

// refund gives back what was granted and not moved.
func (b *bucket) refund(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limited {
		b.credit += int64(n)
	}
}

// lack returns how long a step, or n bytes if that is less, would wait.
func (b *bucket) lack(n int64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until(time.Now(), b.queued+min(n, int64(b.step)))
}

// spend takes n bytes, or as many as there are if that is a step at least.
func (b *bucket) spend(now time.Time, n int) int {
	n = min(n, b.quantum)
	if !b.limited {
		return n
	}
	have := b.have(now)
	if have < float64(min(n, b.step)) {
		return 0
	}
	n = int(min(float64(n), have))
	credit := min(b.credit, int64(n))
	if !b.limiter.AllowN(now, n-int(credit)) {
		return 0
	}
	b.credit -= credit
	return n
}

// have returns how many bytes there are. Credit, too, only fills the bucket up.
func (b *bucket) have(now time.Time) float64 {
	tokens := b.limiter.TokensAt(now)
	b.credit = min(b.credit, int64(float64(b.limiter.Burst())-tokens))
	return tokens + float64(b.credit)
}

// until returns how long it takes for n bytes to be there: at least a nanosecond,
// unless they are.
func (b *bucket) until(now time.Time, n int64) time.Duration {
	if !b.limited {
		return 0
	}
	missing := float64(n) - b.have(now)
	if missing <= 0 {
		return 0
	}
	d := math.Ceil(missing / float64(b.limiter.Limit()) * float64(time.Second))
	if d >= float64(noBound) {
		return noBound
	}
	return time.Duration(d)
}

// stale reports whether the limits have to be asked for. It says so to one only: the
// others go on with the old ones meanwhile.
func (b *bucket) stale(now time.Time, asked bool) bool {
	if b.dropped || asked || now.Before(b.due) {
		return b.dropped
	}
	b.due = now.Add(b.refresh)
	return true
}

// expire makes the limits stale.
func (b *bucket) expire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.due = time.Time{}
}

// set lets r apply from now on. What was spent stays spent; a bucket without a past is
// full.
func (b *bucket) set(r Rate, quantum int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.due = now.Add(b.refresh)
	b.quantum, b.step = quantum, quantum
	b.limited = r.BytesPerSecond > 0
	if !b.limited {
		return
	}
	b.quantum = int(min(int64(quantum), r.Burst))
	b.step = int(min(int64(b.quantum), r.BytesPerSecond)) // so that nobody holds the turn for more than a second
	burst := int(min(r.Burst, math.MaxInt))
	if b.limiter == nil {
		b.limiter = rate.NewLimiter(rate.Limit(r.BytesPerSecond), burst)
		return
	}
	if limit := rate.Limit(r.BytesPerSecond); limit != b.limiter.Limit() {
		b.limiter.SetLimitAt(now, limit)
	}
	if burst != b.limiter.Burst() {
		b.limiter.SetBurstAt(now, burst)
	}
}

// fresh reports whether a new bucket would do as well. The caller holds mu.
func (b *bucket) fresh(now time.Time) bool {
	if now.Before(b.due) || b.queued > 0 {
		return false
	}
	return b.limiter == nil || b.have(now) >= float64(b.limiter.Burst())
}
