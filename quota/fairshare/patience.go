package fairshare

import "time"

// parking is units that an owner has released, and that wait for its next request. They
// count as held until then. One that ended early stays listed for as long.
type parking struct {
	account *account
	until   time.Time
}

// park keeps n units that a has just released, if a would have its turn if it asked now,
// and asked as soon as that the last time.
func (s *Scheduler) park(a *account, n int64) {
	a.left = s.clock.now
	if !a.prompt || a.waiting.len > 0 || a.parked > 0 || a.sharedWith(n) == 0 {
		return
	}
	next := s.next()
	if next == nil || next.rank() < fair || next.key() <= max(a.key(), s.start(a, n)) {
		return
	}
	s.change(a, func() {
		a.parked = n
		a.held += n
	})
	a.until = s.clock.now.Add(s.patience)
	s.parked = append(s.parked, parking{a, a.until})
	if len(s.parked) == 1 {
		s.rouse(s.patience)
	}
}

// unpark gives back what is parked for a, and takes down whether it came in time.
func (s *Scheduler) unpark(a *account, prompt bool) {
	a.prompt = prompt
	if a.parked > 0 {
		s.change(a, func() {
			a.held -= a.parked
			a.parked = 0
		})
	}
}

// returned is unpark for an owner that asks again.
func (s *Scheduler) returned(a *account) {
	s.unpark(a, s.patience > 0 && s.clock.now.Sub(a.left) <= s.patience)
}

// expire gives back what was parked for too long.
func (s *Scheduler) expire() {
	s.lock()
	defer s.unlock()
	for len(s.parked) > 0 {
		first := s.parked[0]
		if left := first.until.Sub(s.clock.now); left > 0 {
			s.rouse(left)
			break
		}
		s.parked = s.parked[1:]
		if a := first.account; a.parked > 0 && a.until.Equal(first.until) {
			s.unpark(a, false)
		}
	}
	s.dispatch()
}

// rouse has what is parked looked at after d.
func (s *Scheduler) rouse(d time.Duration) {
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.expire)
		return
	}
	s.timer.Reset(d)
}
