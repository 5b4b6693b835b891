package quota

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenancy-go/tenancy/quota/internal/count"
)

// lease is what this process has taken ahead of one counter in the Store, to let in
// without asking. Like a cell it is a counter with a ceiling, and a decision compares and
// adds in one atomic step.
//
// Units leave the store before anybody is let in, so all replicas together let in no more
// than the limit. Those of a rate are of use until the next window begins: then what is
// left of them goes back to the windows that they were counted in.
type lease struct {
	account *Account
	ref     Ref
	key     string
	stored  string // the key of the store's counter

	// A decision reads these in their order, without the lock. Whoever holds it writes
	// them in such an order that a decision between the writes fails.
	used    atomic.Int64
	at      atomic.Int64 // when the store counted the first of the units, by its time
	ceiling atomic.Int64
	edge    atomic.Int64 // until when they are of use

	early   atomic.Int64 // more is fetched when the counter is beyond
	left    atomic.Int64 // what the store had left
	refusal atomic.Pointer[refusal]
	listed  atomic.Bool // among leases

	mu     sync.Mutex // guards what follows, and writes of what is above save used
	limit  *limit
	stale  bool  // it is over: nothing of it is of use
	until  int64 // the end of the window, by the store's time
	size   int64 // how many units to take ahead
	asked  int64 // when the store was asked last
	wanted int64 // units that those want who wait
	seen   int64 // the counter at the last sweep
	flight *refill
}

// take lets n units in, if there are so many, and returns how many are left here and when
// they were counted.
func (l *lease) take(n, now int64) (rest, at int64, ok bool) {
	for {
		used := l.used.Load()
		at = l.at.Load()
		rest = l.ceiling.Load() - used - n
		if rest < 0 || now >= l.edge.Load() {
			return 0, 0, false
		}
		if l.used.CompareAndSwap(used, used+n) {
			if used+n > l.early.Load() {
				l.fetchEarly()
			}
			return rest, at, true
		}
	}
}

// spare returns how many units there are.
func (l *lease) spare() int64 {
	if l == nil {
		return 0
	}
	used := l.used.Load()
	return max(0, l.ceiling.Load()-used)
}

// giveBack takes n units back that take let in at the time at. It reports false if they
// can be of no use any more, or were more than may be ahead.
func (l *lease) giveBack(n, at int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stale || l.at.Load() != at || l.isWorn() || l.spare()+n > l.most() {
		return false
	}
	if early := l.early.Load(); early != never {
		l.early.CompareAndSwap(early, early+n) // that there is more again is no reason to fetch
	}
	l.ceiling.Add(n)
	l.refusal.Store(nil)
	l.list()
	return true
}

// most is how many units may be ahead. All replicas together have half of a burst at most.
// It is called under mu.
func (l *lease) most() int64 {
	if burst := l.limit.Burst; burst > 0 {
		return min(l.limit.Lease, burst/(2*l.account.e.shared.replicas))
	}
	return l.limit.Lease
}

// isWorn reports whether the counter has gone so far that nothing may be added.
func (l *lease) isWorn() bool { return l.ceiling.Load() > worn }

// fill adds what the store granted when it was asked at the time sent.
func (l *lease) fill(sent, counted int64, g Granted) {
	l.mu.Lock()
	until, edge := counted+int64(g.For), sent+int64(g.For)
	over := until != l.until
	if l.limit.Kind != Rate {
		edge, over = sent+int64(l.account.e.shared.ttl), l.account.e.clk.exact() >= l.edge.Load()
	}
	if limit := l.limit; l.stale {
		l.mu.Unlock()
		l.handBack(limit, g.N, counted)
		return
	}
	var back, from int64
	if over {
		back, from = l.empty(), l.at.Load()
		l.at.Store(counted)
		l.edge.Store(edge)
		l.until = until
	} else if edge > l.edge.Load() {
		l.edge.Store(edge)
	}
	ceiling := l.ceiling.Add(g.N)
	l.left.Store(g.Left)
	l.early.Store(ceiling - g.N/2)
	l.refusal.Store(nil)
	limit := l.limit
	l.list()
	l.mu.Unlock()
	l.handBack(limit, back, from)
}

