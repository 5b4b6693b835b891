package bandwidth

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// What is moved is reported when it comes to so much, or after so long.
const (
	reportBytes = 1 << 20
	reportEvery = time.Second
)

// stream is one direction of a reader, writer, connection or request. One goroutine at a
// time moves bytes; any may end it.
type stream struct {
	shaper    *Shaper
	ctx       context.Context
	tenant    *tenant.Tenant
	direction Direction
	line      *line

	deadline  *deadline // nil where there is none
	closed    chan struct{}
	closedErr error // of what is tried after the end
	ended     atomic.Bool

	unreported atomic.Int64
	reported   time.Time // when that was 0 last
	granted    time.Time
}

func (v *visit) stream(d Direction, closedErr error) *stream {
	return &stream{
		shaper:    v.shaper,
		ctx:       v.ctx,
		tenant:    v.tenant,
		direction: d,
		line:      v.line,
		closed:    make(chan struct{}),
		closedErr: closedErr,
		reported:  time.Now(),
	}
}

func (s *stream) bucket() *bucket { return &s.line.buckets[s.direction] }

// size returns how many bytes to ask for at once. By then the limits are known.
func (s *stream) size() (n int, err error) {
	err = s.informed(func(asked bool) (stale bool) {
		n, stale = s.bucket().size(asked)
		return stale
	})
	return n, err
}

// grant waits until some of n bytes may be moved, and returns how many. They are charged.
func (s *stream) grant(n int) (int, error) {
	var a answer
	err := s.informed(func(asked bool) bool {
		a = s.bucket().take(n, s.shaper.maxWait, asked)
		return a.stale
	})
	s.granted = a.at
	switch {
	case err != nil:
		return 0, err
	case a.granted > 0:
		return a.granted, nil
	case a.wait > s.shaper.maxWait:
		return 0, s.exceeded(a.wait)
	default:
		return s.wait(s.bucket(), a.queued)
	}
}

// informed does what may turn out to need the limits first, unless the stream has ended.
func (s *stream) informed(do func(asked bool) (stale bool)) error {
	if err := s.err(); err != nil {
		return err
	}
	for asked := false; do(asked); asked = true {
		l, err := s.shaper.ask(s.ctx, s.tenant, false)
		if err != nil {
			return err
		}
		s.line = l
	}
	return nil
}

// wait queues for n bytes, which the bucket counts as waiting, and returns how many of
// them it was granted.
func (s *stream) wait(b *bucket, n int) (int, error) {
	defer b.leave(n)
	begun := time.Now()
	if err := s.await(b.turn, nil); err != nil {
		return 0, err
	}
	defer func() { <-b.turn }()
	for {
		a := b.takeInTurn(n)
		s.granted = a.at
		if a.granted > 0 {
			return a.granted, nil
		}
		if a.wait > s.shaper.maxWait-a.at.Sub(begun) { // the limits have changed
			return 0, s.exceeded(a.wait)
		}
		if err := s.sleep(a.wait); err != nil {
			return 0, err
		}
	}
}

func (s *stream) sleep(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	return s.await(nil, timer.C)
}

// await waits for a turn or a time. It ends with the stream, its context or its deadline.
func (s *stream) await(turn chan<- struct{}, up <-chan time.Time) error {
	select {
	case turn <- struct{}{}:
		return nil
	case <-up:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	case <-s.closed:
		return s.closedErr
	case <-s.deadline.passed():
		return os.ErrDeadlineExceeded
	}
}

// err returns why nothing may be moved any more.
func (s *stream) err() error {
	select {
	case <-s.closed:
		return s.closedErr
	case <-s.deadline.passed():
		return os.ErrDeadlineExceeded
	default:
		return s.ctx.Err()
	}
}

func (s *stream) exceeded(wait time.Duration) error {
	return &ExceededError{Tenant: s.tenant.ID, Direction: s.direction, RetryAfter: wait}
}

// moved counts n bytes that were moved.
func (s *stream) moved(n int) {
	if n <= 0 || s.shaper.observer == nil {
		return
	}
	sum := s.unreported.Add(int64(n))
	if sum >= reportBytes || s.granted.Sub(s.reported) >= reportEvery || s.ended.Load() {
		s.reported = s.granted
		s.report()
	}
}

// report tells the observer what it does not know yet.
func (s *stream) report() {
	if n := s.unreported.Swap(0); n > 0 {
		s.shaper.observer(context.WithoutCancel(s.ctx), s.tenant.ID, s.direction, n)
	}
}

// end ends all waiting. What is moved yet, by one who is at it, is still reported.
func (s *stream) end() {
	if s.ended.CompareAndSwap(false, true) {
		close(s.closed)
		s.deadline.set(time.Time{})
		s.report()
	}
}
