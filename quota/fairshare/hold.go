package fairshare

import (
	"context"
	"time"
)

// Hold is units that a tenant has until they are released.
type Hold struct {
	scheduler *Scheduler
	account   *account
	units     int64
	since     time.Time
	at        time.Duration // contended time when it was granted
	shared    int64         // units that were not dedicated ones then
	expected  float64       // nanoseconds that each of these was charged ahead for
	released  bool          // guarded by scheduler.mu, as is unbind
	unbind    func() bool   // set by Until
}

// Release gives the units back. Further calls, and calls on nil, do nothing.
func (h *Hold) Release() {
	if h == nil || h.scheduler == nil {
		return
	}
	if unbind := h.release(); unbind != nil {
		unbind()
	}
}

func (h *Hold) release() (unbind func() bool) {
	s := h.scheduler
	s.lock()
	defer s.unlock()
	if h.released {
		return nil
	}
	h.released = true
	held := s.clock.now.Sub(h.since)
	s.clock.typical.learn(held)
	h.account.typical.learn(held)
	s.change(h.account, func() {
		h.account.held -= h.units
		h.account.ahead = max(0, h.account.ahead-h.ahead())
	})
	s.park(h.account, h.units)
	s.dispatch()
	return h.unbind
}

// ahead is what h was charged ahead and did not use.
func (h *Hold) ahead() float64 {
	return float64(h.shared) * max(0, h.expected-float64(h.scheduler.clock.contended-h.at))
}

// Until has h released when ctx ends, too, and returns h. It suits work that has surely
// stopped by then: ctx ends whether or not somebody still uses what h stands for.
func (h *Hold) Until(ctx context.Context) *Hold {
	if h == nil || h.scheduler == nil {
		return h
	}
	unbind := context.AfterFunc(ctx, h.Release)
	h.scheduler.mu.Lock()
	defer h.scheduler.mu.Unlock()
	if h.released {
		unbind()
		return h
	}
	if former := h.unbind; former != nil {
		last := unbind
		unbind = func() bool { former(); return last() }
	}
	h.unbind = unbind
	return h
}
