package fairshare

import (
	"context"
	"errors"
	"slices"
	"time"
)

// request returns n units for o, or a waiter where it has to wait and no more than room
// do already, or else an error that wraps full.
func (s *Scheduler) request(o owner, share Share, n int64, room int, full error) (*Hold, *waiter, error) {
	s.lock()
	defer s.unlock()
	a := s.account(o)
	if err := s.apply(a, share); err != nil {
		return nil, nil, err
	}
	if n > s.limit(a) {
		return nil, nil, s.refuse(a, nil, n, ErrTooLarge)
	}
	s.returned(a)
	if s.ready.Len() == 0 && a.waiting.len == 0 && s.fits(a, n) {
		return s.grant(a, nil, n), nil, nil
	}
	w := s.enqueue(a, n)
	s.dispatch()
	if !w.queued {
		r := <-w.result
		return r.hold, nil, r.err
	}
	if a.waiting.len > room {
		return nil, nil, s.refuse(a, w, n, full)
	}
	return nil, w, nil
}

// await returns what becomes of w.
func (s *Scheduler) await(ctx context.Context, w *waiter, most time.Duration) (*Hold, error) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case r := <-w.result:
		return r.hold, r.err
	case <-ctx.Done():
		return s.withdraw(w, ctx.Err())
	case <-timer.C:
		return s.withdraw(w, ErrDeadline)
	}
}

// withdraw takes w out of its line for a reason. What w was granted at the same moment
// it returns, and no error.
func (s *Scheduler) withdraw(w *waiter, reason error) (*Hold, error) {
	s.lock()
	defer s.unlock()
	if !w.queued {
		r := <-w.result
		return r.hold, r.err
	}
	err := s.refuse(w.account, w, w.units, reason)
	s.dispatch() // w may have been in the way of smaller ones
	return nil, err
}

// enqueue makes a wait for n units.
func (s *Scheduler) enqueue(a *account, n int64) *waiter {
	s.turns++
	w := &waiter{account: a, units: n, turn: s.turns, since: s.clock.now, result: make(chan result, 1)}
	s.change(a, func() { a.waiting.push(w) })
	return w
}

// dispatch grants what there is to those who wait, each in its turn. Units that are too
// few for the first are kept for it, and its turn with them.
func (s *Scheduler) dispatch() {
	for s.held < s.capacity {
		a := s.next()
		if a == nil {
			return
		}
		w := a.waiting.first
		switch {
		case w.units > s.limit(a): // since capacity or shares have changed
			w.result <- result{err: s.refuse(a, w, w.units, ErrTooLarge)}
		case !s.fits(a, w.units):
			w.kept = w.kept || s.sharedFree() > 0
			return
		default:
			w.result <- result{hold: s.grant(a, w, w.units)}
		}
	}
}

// grant gives a n units, which w waited for unless it is nil.
func (s *Scheduler) grant(a *account, w *waiter, n int64) *Hold {
	h := &Hold{scheduler: s, account: a, units: n, since: s.clock.now, at: s.clock.contended}
	s.change(a, func() {
		if w == nil {
			a.raise(s.start(a, n)) // as if it had waited for no time
		} else {
			a.waiting.remove(w)
			waited := s.clock.now.Sub(w.since)
			a.figures.Waited += waited
			s.total.Waited += waited
		}
		if h.shared = a.sharedWith(n) - a.shared(); h.shared > 0 {
			s.clock.granted(a.key())
			h.expected = s.expected(a)
			a.ahead += float64(h.shared) * h.expected
		}
		a.held += n
		a.figures.Granted++
		s.total.Granted++
	})
	return h
}

// refuse returns why a gets no n units, and ends the wait of w unless it is nil.
func (s *Scheduler) refuse(a *account, w *waiter, n int64, reason error) error {
	err := &Error{Tenant: a.owner.id, Units: n, AtMax: a.atMax(n), Err: reason}
	s.change(a, func() {
		if w != nil {
			err.Waited = s.clock.now.Sub(w.since)
			a.waiting.remove(w)
		}
		if slices.Contains(refusals, reason) {
			a.figures.Refused++
			s.total.Refused++
		} else {
			a.figures.Withdrawn++
			s.total.Withdrawn++
		}
	})
	if errors.Is(reason, ErrTooLarge) {
		err.AtMax = a.tooLarge(n)
	} else {
		err.RetryAfter = s.estimate(a, n)
	}
	return err
}
