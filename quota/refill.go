package quota

import (
	"context"
	"sync"
	"time"
)

// refill is a question to the store for more units of a lease, which is on its way.
// Nobody has to wait for it.
type refill struct {
	need  int64         // no fewer units are of use to whoever asked first
	done  chan struct{} // closed when the answer is there
	late  chan struct{} // closed when those who wait have waited long enough
	since time.Time

	waited sync.Once // somebody waits

	refusal *refusal // once done is closed: what the store said, if it had no room
	silent  bool     // once done is closed: nobody could say
}

func (f *refill) isDone() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// ask returns the refill that is on its way, or begins one for need units; or nil if
// nothing more may be added.
func (l *lease) ask(need int64) *refill {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isWorn() {
		return nil
	}
	if l.flight == nil {
		l.flight = &refill{need: need, done: make(chan struct{}), late: make(chan struct{}), since: time.Now()}
		l.list() // Close waits for it
		go l.run(l.flight)
	}
	return l.flight
}

// fetchEarly has more fetched before the last units are gone.
func (l *lease) fetchEarly() {
	e := l.account.e
	now := e.clk.rough()
	if l.early.Swap(never) == never || l.account.rests(now) {
		return
	}
	if r := l.refusal.Load(); r == nil || now >= r.until {
		l.ask(1)
	}
}

// run asks the store, and ends f.
func (l *lease) run(f *refill) {
	e := l.account.e
	limit, n := l.amount(f.need)
	c := Counter{Limit: limit.name, Key: l.stored, Terms: limit.terms}
	t := e.shared.taking(l.account.id)
	t.Charges = []Charge{{Counter: c, N: n, Least: f.need}}
	back, at := l.tooFew(f.need)
	if back > 0 {
		t.Returns = []Return{{Counter: c, N: back, At: time.Unix(0, at)}}
	}
	sent := e.clk.exact()
	taken, heard := e.shared.takeFor(l, t)
	if heard == answered {
		l.account.refilled.Add(1)
	}
	if heard == unasked && back > 0 && !l.giveBack(back, at) {
		l.handBack(limit, back, at)
	}
	if heard == unknown && limit.Kind != Rate { // of a rate, resolve finds out
		l.handBack(limit, back, at)
	}
	if heard == answered && back > 0 && limit.Kind == Rate {
		gone := part{claim: Claim{Limit: l.ref, Key: l.key, N: back}, limit: limit, at: at}
		gone.giveBackHere(l.account, back)
	}
	switch {
	case heard == answered && taken.OK:
		l.account.took(Claim{Limit: l.ref, Key: l.key, N: taken.Granted[0].N}, limit)
		l.fill(sent, instant(taken.At), taken.Granted[0])
	case heard == answered:
		f.refusal = refusalOf(limit, f.need, taken, e.clk.exact())
		l.refusal.Store(f.refusal)
	default:
		f.silent = true
		if heard == unknown {
			e.shared.resolve(lost{t, sent}, false)
		}
	}
	l.mu.Lock()
	l.flight = nil
	l.mu.Unlock()
	close(f.done)
}

// took counts in this process as well what the store granted: it is of this process's
// share, should the store fail.
func (a *Account) took(c Claim, limit *limit) {
	p, s := part{claim: c, limit: limit}, a.state.Load()
	if e := s.entry(c.Limit); e.counts() && e.limit.Per == limit.Per {
		p.mirror(s, a.e.clk)
	}
}

// growWithin is how soon after one refill the next one must come to be for twice as much.
const growWithin = int64(time.Second)

// amount returns how many units to ask for where need is the least: what those want who
// wait, and some ahead. What is taken ahead doubles while it is used up quickly; all
// replicas together leave half of what there is to those who have none.
func (l *lease) amount(need int64) (*limit, int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, replicas := l.account.e.clk.exact(), l.account.e.shared.replicas
	if l.asked != 0 && now-l.asked < growWithin {
		l.size = max(need, 2*l.size)
	}
	l.asked = now
	l.size = min(l.size, l.limit.Lease)
	ahead := min(l.size, l.left.Load()/(2*replicas))
	if l.limit.Burst > 0 {
		ahead = min(ahead, l.most()-l.spare())
	}
	return l.limit, min(max(need, l.wanted)+max(0, ahead), maxUnits)
}

