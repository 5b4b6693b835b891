package fairshare

import (
	"cmp"
	"fmt"
	"time"
)

// maxEstimate is the longest time after which a client is told to come back.
const maxEstimate = time.Minute

// lock begins what alters the scheduler.
func (s *Scheduler) lock() {
	s.mu.Lock()
	s.tick()
}

// unlock ends it. Only now accounts go, so that none goes that is still needed.
func (s *Scheduler) unlock() {
	s.forget()
	s.mu.Unlock()
}

// account returns o's account, a new one in no order where there is none.
func (s *Scheduler) account(o owner) *account {
	a := s.accounts[o]
	if a == nil {
		a = &account{owner: o, share: Share{Weight: 1}, service: s.clock.floor, at: s.clock.contended, seen: s.clock.now}
		s.accounts[o] = a
	}
	return a
}

// apply makes share a's from now on.
func (s *Scheduler) apply(a *account, share Share) error {
	if a.share == share {
		return nil
	}
	more := share.Dedicated - a.share.Dedicated
	if more > s.capacity-s.dedicated {
		s.change(a, func() {})
		return fmt.Errorf("%w: %d for tenant %q, %d of %d are dedicated to others",
			ErrOvercommitted, share.Dedicated, a.owner.id, s.dedicated-a.share.Dedicated, s.capacity)
	}
	s.change(a, func() {
		s.dedicated += more
		a.share = share
	})
	s.dispatch()
	return nil
}

// change lets f alter a, and has all that depends on a follow.
func (s *Scheduler) change(a *account, f func()) {
	s.advance(a)
	held, waiting, shared, weight := a.held, a.waiting.len, a.shared(), a.weight()
	f()
	s.place(a)
	s.held += a.held - held
	s.total.Waiting += a.waiting.len - waiting
	s.shared += a.shared() - shared
	s.weights += a.weight() - weight
	s.clock.settle(s.shared == 0 && s.ready.Len() == 0)
}

// place puts a into the order that it belongs to.
func (s *Scheduler) place(a *account) {
	was := a.standing
	a.standing = a.belongs()
	if was != a.standing {
		s.leave(a, was)
		if a.standing == ready {
			a.raise(s.start(a, a.waiting.first.units))
		}
	}
	a.ahead = min(a.ahead, float64(a.shared())*s.expected(a))
	switch {
	case a.standing == ready && was == ready:
		s.ready.fix(a)
	case a.standing == ready:
		s.ready.add(a)
	case a.standing == idle && was == idle:
		s.idle.fix(a)
	case a.standing == idle:
		s.idle.add(a)
	}
}

func (s *Scheduler) leave(a *account, was standing) {
	switch was {
	case ready:
		s.ready.remove(a)
	case idle:
		s.idle.remove(a)
	case apart:
	}
}

// expected returns for how long a is expected to hold units, in nanoseconds.
func (s *Scheduler) expected(a *account) float64 {
	return cmp.Or(a.typical.value, s.clock.typical.value, float64(firstTypical))
}

// forget drops idle accounts that are too many, those first who had the least. Nobody
// gains by being forgotten: newcomers start no earlier in virtual time.
func (s *Scheduler) forget() {
	for s.idle.Len() > s.config.idle {
		a := s.idle.first()
		s.clock.floor = max(s.clock.floor, a.key())
		s.idle.remove(a)
		delete(s.accounts, a.owner)
	}
}

// limit returns how many units a could have if nobody else had any.
func (s *Scheduler) limit(a *account) int64 {
	most := a.share.Dedicated + s.capacity - s.dedicated
	if a.share.Max > 0 {
		most = min(most, a.share.Max)
	}
	return most
}

// sharedFree returns how many units somebody could have who has no dedicated ones left.
func (s *Scheduler) sharedFree() int64 {
	return min(s.capacity-s.held, s.capacity-s.dedicated-s.shared)
}

// fits reports whether a may have n units now, if it is its turn.
func (s *Scheduler) fits(a *account, n int64) bool {
	more := a.sharedWith(n) - a.shared()
	return !a.atMax(n) && n <= s.capacity-s.held && (more == 0 || more <= s.capacity-s.dedicated-s.shared)
}

// estimate returns after what time n more units may be a's turn, if it holds units for as
// long as mostly, and has its part of them.
func (s *Scheduler) estimate(a *account, n int64) time.Duration {
	weights := s.weights - a.weight() + a.share.Weight
	rate := float64(a.share.Dedicated) + float64(s.capacity-s.dedicated)*float64(a.share.Weight)/float64(weights)
	if a.share.Max > 0 {
		rate = min(rate, float64(a.share.Max))
	}
	return time.Duration(max(1, min(s.expected(a)*float64(a.waiting.units+n)/rate, float64(maxEstimate))))
}
