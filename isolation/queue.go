package isolation

import (
	"context"
	"fmt"
	"time"
)

// request says what connection a statement needs.
type request struct {
	owner   owner
	key     placeKey
	fresh   bool   // wants none that was idle
	most    int64  // connections that owner may use at once; 0 means any number
	forgets uint64 // Pool.forgets when the strategy was asked for key
}

// waiter is a statement that waits for a connection.
type waiter struct {
	request
	full  bool       // its owner had as many connections as it may when it came
	ready chan grant // receives one grant

	queued     bool
	prev, next *waiter // around it in its owner's line
}

// fifo is the line of one owner's waiters. The zero value is empty.
type fifo struct {
	head, tail *waiter
	len        int
}

func (f *fifo) push(w *waiter) {
	w.queued, w.prev = true, f.tail
	if f.tail == nil {
		f.head = w
	} else {
		f.tail.next = w
	}
	f.tail = w
	f.len++
}

// remove takes w out of the line and reports whether it was in it.
func (f *fifo) remove(w *waiter) bool {
	if !w.queued {
		return false
	}
	if w.prev == nil {
		f.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		f.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.queued, w.prev, w.next = false, nil, nil
	f.len--
	return true
}

// await returns the right to the connection that r is for: at once, or when its turn
// comes, or ctx's error when ctx ends first.
func (p *Pool) await(ctx context.Context, r request) (grant, error) {
	if err := ctx.Err(); err != nil {
		return grant{}, err
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return grant{}, ErrClosed
	}
	if p.forgets.Load() != r.forgets {
		p.mu.Unlock()
		return grant{again: true}, nil
	}
	a := p.ledger.wake(r.owner)
	p.bound(a, r.most)
	if g, ok := p.take(a, r.key, r.fresh); ok {
		p.mu.Unlock()
		return g, nil
	}
	w := &waiter{request: r, full: a.full(), ready: make(chan grant, 1)}
	p.enqueue(a, w)
	p.mu.Unlock()

	start := time.Now()
	select {
	case g := <-w.ready:
		p.waited(r.owner, time.Since(start))
		return g, g.err
	case <-ctx.Done():
		full := p.withdraw(w)
		p.waited(r.owner, time.Since(start))
		if full {
			return grant{}, fmt.Errorf("%w: %d: %w", ErrTenantBusy, r.most, ctx.Err())
		}
		return grant{}, fmt.Errorf("isolation: waiting for a connection: %w", ctx.Err())
	}
}

// bound makes most the number of connections that a may use at once. If that lets in
// others who wait for a's, they come first.
func (p *Pool) bound(a *account, most int64) {
	before := a.most
	a.most = most
	if a.waiting.len > 0 && before > 0 && (most == 0 || most > before) {
		p.dispatch()
	}
}

// full reports whether a has as many connections as it may.
func (a *account) full() bool { return a.most > 0 && int64(a.held) >= a.most }

// take decides what a may have at key without waiting: an idle connection of its
// own, else one to be confined anew, else a new one, else another's place. The former
// two are not for who wants it fresh.
func (p *Pool) take(a *account, key placeKey, fresh bool) (grant, bool) {
	if a.full() {
		return grant{}, false
	}
	if ph := a.idleAt(key); ph != nil && !fresh {
		a.held++
		p.takeIdle(ph)
		p.hold(ph, a)
		a.figures.Hits++
		p.figures.Hits++
		return grant{conn: ph}, true
	}
	if ph := p.idle.at(key); ph != nil && !key.system && !fresh {
		a.held++
		return p.takeOver(ph, a), true
	}
	if p.open < p.maxConns {
		a.held++
		p.open++
		return grant{forgotten: a.forgotten}, true
	}
	if victim := p.idle.all.oldest(); victim != nil {
		a.held++
		return grant{victim: p.evict(victim), forgotten: a.forgotten}, true
	}
	return grant{}, false
}

// takeOver lets a have an idle connection of another owner, or its slot if the
// connection has served enough tenants.
func (p *Pool) takeOver(ph *physical, a *account) grant {
	if _, served := ph.served[a.owner]; ph.served != nil && !served && len(ph.served) >= ph.most {
		p.figures.Recycled++
		return grant{victim: p.closing(p.takeIdle(ph)), forgotten: a.forgotten}
	}
	p.takeIdle(ph)
	p.hold(ph, a)
	if ph.served != nil {
		ph.served[a.owner] = struct{}{}
	}
	a.figures.Switches++
	p.figures.Switches++
	return grant{conn: ph, confine: true}
}

// takeIdle removes ph from the idle ones.
func (p *Pool) takeIdle(ph *physical) *physical {
	a := p.ledger.byOwner[ph.owner]
	p.idle.remove(ph, a)
	p.ledger.settle(a)
	return ph
}

// hold makes ph one of the connections in use, held by a.
func (p *Pool) hold(ph *physical, a *account) {
	ph.owner = a.owner
	p.busy.push(&ph.everyone)
}

// evict takes an idle connection away from its owner for good.
func (p *Pool) evict(ph *physical) *physical {
	p.ledger.byOwner[ph.owner].figures.Evictions++
	p.figures.Evictions++
	return p.closing(p.takeIdle(ph))
}

// closing takes down that ph will be closed by whoever got its slot.
func (p *Pool) closing(ph *physical) *physical {
	p.figures.Closed++
	return ph
}

func (p *Pool) enqueue(a *account, w *waiter) {
	if a.waiting.len == 0 {
		p.turns.pushBack(a)
	}
	a.waiting.push(w)
	p.waiters++
}

// dequeue takes w out of a's line and reports whether it was in it.
func (p *Pool) dequeue(a *account, w *waiter) bool {
	if !a.waiting.remove(w) {
		return false
	}
	p.waiters--
	if a.waiting.len == 0 {
		p.turns.remove(a)
	}
	return true
}

// dispatch grants what there is to those who wait, one of each owner in turn. An
// owner at its own limit is passed over and keeps its turn.
func (p *Pool) dispatch() {
	a := p.turns.first
	for passed := 0; passed < p.turns.len; {
		if p.open >= p.maxConns && p.idle.all.len == 0 {
			return
		}
		next, w := a.next, a.waiting.head
		g, ok := p.take(a, w.key, w.fresh)
		if !ok {
			passed++
			a = next
			continue
		}
		w.ready <- g
		p.dequeue(a, w)
		p.toTheBack(a)
		if p.turns.len == 0 {
			return
		}
		passed, a = 0, p.turns.first
	}
}

// toTheBack lets all others have their turn before a has its next.
func (p *Pool) toTheBack(a *account) {
	if a.waiting.len > 0 {
		p.turns.remove(a)
		p.turns.pushBack(a)
	}
}

// withdraw takes back a request whose context has ended, with what it may have
// been granted meanwhile. It reports whether the owner had as many connections as it may,
// rather than the pool as many as there are.
func (p *Pool) withdraw(w *waiter) (full bool) {
	p.mu.Lock()
	a := p.ledger.wake(w.owner)
	waiting := p.dequeue(a, w)
	full = w.full || a.full()
	p.ledger.settle(a)
	p.mu.Unlock()
	if waiting {
		return full
	}
	switch g := <-w.ready; {
	case g.err != nil || g.again:
	case g.conn != nil:
		g.conn.broken = g.confine // still the former owner's
		p.release(g.conn)
	default:
		if g.victim != nil {
			_ = g.victim.conn.Close() // gone either way
		}
		p.giveUp(w.owner)
	}
	return full
}

// sendAway tells all who wait that the pool is closed.
func (p *Pool) sendAway() {
	for p.turns.len > 0 {
		a := p.turns.first
		w := a.waiting.head
		p.dequeue(a, w)
		p.ledger.settle(a)
		w.ready <- grant{err: ErrClosed}
	}
}

// askAgain has a's waiters ask the strategy anew where a's connections are.
func (p *Pool) askAgain(a *account) {
	for a.waiting.len > 0 {
		w := a.waiting.head
		p.dequeue(a, w)
		w.ready <- grant{again: true}
	}
	p.ledger.settle(a)
}

// waited takes down how long o waited.
func (p *Pool) waited(o owner, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.figures.Waits++
	p.figures.WaitTime += d
	if a := p.ledger.byOwner[o]; a != nil {
		a.figures.Waits++
		a.figures.WaitTime += d
	}
}
