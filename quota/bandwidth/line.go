package bandwidth

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// sweep is how many lines are looked at for idle ones when a stream asks for its own.
const sweep = 4

// line is what all streams of one tenant share.
type line struct {
	id      tenant.ID
	buckets [2]bucket // by Direction

	mu      sync.Mutex
	record  *tenant.Tenant // the newest known; guarded by mu, as all below
	asks    uint64         // questions for the limits
	applied uint64         // the one whose answer applies
	asking  int            // without an answer yet
}

// line returns the line of a tenant, made if need be, and drops idle ones.
func (s *Shaper) line(id tenant.ID) *line {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lines[id]
	if l == nil {
		l = &line{id: id}
		for i := range l.buckets {
			l.buckets[i].turn = make(chan struct{}, 1)
			l.buckets[i].refresh = s.refresh
		}
		s.lines[id] = l
		s.ring = append(s.ring, l)
	}
	s.sweep(l)
	return l
}

// sweep looks at the next few lines, and drops those that are as good as new. Streams
// may hold on to a dropped line: they find out when they use it.
func (s *Shaper) sweep(spared *line) {
	for range min(sweep, len(s.ring)) {
		s.hand %= len(s.ring)
		l := s.ring[s.hand]
		if l == spared || !l.drop() {
			s.hand++
			continue
		}
		delete(s.lines, l.id)
		last := len(s.ring) - 1
		s.ring[s.hand] = s.ring[last]
		s.ring[last] = nil
		s.ring = s.ring[:last]
	}
}

// drop ends a line that is as good as new, and reports whether it did.
func (l *line) drop() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asking > 0 {
		return false
	}
	in, out := &l.buckets[Ingress], &l.buckets[Egress]
	in.mu.Lock()
	defer in.mu.Unlock()
	out.mu.Lock()
	defer out.mu.Unlock()
	now := time.Now()
	if !in.fresh(now) || !out.fresh(now) {
		return false
	}
	in.dropped, out.dropped = true, true
	return true
}

// ask finds out the limits of t, lets them apply to its line and returns that. If it
// fails, whoever moves the tenant's bytes next asks, too. The record of a stream that
// begins counts as newer than those of the same version.
func (s *Shaper) ask(ctx context.Context, t *tenant.Tenant, begins bool) (*line, error) {
	l := s.line(t.ID)
	number, record := l.ask(t, begins)
	defer l.asked()
	limits, err := s.limits(ctx, record)
	if err == nil {
		err = limits.check()
	}
	if err != nil {
		l.buckets[Ingress].expire()
		l.buckets[Egress].expire()
		return nil, fmt.Errorf("%w: of tenant %s: %w", ErrLimits, t.ID, err)
	}
	l.apply(number, limits, s.quantum)
	return l, nil
}

// ask returns the number of a question for the limits, and the record to ask with.
func (l *line) ask(t *tenant.Tenant, begins bool) (uint64, tenant.Tenant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.record == nil || t.Version > l.record.Version || begins && t.Version == l.record.Version {
		l.record = t
	}
	l.asks++
	l.asking++
	return l.asks, *l.record
}

func (l *line) asked() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asking--
}

// apply lets limits apply, unless a later question was answered already.
func (l *line) apply(number uint64, limits Limits, quantum int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if number < l.applied {
		return
	}
	l.applied = number
	l.buckets[Ingress].set(limits.Ingress.withBurst(quantum), quantum)
	l.buckets[Egress].set(limits.Egress.withBurst(quantum), quantum)
}

func (l Limits) check() error {
	if err := l.Ingress.check(); err != nil {
		return fmt.Errorf("ingress: %w", err)
	}
	if err := l.Egress.check(); err != nil {
		return fmt.Errorf("egress: %w", err)
	}
	return nil
}
