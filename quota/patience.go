package quota

import (
	"sync"
	"time"
)

// patience ends the waiting of those who have waited for a refill for its limit. One
// goroutine, which is there while anybody waits, does so for all.
type patience struct {
	limit time.Duration

	mu      sync.Mutex // guards what follows
	queue   []*refill  // that are waited for, in the order in which they began
	running bool
}

// watch closes f.late after the limit, unless f is done before.
func (p *patience) watch(f *refill) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, f)
	if !p.running {
		p.running = true
		go p.run()
	}
}

func (p *patience) run() {
	for {
		f := p.next()
		if f == nil {
			return
		}
		if wait := p.limit - time.Since(f.since); wait > 0 {
			nap(wait)
		}
		close(f.late)
	}
}

// next takes the first refill that is not done out of the queue.
func (p *patience) next() *refill {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, f := range p.queue {
		if !f.isDone() {
			p.queue = p.queue[i+1:]
			return f
		}
	}
	p.queue, p.running = nil, false
	return nil
}