// empty takes all units out, under mu. The counter moves even if there are none, so that
// no decision is made by what was read before.
func (l *lease) empty() int64 {
	ceiling := l.ceiling.Load()
	for {
		used := l.used.Load()
		if l.used.CompareAndSwap(used, ceiling+1) {
			l.ceiling.Store(ceiling + 1)
			l.early.Store(never)
			return ceiling - used
		}
	}
}

// handBack gives n units back to the store that were counted at the time at.
func (l *lease) handBack(limit *limit, n, at int64) {
	if n <= 0 {
		return
	}
	p := part{claim: Claim{Limit: l.ref, Key: l.key, N: n}, limit: limit, at: at, remote: true, sharedPart: &sharedPart{key: l.stored, reserved: n}}
	if limit.Kind == Rate {
		p.giveBack(l.account, n)
	} else {
		p.releaseShared(l.account, n)
	}
}

// extend lets what is held be of use for as long as the store leaves it to this process,
// which it has said at now. If it was of none by then, the store may have given it to others
// meanwhile, and goes on having too many: nothing is let in by it.
func (l *lease) extend(now, until int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if edge := l.edge.Load(); !l.stale && now < edge && until > edge {
		l.edge.Store(until)
	}
}

// follow puts l under limit, if stores hold the counter to that as before. Otherwise it
// reports false and l is over: what was taken under other terms is of no use.
func (l *lease) follow(limit *limit) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.limit.terms.same(limit.terms) {
		l.retire()
		return false
	}
	l.limit = limit
	return true
}

// end is for a lease that nobody is to draw from any more. It returns the refill that is
// on its way, whose units go back, or nil.
func (l *lease) end() *refill {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retire()
	return l.flight
}

// retire ends what l has, which goes back at the next sweep. It is called under mu.
func (l *lease) retire() {
	l.stale = true
	l.edge.Store(0)
	l.refusal.Store(nil)
}

// sweep gives back what is not used: what has not been touched since the last sweep, or
// can be of use no more. It reports whether l has anything left to look after.
func (l *lease) sweep(now int64) bool {
	l.mu.Lock()
	used := l.used.Load()
	idle := used == l.seen && l.flight == nil
	over := l.stale || now >= l.edge.Load()
	var back, at int64
	if idle || over {
		back, at = l.empty(), l.at.Load()
		l.size = 0
	}
	l.seen = l.used.Load()
	limit := l.limit
	if idle {
		l.listed.Store(false)
	}
	l.mu.Unlock()
	l.handBack(limit, back, at)
	return !idle
}

// list sees to it that sweeps come.
func (l *lease) list() {
	if !l.listed.Swap(true) {
		l.account.e.shared.leases.add(l)
	}
}

// same reports whether stores hold counters to other as they do to t.
func (t *Terms) same(other *Terms) bool {
	if t == other {
		return true
	}
	if t.Kind != other.Kind || t.Burst != other.Burst || t.Max != other.Max || len(t.Windows) != len(other.Windows) ||
		count.ZoneOf(t.Zone) != count.ZoneOf(other.Zone) {
		return false
	}
	for i, w := range t.Windows {
		if w != other.Windows[i] {
			return false
		}
	}
	return true
}

// refusal is what the store said when it had no room for n units.
type refusal struct {
	n      int64
	cause  Cause
	window uint8
	retry  int64 // when there may be room
	until  int64 // it is not asked again before
}

// How long a refusal is believed: units may be given back, and what is held is released,
// without a word to this process.
const (
	refusedFor = int64(time.Second)
	busyFor    = int64(10 * time.Millisecond)
)

// refused returns the store's refusal of n units, if it has one that is still good.
func (l *lease) refused(rule *rule, n, now int64) (Decision, bool) {
	r := l.refusal.Load()
	if r == nil || n < r.n || now >= r.until {
		return Decision{}, false
	}
	return r.of(rule, now), true
}

// of returns r as a decision at now.
func (r *refusal) of(rule *rule, now int64) Decision {
	return rule.refused(r.cause, r.window, r.retry, now)
}
