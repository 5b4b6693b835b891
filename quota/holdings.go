package quota

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// holdings are what this process holds in the store: concurrent units, and stock that
// is reserved. A goroutine, which is there while anything is held, tells the store from
// time to time, so that it is not taken for dead.
//
// Renew says the exact number, so none may be on its way that changes it: a counter is
// renewed while nothing else about it is, and who wants units of it meanwhile waits. Who
// comes once it has to be renewed waits as well, or those who come all the time would
// keep it from that for good; and the next renewal waits for those who waited for one, or
// renewals of what is released all the time would keep them from it.
type holdings struct {
	s *sharing

	mu      sync.Mutex // guards what follows
	m       map[counterKey]*holding
	running bool
	over    chan struct{} // closed when the goroutine that runs is over
	wake    chan struct{}
}

// holding is one counter.
type holding struct {
	tenant   tenant.ID
	counter  Counter
	n        int64
	busy     int           // requests about it that are on their way
	owed     int           // requests that waited for a renewal and are not on their way yet
	dirty    bool          // the store may have another number
	renewing chan struct{} // closed when the renewal that has to be, or is, is over; nil without one
	due      int64         // when the store is to be told again
	failures int           // to tell it, in a row
	retry    int64         // when to try again after the last one
	lease    *lease        // that some of it is in; nil if none is
}

func (h *holdings) init(s *sharing) {
	h.s, h.m, h.wake = s, make(map[counterKey]*holding), make(chan struct{}, 1)
}

func holdingKey(id tenant.ID, c Counter) counterKey {
	return counterKey{id, c.Terms.Kind, c.Limit, c.Key}
}

// begin announces a request for units of counters, after renewals of them. It waits for
// one with none begun, as the renewal waits for those that are. It reports false if ctx
// ends first, or the store's time is over.
func (h *holdings) begin(ctx context.Context, id tenant.ID, counters ...Counter) bool {
	if len(counters) == 0 {
		return true
	}
	timer := time.NewTimer(h.s.timeout)
	defer timer.Stop()
	var waited []*holding
	defer func() { h.settle(waited) }()
	for {
		var renewing chan struct{}
		if waited, renewing = h.tryBegin(id, counters, waited); renewing == nil {
			return true
		}
		select {
		case <-renewing:
		case <-ctx.Done():
			return false
		case <-timer.C:
			return false
		}
	}
}

// tryBegin is begin unless there is a renewal, which it returns. It adds whose renewal
// that is to waited.
func (h *holdings) tryBegin(id tenant.ID, counters []Counter, waited []*holding) ([]*holding, chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range counters {
		held := h.m[holdingKey(id, c)]
		if held == nil || held.renewing == nil {
			continue
		}
		if !slices.Contains(waited, held) {
			held.owed++
			waited = append(waited, held)
		}
		return waited, held.renewing
	}
	for _, c := range counters {
		h.get(id, c).busy++
	}
	return waited, nil
}

// settle is for who waits no longer for renewals of waited.
func (h *holdings) settle(waited []*holding) {
	if len(waited) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, held := range waited {
		held.owed--
	}
	h.keepUp()
}

// end is told of the units that begin's request got, and whether that is known.
func (h *holdings) end(id tenant.ID, c Counter, n int64, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.get(id, c)
	held.busy--
	held.n += n
	held.dirty = held.dirty || !known
	h.keepUp()
}

// lend says that l has units of c, which are of use as long as the store leaves them to
// this process.
func (h *holdings) lend(id tenant.ID, c Counter, l *lease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.get(id, c).lease = l
}

// assume holds units that the store does not know of.
func (h *holdings) assume(id tenant.ID, c Counter, n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.get(id, c)
	held.n = max(0, held.n+n) // what letGo let go of may be released once more
	held.dirty = true
	h.keepUp()
}

// release lets go of units.
func (h *holdings) release(id tenant.ID, c Counter, n int64) { h.assume(id, c, -n) }

// get returns the holding of c, under mu.
func (h *holdings) get(id tenant.ID, c Counter) *holding {
	key := holdingKey(id, c)
	held := h.m[key]
	if held == nil {
		held = &holding{tenant: id, due: h.s.clk.exact() + int64(h.s.ttl)/3}
		h.m[key] = held
	}
	held.counter = c
	return held
}