// tooFew takes out the units that there are if they are fewer than need: they go along, so
// that the store has all that this process could let in.
func (l *lease) tooFew(need int64) (n, at int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if spare := l.spare(); spare == 0 || spare >= need {
		return 0, 0
	}
	return l.empty(), l.at.Load()
}

// want adds n to what those want who wait.
func (l *lease) want(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted += n
}

// takeFor carries out t for l, which is all that t asks for.
func (s *sharing) takeFor(l *lease, t Taking) (Taken, reply) {
	c := t.Charges[0].Counter
	if c.Terms.Kind == Rate {
		return s.takeAhead(l.account, t)
	}
	if !s.holdings.begin(context.Background(), t.Tenant, c) {
		return Taken{}, unasked
	}
	taken, heard := s.takeAhead(l.account, t)
	held := int64(0)
	if heard == answered {
		for _, r := range t.Returns {
			held -= r.N
		}
	}
	if heard == answered && taken.OK {
		held += taken.Granted[0].N
	}
	s.holdings.lend(t.Tenant, c, l)
	s.holdings.end(t.Tenant, c, held, heard != unknown)
	return taken, heard
}

// takeAhead carries out t, which is a's, together with others if the store can do that.
func (s *sharing) takeAhead(a *Account, t Taking) (Taken, reply) {
	if s.batches == nil {
		return s.take(context.Background(), a, t)
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	return s.batches.take(a.laneNow(ctx), t)
}

// refusalOf returns what the store said of n units of l at now.
func refusalOf(l *limit, n int64, taken Taken, now int64) *refusal {
	r := &refusal{n: n, cause: taken.Cause, window: l.windowOf(taken), retry: never, until: now + refusedFor}
	if l.Kind != Rate {
		r.until = now + busyFor
	}
	if taken.RetryAfter > 0 {
		r.retry = now + int64(taken.RetryAfter)
		r.until = min(r.until, r.retry)
	}
	return r
}

// leases are those that have units, or had some a moment ago. A goroutine, which is there
// while there are any, gives back what is not used.
type leases struct {
	clk *clock

	mu      sync.Mutex // guards what follows
	m       map[*lease]struct{}
	running bool
	wake    chan struct{} // of who runs
}

// sweepEvery is how often leases are looked at: what has not been used for so long, and
// at most for twice that, goes back.
const sweepEvery = time.Second

func (s *leases) add(l *lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = make(map[*lease]struct{})
	}
	s.m[l] = struct{}{}
	if !s.running {
		s.running, s.wake = true, make(chan struct{}, 1)
		go s.run(s.wake)
	}
}

func (s *leases) run(wake <-chan struct{}) {
	timer := time.NewTimer(sweepEvery)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			timer.Reset(sweepEvery)
		case <-wake:
		}
		if !s.sweep() {
			return
		}
	}
}

// sweep looks at each lease, and reports whether there are any.
func (s *leases) sweep() bool {
	now := s.clk.exact()
	for _, l := range s.all() {
		if l.sweep(now) {
			continue
		}
		s.mu.Lock()
		if !l.listed.Load() {
			delete(s.m, l)
		}
		s.mu.Unlock()
		if keys := l.account.state.Load().entry(l.ref).leases; keys != nil {
			keys.forget(l)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = len(s.m) > 0
	return s.running
}

func (s *leases) all() []*lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*lease, 0, len(s.m))
	for l := range s.m {
		all = append(all, l)
	}
	return all
}

// close gives all back, also what is on its way if that comes before ctx ends.
func (s *leases) close(ctx context.Context) {
	for _, l := range s.all() {
		if f := l.end(); f != nil {
			select {
			case <-f.done:
			case <-ctx.Done():
			}
		}
		l.sweep(s.clk.exact()) // now it has nothing
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}
