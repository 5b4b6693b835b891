package quota

import (
	"context"
	"sync"
)

// batches carries the refills of many leases to a store that takes several at once: those
// that come while others of their lane are on their way go together.
type batches struct {
	s  *sharing
	to Batcher
	mu sync.Mutex // guards what waits in lanes, and what flies
}

// question is one Taking on its way.
type question struct {
	taking Taking
	taken  Taken
	heard  reply
	done   chan struct{} // closed when the answer is there
}

const (
	maxFlying   = 2  // calls at a time, of a lane
	maxTogether = 64 // Takings in one call
)

// take carries out t, which is l's, in bounded time once it is on its way.
func (b *batches) take(l *lane, t Taking) (Taken, reply) {
	q := &question{taking: t, heard: unasked, done: make(chan struct{})}
	b.mu.Lock()
	l.waiting.push(t.Tenant, q)
	if l.flying < maxFlying {
		l.flying++
		go b.run(l)
	}
	b.mu.Unlock()
	<-q.done
	return q.taken, q.heard
}

// run carries what is queued in l, until there is nothing.
func (b *batches) run(l *lane) {
	for {
		together := b.next(l)
		if len(together) == 0 {
			return
		}
		b.carry(l, together)
		for _, q := range together {
			close(q.done)
		}
	}
}

func (b *batches) next(l *lane) []*question {
	b.mu.Lock()
	defer b.mu.Unlock()
	var together []*question
	for len(together) < maxTogether {
		q, ok := l.waiting.first()
		if !ok {
			break
		}
		l.waiting.next(true)
		together = append(together, q)
	}
	if len(together) == 0 {
		l.flying--
	}
	return together
}

// carry asks the store all at once.
func (b *batches) carry(l *lane, together []*question) {
	if !l.breaker.allows(b.s.clk.exact()) {
		return
	}
	takings := make([]Taking, len(together))
	for i, q := range together {
		takings[i] = q.taking
	}
	ctx, cancel := context.WithTimeout(context.Background(), b.s.timeout)
	defer cancel()
	heard := false
	for i, a := range b.to.TakeBatch(ctx, takings) {
		q := together[i]
		if a.Err != nil {
			q.heard = unknown
			continue
		}
		q.taken, q.heard, heard = a.Taken, answered, true
		b.s.ahead.Store(instant(a.Taken.At) - b.s.clk.exact())
	}
	b.s.heard(context.Background(), l, heard)
}