// keepUp sees to it that the goroutine runs, and looks soon. It is called under mu.
func (h *holdings) keepUp() {
	if !h.running {
		h.running, h.over = true, make(chan struct{})
		go h.run()
	}
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// run renews what has to be, until nothing is held.
func (h *holdings) run() {
	failures := 0 // in a row
	for turn := 0; ; turn++ {
		r, more := h.collect(turn, failures > 0)
		if !more {
			return
		}
		if len(r.batch) > 0 {
			if h.renew(r) {
				failures = 0
				continue
			}
			failures++
			if h.s.pause(failures) { // being woken must not make it hammer
				continue
			}
			h.give()
			return
		}
		timer := time.NewTimer(r.wait)
		select {
		case <-h.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// give ends the goroutine, with what is held untold: it runs out by itself.
func (h *holdings) give() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = false
	close(h.over)
}

// backoff is how long to wait after so many failures in a row: at most a second.
func backoff(failures int) time.Duration {
	return min(time.Second, 10*time.Millisecond<<min(failures, 7))
}

// renewAtOnce is how many counters are renewed by one call.
const renewAtOnce = 50

// renewal is of counters by one call, or how long to wait if none has to be renewed.
type renewal struct {
	batch []*holding
	held  []Held
	wait  time.Duration
}

// collect returns what has to be renewed, marked, and what to say of it. Counters whose
// last renewal failed get every other turn, those of one tenant at a time: one tenant's
// trouble is not the others'. It reports false if nothing is held any more; then the
// goroutine is over.
func (h *holdings) collect(turn int, failing bool) (r renewal, more bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.wait = h.s.ttl / 10
	now := h.s.clk.exact()
	var sound, failed []*holding
	for key, b := range h.m {
		switch {
		case b.n == 0 && b.busy == 0 && b.owed == 0 && !b.dirty:
			delete(h.m, key)
		case !b.dirty && (b.n == 0 || now < b.due):
		case b.owed > 0 && b.renewing == nil:
		case now < b.retry:
			r.wait = min(r.wait, time.Duration(b.retry-now))
		case b.busy > 0:
			if b.renewing == nil && !failing {
				b.renewing = make(chan struct{})
			}
		case b.failures == 0 && len(sound) < renewAtOnce:
			sound = append(sound, b)
		case b.failures > 0 && len(failed) < renewAtOnce && (len(failed) == 0 || failed[0].tenant == b.tenant):
			failed = append(failed, b)
		}
	}
	if r.batch = sound; len(sound) == 0 || len(failed) > 0 && turn%2 == 1 {
		r.batch = failed
	}
	for _, b := range r.batch {
		if b.renewing == nil {
			b.renewing = make(chan struct{})
		}
		r.held = append(r.held, Held{Tenant: b.tenant, Counter: b.counter, N: b.n})
	}
	if h.running = len(h.m) > 0; !h.running {
		close(h.over)
	}
	return r, h.running
}

// renew tells the store what is held, and reports whether it heard.
func (h *holdings) renew(r renewal) bool {
	ctx, cancel := context.WithTimeout(context.Background(), h.s.timeout)
	defer cancel()
	sent := h.s.clk.exact()
	err := h.s.store.Renew(ctx, h.s.holder, h.s.ttl, r.held)
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.s.clk.exact()
	for i, b := range r.batch {
		close(b.renewing)
		b.renewing = nil
		if err != nil {
			b.failures++
			b.retry = now + int64(backoff(b.failures))
			continue
		}
		b.failures, b.retry = 0, 0
		b.dirty = b.n != r.held[i].N
		b.due = now + int64(h.s.ttl)/3
		if b.lease != nil {
			b.lease.extend(now, sent+int64(h.s.ttl))
		}
	}
	return err == nil
}

// letGo lets go of all that is held, and waits until the store knows.
func (h *holdings) letGo(ctx context.Context) error {
	h.mu.Lock()
	if !h.running {
		h.mu.Unlock()
		return nil
	}
	for _, b := range h.m {
		b.dirty = b.dirty || b.n != 0
		b.n = 0
	}
	h.keepUp()
	over := h.over
	h.mu.Unlock()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: what this process held runs out by itself: %w", ErrUnavailable, ctx.Err())
	}
}
