package quota

import (
	"context"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// settler tells the store of corrections, which nobody waits for: units that go back,
// more that were used, stock that is kept. They are sent in order, again until the
// store heard, and count once, by their ID.
type settler struct {
	s *sharing

	mu      sync.Mutex // guards what follows
	queue   []settlement
	running bool
	idle    chan struct{} // closed when the queue is empty
}

type settlement struct {
	taking Taking
	then   func(Taken) // once the store heard; may be nil
}

// maxBatch is how many corrections of one tenant go in one call.
const maxBatch = 50

func (s *settler) init(shared *sharing) {
	s.s, s.idle = shared, make(chan struct{})
	close(s.idle)
}

// add queues a correction.
func (s *settler) add(id tenant.ID, r Return, then func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := len(s.queue) - 1; last > 0 && then == nil { // not the first, which may be on its way
		if l := &s.queue[last]; l.taking.Tenant == id && l.then == nil && len(l.taking.Charges) == 0 && len(l.taking.Returns) < maxBatch {
			l.taking.Returns = append(l.taking.Returns, r)
			return
		}
	}
	t := s.s.taking(id)
	t.Returns = []Return{r}
	next := settlement{taking: t}
	if then != nil {
		next.then = func(Taken) { then() }
	}
	s.push(next)
}

// ask queues t, and calls then with the answer.
func (s *settler) ask(t Taking, then func(Taken)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.push(settlement{t, then})
}

// push adds to the queue, under mu.
func (s *settler) push(next settlement) {
	s.queue = append(s.queue, next)
	if !s.running {
		s.running, s.idle = true, make(chan struct{})
		go s.run()
	}
}

// run sends what is queued.
func (s *settler) run() {
	failures := 0
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.running = false
			close(s.idle)
			s.mu.Unlock()
			return
		}
		next := s.queue[0]
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), s.s.timeout)
		taken, err := s.s.store.Take(ctx, next.taking)
		cancel()
		if err != nil {
			failures++
			<-time.After(backoff(failures))
			continue
		}
		failures = 0
		if next.then != nil {
			next.then(taken)
		}
		s.mu.Lock()
		s.queue = s.queue[1:]
		s.mu.Unlock()
	}
}

// drain waits until the queue was empty.
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
