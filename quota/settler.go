package quota

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// settler tells the store of corrections, which nobody waits for: units that go back,
// more that were used, stock that is kept. Those of a tenant are sent in order, again
// until the store heard, and count once, by their ID; tenants take turns. The store
// remembers the last one that it heard of each tenant for settledFor, and those before it
// as any other: while the store is down, no more than one may have been carried out.
type settler struct {
	s *sharing

	mu       sync.Mutex // guards what follows
	waiting  turns[*settlement]
	open     map[tenant.ID]*settlement            // waiting, and not on its way: more of the tenant may go along
	sums     map[tenant.ID]map[counterKey]*Return // of what comes often while a store is down
	last     map[tenant.ID]string                 // IDs of the corrections that were heard last
	watchers map[tenant.ID][]chan struct{}        // of those who want to know when nothing of a tenant waits
	running  bool
	idle     chan struct{} // closed when there is nothing to send
}

// settlement is a correction, or a question that is asked again.
type settlement struct {
	taking Taking
	until  int64                         // it is not sent from then on
	then   func(taken Taken, heard bool) // when it is over; may be nil
}

// settledFor is how long an outage may last without a correction counting twice whose
// answer it swallowed.
const settledFor = 24 * time.Hour

// maxBatch is how many corrections of one tenant go in one call.
const maxBatch = 50

func (s *settler) init(shared *sharing) {
	s.s, s.idle = shared, make(chan struct{})
	s.watchers = make(map[tenant.ID][]chan struct{})
	s.open, s.sums = make(map[tenant.ID]*settlement), make(map[tenant.ID]map[counterKey]*Return)
	s.last = make(map[tenant.ID]string)
	close(s.idle)
}

// add queues a correction.
func (s *settler) add(id tenant.ID, r Return, then func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if then == nil && s.sum(id, &r) {
		s.start()
		return
	}
	if o := s.open[id]; o != nil && then == nil && len(o.taking.Returns) < maxBatch {
		o.taking.Returns = append(o.taking.Returns, r)
		return
	}
	next := s.correction(id)
	next.taking.Returns = []Return{r}
	if then != nil {
		next.then = func(_ Taken, heard bool) {
			if heard {
				then()
			}
		}
	} else {
		s.open[id] = next
	}
	s.push(next)
}

// correction returns one that corrects nothing yet.
func (s *settler) correction(id tenant.ID) *settlement {
	t := s.s.taking(id)
	t.Remember = settledFor
	return &settlement{taking: t, until: never}
}

// sum adds r to what is to be said of its counter, so that a store that is down for
// long costs no more memory than there are counters. It reports false for what goes
// back to a certain time, save what of it was not told yet.
func (s *settler) sum(id tenant.ID, r *Return) bool {
	key := holdingKey(id, r.Counter)
	owed := s.sums[id][key]
	if r.N > 0 {
		if owed == nil || owed.N > -r.N {
			return false
		}
		owed.N += r.N
		return true
	}
	if owed == nil {
		if s.sums[id] == nil {
			s.sums[id] = make(map[counterKey]*Return)
		}
		owed = &Return{}
		s.sums[id][key] = owed
	}
	owed.Counter = r.Counter
	owed.N = max(-maxUnits, owed.N+r.N)
	owed.Kept = max(-maxUnits, min(maxUnits, owed.Kept+r.Kept))
	return true
}

// collect lets sums of one tenant wait with the others.
func (s *settler) collect() {
	for id, owed := range s.sums {
		next := s.correction(id)
		for key, r := range owed {
			if len(next.taking.Returns) == maxBatch {
				break
			}
			next.taking.Returns = append(next.taking.Returns, *r)
			delete(owed, key)
		}
		if len(owed) == 0 {
			delete(s.sums, id)
		}
		s.waiting.push(id, next)
		return
	}
}

// ask queues t, which is not sent any more from a time on, and calls then when it is over.
func (s *settler) ask(t Taking, until int64, then func(taken Taken, heard bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.push(&settlement{t, until, then})
}

// push lets next wait for its turn, under mu.
func (s *settler) push(next *settlement) {
	s.waiting.push(next.taking.Tenant, next)
	s.start()
}

// start sees to it that the goroutine runs, under mu.
func (s *settler) start() {
	if !s.running {
		s.running, s.idle = true, make(chan struct{})
		go s.run()
	}
}

// run sends what is queued.
func (s *settler) run() {
	failures := 0
	for turn := 0; ; turn++ {
		next := s.next(turn)
		if next == nil {
			return
		}
		taken, err := s.send(next)
		switch {
		case err == nil:
			failures = 0
		case !errors.Is(err, ErrInvalid) && !errors.Is(err, errTooLate): // which no store ever takes
			failures++
			s.took(next, false, false)
			if s.s.pause(failures) {
				continue
			}
			s.give()
			return
		}
		if next.then != nil {
			next.then(taken, err == nil)
		}
		s.took(next, true, err == nil)
	}
}

// give ends the goroutine, with what waits untold.
func (s *settler) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = false
	close(s.idle)
}

var errTooLate = errors.New("quota: the store may have forgotten the answer")

// send asks the store, unless that is too late.
func (s *settler) send(next *settlement) (Taken, error) {
	within := min(s.s.timeout, time.Duration(next.until-s.s.clk.exact()))
	if within <= 0 {
		return Taken{}, errTooLate
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return s.s.store.Take(ctx, next.taking)
}

// took ends the turn of sent, which may be over, and which the store may have heard.
func (s *settler) took(sent *settlement, over, heard bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if heard && sent.corrects() {
		s.last[sent.taking.Tenant] = sent.taking.ID
	}
	s.waiting.next(over)
	s.tell(sent.taking.Tenant)
}

// settled returns a channel that is closed once nothing of the tenant id waits.
func (s *settler) settled(id tenant.ID) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := make(chan struct{})
	s.watchers[id] = append(s.watchers[id], done)
	s.tell(id)
	return done
}

// tell tells those who watch the tenant id if nothing of it waits.
func (s *settler) tell(id tenant.ID) {
	if s.waiting.has(id) || len(s.sums[id]) > 0 {
		return
	}
	for _, done := range s.watchers[id] {
		close(done)
	}
	delete(s.watchers, id)
}

// next returns what to send now, which goes on waiting, or nil if that is all. Sums
// get a turn among the others.
func (s *settler) next(turn int) *settlement {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, waits := s.waiting.first(); len(s.sums) > 0 && (!waits || turn%8 == 0) {
		s.collect()
	}
	next, waits := s.waiting.first()
	if !waits {
		s.running = false
		close(s.idle)
		return nil
	}
	if s.open[next.taking.Tenant] == next {
		delete(s.open, next.taking.Tenant)
	}
	if next.corrects() {
		next.taking.Forget = s.last[next.taking.Tenant]
	}
	return next
}

// corrects reports whether s is a correction.
func (s *settlement) corrects() bool { return s.until == never }

// drain waits until nothing waited.
func (s *settler) drain(ctx context.Context) error {
	s.mu.Lock()
	idle := s.idle
	s.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
