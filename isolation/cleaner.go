package isolation

import "time"

// schedule arranges for idle connections to be closed when their time is over.
func (p *Pool) schedule(now time.Time) {
	if p.cleaner != nil || p.closed || p.idleTime == 0 && p.lifetime == 0 {
		return
	}
	var next time.Time
	for l := p.idle.all.root.next; l != nil && l != &p.idle.all.root; l = l.next {
		if due := p.due(l.physical); next.IsZero() || due.Before(next) {
			next = due
		}
	}
	if !next.IsZero() {
		p.cleaner = time.AfterFunc(next.Sub(now), p.clean)
	}
}

// due returns when an idle connection's time is over, if any setting ends it.
func (p *Pool) due(ph *physical) time.Time {
	switch end := ph.opened.Add(p.lifetime); {
	case p.idleTime == 0:
		return end
	case p.lifetime == 0 || ph.released.Add(p.idleTime).Before(end):
		return ph.released.Add(p.idleTime)
	default:
		return end
	}
}

// clean closes the idle connections whose time is over.
func (p *Pool) clean() {
	now := time.Now()
	p.mu.Lock()
	p.cleaner = nil
	var over []*physical
	for l := p.idle.all.root.next; l != nil && l != &p.idle.all.root; {
		ph := l.physical
		l = l.next
		if !p.due(ph).After(now) {
			over = append(over, p.takeIdle(ph))
		}
	}
	p.schedule(now)
	p.mu.Unlock()
	p.discard(over...)
}
