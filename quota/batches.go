package quota

import (
	"context"
	"sync"

	"github.com/tenancy-go/tenancy/tenant"
)

// batches carries the refills of many leases to a store that takes several at once: those
// that come while others of their lane are on their way go together.
type batches struct {
	s  *sharing
	to Batcher
	mu sync.Mutex // guards the queues of lanes
}

// laneQueue is what is to go to one server. Tenants take turns, so that one with many
// leases does not keep the others waiting.
type laneQueue struct {
	queues map[tenant.ID][]*question // none of them empty
	turns  []tenant.ID               // of queues, in the order of their turns
	flying int
}

func (l *laneQueue) push(q *question) {
	id := q.taking.Tenant
	if l.queues == nil {
		l.queues = make(map[tenant.ID][]*question)
	}
	if l.queues[id] = append(l.queues[id], q); len(l.queues[id]) == 1 {
		l.turns = append(l.turns, id)
	}
}

// pop returns the next question, or nil if there is none.
func (l *laneQueue) pop() *question {
	if len(l.turns) == 0 {
		l.queues, l.turns = nil, nil
		return nil
	}
	id := l.turns[0]
	l.turns = l.turns[1:]
	q := l.queues[id][0]
	if l.queues[id] = l.queues[id][1:]; len(l.queues[id]) > 0 {
		l.turns = append(l.turns, id)
	} else {
		delete(l.queues, id)
	}
	return q
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
	l.queue.push(q)
	if l.queue.flying < maxFlying {
		l.queue.flying++
		go b.run(l)
	}
	b.mu.Unlock()
	<-q.done
	return q.taken, q.heard
}

// run carries what is queued in l, until there is nothing.
func (b *batches) run(l *lane) {
	for {
		together := b.next(&l.queue)
		if len(together) == 0 {
			return
		}
		b.carry(l, together)
		for _, q := range together {
			close(q.done)
		}
	}
}

func (b *batches) next(l *laneQueue) []*question {
	b.mu.Lock()
	defer b.mu.Unlock()
	var together []*question
	for len(together) < maxTogether {
		q := l.pop()
		if q == nil {
			break
		}
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
