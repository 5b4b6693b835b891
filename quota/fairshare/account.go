package fairshare

import (
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// owner is whose units they are: a tenant's or the platform's.
type owner struct {
	id     tenant.ID
	system bool
}

// account is what a scheduler keeps about an owner. [Scheduler.change] alone alters it,
// but for its clocks.
type account struct {
	owner   owner
	share   Share // as of the last request
	held    int64 // units
	waiting line
	figures Usage

	// service is what the owner had of the shared units under contention, in
	// unit-nanoseconds by weight, until the contended time at, and ahead, not by weight,
	// what it is expected to have yet of those that it holds.
	service, ahead float64
	at             time.Duration
	seen           time.Time // until when figures.UnitSeconds counts
	typical        typical   // of its holds

	standing standing
	index    int // within the order of its standing

	parked int64     // units of those held that were released, and wait for the next request
	until  time.Time // how long they do
	left   time.Time // of the last release
	prompt bool      // the last request came soon after a release
}

// standing says in which order of the scheduler an account is.
type standing int

const (
	apart standing = iota // in none: it has units, or waits for its own to come back
	ready                 // its first request may be granted once there are units
	idle                  // it has no units, not even dedicated ones, and waits for none
)

// key is where the owner's next request starts in virtual time. Between two changes of the
// account it only grows.
func (a *account) key() float64 { return a.service + a.ahead/float64(a.share.Weight) }

// raise has the next request start at least there.
func (a *account) raise(start float64) { a.service += max(0, start-a.key()) }

// shared returns how many of the units held are not dedicated ones.
func (a *account) shared() int64 { return a.sharedWith(0) }

// sharedWith is shared with n units more.
func (a *account) sharedWith(n int64) int64 { return max(0, a.held+n-a.share.Dedicated) }

// atMax reports whether the owner's own bound forbids n units more.
func (a *account) atMax(n int64) bool { return a.share.Max > 0 && a.held+n > a.share.Max }

// belongs returns the standing that is due: it depends on the account alone.
func (a *account) belongs() standing {
	switch first := a.waiting.first; {
	case first == nil && a.held == 0 && a.share.Dedicated == 0:
		return idle
	case first != nil && (!a.atMax(first.units) || a.tooLarge(first.units)):
		return ready // to be refused, if it is too large since its Max is lower
	default:
		return apart
	}
}

// tooLarge reports whether the owner's own bound forbids n units whatever it has.
func (a *account) tooLarge(n int64) bool { return a.share.Max > 0 && n > a.share.Max }

// Ranks of accounts that are ready.
const (
	owed       = iota // dedicated units
	collecting        // free units are kept for its request until they are enough
	fair              // its turn depends on what it had
)

// rank returns what comes before all fairness in an account that is ready.
func (a *account) rank() int {
	switch first := a.waiting.first; {
	case a.held+first.units <= a.share.Dedicated:
		return owed
	case first.kept:
		return collecting
	default:
		return fair
	}
}

// competes reports whether the owner has shared units or may have some soon.
func (a *account) competes() bool { return a.standing == ready || a.shared() > 0 }

// weight returns the owner's part of what those who compete share.
func (a *account) weight() int64 {
	if a.competes() {
		return a.share.Weight
	}
	return 0
}

// unitSeconds returns what the figures have not counted yet.
func (a *account) unitSeconds(now time.Time) float64 {
	return float64(a.held) * now.Sub(a.seen).Seconds()
}

// waiter is a request that waits for units.
type waiter struct {
	account *account
	units   int64
	turn    uint64 // grows with each waiter of the scheduler
	kept    bool   // it was its turn when there were units, but too few
	since   time.Time
	result  chan result // receives one

	queued     bool
	prev, next *waiter // around it in its line
}

// result is what becomes of a waiter.
type result struct {
	hold *Hold
	err  error
}

// line is an account's waiters in order of arrival. The zero value is empty.
type line struct {
	first, last *waiter
	len         int
	units       int64
}

func (l *line) push(w *waiter) {
	w.queued, w.prev = true, l.last
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
	l.len++
	l.units += w.units
}

func (l *line) remove(w *waiter) {
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.queued, w.prev, w.next = false, nil, nil
	l.len--
	l.units -= w.units
}
