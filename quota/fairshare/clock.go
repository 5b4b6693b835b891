package fairshare

import "time"

const (
	firstTypical = 10 * time.Millisecond
	leastTypical = time.Microsecond
	leastStep    = 0.1
	mostStep     = 3
)

// maxRefresh bounds the accounts that are looked at for one grant.
const maxRefresh = 32

// clock is a scheduler's times. What an owner has of the shared units is charged by
// contended time: what nobody else wanted costs nothing.
type clock struct {
	now       time.Time
	contended time.Duration // for which somebody waited whose own Max allowed more

	// virtual is the furthest start of a request that was granted, in virtual time, and
	// drift what those who compete had since then by weight. Whoever comes to them starts
	// at both together.
	virtual, drift float64
	latest         float64 // where the owner stands that is the furthest ahead
	floor          float64 // where the one stood that was the furthest ahead of those forgotten

	typical typical // of all owners
}

// granted takes down that a request was granted which started at start.
func (c *clock) granted(start float64) {
	c.virtual, c.drift = max(c.virtual, start), 0
}

// settle has all start from the same point, if nobody uses or wants shared units.
func (c *clock) settle(quiet bool) {
	if quiet {
		c.virtual, c.drift = max(c.virtual+c.drift, c.latest), 0
	}
}

// typical is for how long units are held. It follows the median, so that a few long holds
// do not matter, and the faster the more often it was behind.
type typical struct {
	value  float64 // in nanoseconds; 0 is unknown
	step   float64
	rising bool
}

func (t *typical) learn(held time.Duration) {
	d := max(float64(held), float64(leastTypical))
	if t.value == 0 {
		t.value = d
		return
	}
	if rising := d > t.value; rising == t.rising {
		t.step = min(max(2*t.step, leastStep), mostStep)
	} else {
		t.rising, t.step = rising, leastStep
	}
	if t.rising {
		t.value = min(d, t.value*(1+t.step))
	} else {
		t.value = max(d, t.value/(1+t.step))
	}
}

// start returns where a request of a for n units starts at least, if none of it was ready
// until now: no more before the others than what a holds and the request are expected to
// cost. So it has no claim to what it did not ask for.
func (s *Scheduler) start(a *account, n int64) float64 {
	cost := float64(a.shared()+n) * s.expected(a) / float64(a.share.Weight)
	return s.clock.virtual + s.clock.drift - cost
}

// tick brings the scheduler's clock up to date.
func (s *Scheduler) tick() {
	now := time.Now()
	passed := now.Sub(s.clock.now)
	s.clock.now = now
	if passed <= 0 {
		return
	}
	s.total.UnitSeconds += float64(s.held) * passed.Seconds()
	if s.ready.Len() > 0 {
		s.clock.contended += passed
		s.clock.drift += float64(s.shared) * float64(passed) / float64(s.weights)
	}
}

// advance charges a up to now.
func (s *Scheduler) advance(a *account) {
	a.figures.UnitSeconds += a.unitSeconds(s.clock.now)
	a.seen = s.clock.now
	cost := float64(a.shared()) * float64(s.clock.contended-a.at)
	a.at = s.clock.contended
	a.service += cost / float64(a.share.Weight)
	a.ahead = max(0, a.ahead-cost)
	s.clock.latest = max(s.clock.latest, a.key())
}

// next returns the account whose turn it is. The order may be behind, as the keys of
// owners with units grow by themselves, but they never fall: an account that is first and
// up to date is the one. Beyond maxRefresh it is the best one found so far.
func (s *Scheduler) next() *account {
	for range maxRefresh {
		a := s.ready.first()
		if a == nil || a.at == s.clock.contended || a.rank() < fair {
			return a
		}
		s.advance(a)
		s.ready.fix(a)
	}
	return s.ready.first()
}
