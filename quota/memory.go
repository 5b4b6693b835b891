package quota

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/quota/internal/count"
	"github.com/tenancy-go/tenancy/tenant"
)

// MemoryStore is a Store for one process: for tests of what runs on several, with an
// Enforcer for each.
type MemoryStore struct {
	clk *clock

	mu       sync.Mutex // guards what follows
	counters map[counterKey]*storedCounter
	answers  answers
}

type counterKey struct {
	tenant     tenant.ID
	kind       Kind
	limit, key string
}

// storedCounter is one counter. Rates have used and windows, the others kept and
// held.
type storedCounter struct {
	used    int64
	windows map[storedWindow]*windowState
	arrival int64 // of the burst

	kept int64
	held map[string]heldUnits // by holder
}

// storedWindow tells windows apart whose state differs.
type storedWindow struct {
	per  Period
	roll Roll
}

type windowState struct {
	words  []int64
	rolled int64
}

type heldUnits struct{ n, until int64 }

// NewMemoryStore returns an empty Store. It takes the time from now, or from the
// computer's clock if that is nil.
func NewMemoryStore(now func() time.Time) *MemoryStore {
	return &MemoryStore{clk: newClock(now), counters: make(map[counterKey]*storedCounter), answers: answers{known: make(map[answerKey]*answer)}}
}

// now returns the time to the millisecond.
func (s *MemoryStore) now() int64 {
	const millisecond = int64(time.Millisecond)
	return s.clk.exact() / millisecond * millisecond
}

// Take implements [Store].
func (s *MemoryStore) Take(ctx context.Context, t Taking) (Taken, error) {
	if err := t.Validate(); err != nil {
		return Taken{}, err
	}
	if err := ctx.Err(); err != nil {
		return Taken{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.answers.expire(now)
	if known := s.answers.known[answerKey{t.Tenant, t.ID}]; known != nil {
		return known.taken, nil
	}
	for _, r := range t.Returns {
		s.counter(t.Tenant, r.Counter).giveBack(r, t.Holder, now)
	}
	taken := s.charge(t, now)
	taken.At = time.Unix(0, now).UTC()
	s.answers.remember(t, taken, now)
	return taken, nil
}

// TakeBatch implements [Batcher].
func (s *MemoryStore) TakeBatch(ctx context.Context, takings []Taking) []Answer {
	answers := make([]Answer, len(takings))
	for i, t := range takings {
		answers[i].Taken, answers[i].Err = s.Take(ctx, t)
	}
	return answers
}

// Lane implements [Batcher].
func (s *MemoryStore) Lane(context.Context, tenant.ID) string { return "" }

func (s *MemoryStore) counter(id tenant.ID, c Counter) *storedCounter {
	key := counterKey{id, c.Terms.Kind, c.Limit, c.Key}
	kept := s.counters[key]
	if kept == nil {
		kept = &storedCounter{windows: make(map[storedWindow]*windowState), held: make(map[string]heldUnits)}
		s.counters[key] = kept
	}
	return kept
}

// peek returns a copy of a counter, to look at.
func (s *MemoryStore) peek(id tenant.ID, c Counter) *storedCounter {
	looked := storedCounter{windows: make(map[storedWindow]*windowState), held: make(map[string]heldUnits)}
	kept := s.counters[counterKey{id, c.Terms.Kind, c.Limit, c.Key}]
	if kept == nil {
		return &looked
	}
	looked.used, looked.arrival, looked.kept = kept.used, kept.arrival, kept.kept
	maps.Copy(looked.held, kept.held)
	for w, state := range kept.windows {
		looked.windows[w] = &windowState{words: slices.Clone(state.words), rolled: state.rolled}
	}
	return &looked
}

// charge carries out the charges of t, all or none.
func (s *MemoryStore) charge(t Taking, now int64) Taken {
	granted := make([]Granted, len(t.Charges))
	undo := make([]func(), 0, len(t.Charges))
	for i, c := range t.Charges {
		counter := s.counter(t.Tenant, c.Counter)
		refusal, back := counter.take(c, t, now, &granted[i])
		if refusal.Cause != CauseNone {
			for _, u := range slices.Backward(undo) { // a counter may have been charged twice
				u()
			}
			refusal.Refused = i
			return refusal
		}
		undo = append(undo, back)
	}
	return Taken{OK: true, Granted: granted}
}

// take takes the units of c, and returns how to undo that.
func (c *storedCounter) take(charge Charge, t Taking, now int64, granted *Granted) (Taken, func()) {
	if charge.Terms.Kind == Rate {
		return c.takeRate(charge, now, granted)
	}
	return c.hold(charge, t, now, granted)
}

func (c *storedCounter) takeRate(charge Charge, now int64, granted *Granted) (Taken, func()) {
	terms := charge.Terms
	room, edge := maxUnits, int64(never)
	for i := range terms.Windows {
		top, until := c.window(terms, i, now).ceiling(terms.Windows[i], terms.Zone)
		room, edge = min(room, top-c.used), min(edge, until)
	}
	n := charge.N
	if charge.Least > 0 {
		n = min(n, max(room, charge.Least))
	}
	arrival := c.arrival
	if refusal, ok := c.takeBurst(charge, &n, now); !ok {
		return refusal, nil
	}
	if n > room {
		c.arrival = arrival
		return c.refusal(charge, n, now), nil
	}
	c.used += n
	*granted = Granted{N: n, Left: room - n}
	if edge != never {
		granted.For = time.Duration(edge - now)
	}
	return Taken{}, func() { c.used -= n; c.arrival = arrival }
}

// takeBurst lets n units come at once, or fewer where that will do.
func (c *storedCounter) takeBurst(charge Charge, n *int64, now int64) (Taken, bool) {
	b, windows := charge.Terms.burst(), len(charge.Terms.Windows)
	if b == nil {
		return Taken{}, true
	}
	if charge.Least > 0 {
		*n = max(charge.Least, min(*n, b.Room(c.arrival, now)))
	}
	next, d := b.next(&rule{}, c.arrival, *n, now)
	if !d.OK {
		return Taken{Cause: d.Cause(), Window: windows, RetryAfter: d.RetryAfter()}, false
	}
	c.arrival = next
	return Taken{}, true
}

// burst returns the burst of t, or nil.
func (t *Terms) burst() *burst {
	if t.Burst == 0 || len(t.Windows) == 0 {
		return nil
	}
	return &burst{Burst: count.Burst{Units: t.Burst, Limit: t.Windows[0].Limit, Length: int64(t.Windows[0].Length())}}
}

// refusal says why n units have no room, and when they will.
func (c *storedCounter) refusal(charge Charge, n, now int64) Taken {
	refused := Taken{Cause: CauseLimit}
	latest := now
	for i, w := range charge.Terms.Windows {
		state := c.window(charge.Terms, i, now)
		if at := w.roller(charge.Terms.Zone).Retry(state.words, c.used, w.Limit, n, state.rolled); at > latest {
			latest, refused.Window = at, i
		}
	}
	if latest == never {
		refused.Cause = CauseTooLarge
		return refused
	}
	refused.RetryAfter = time.Duration(latest - now)
	return refused
}

// window returns the state of a window, rolled to now. It stays where it is if the clock
// was set back.
func (c *storedCounter) window(terms *Terms, i int, now int64) *windowState {
	w := terms.Windows[i]
	key := storedWindow{w.Per, w.Roll}
	r := w.roller(terms.Zone)
	state := c.windows[key]
	if state == nil {
		state = &windowState{words: make([]int64, r.Words()), rolled: now}
		r.Start(state.words, c.used, now)
		c.windows[key] = state
	}
	state.rolled, now = max(now, state.rolled), state.rolled
	r.Roll(state.words, c.used, now, state.rolled)
	if day, ok := r.(count.Calendar); ok {
		day.Move(state.words, state.rolled)
	}
	return state
}

func (s *windowState) ceiling(w Window, zone *time.Location) (ceiling, edge int64) {
	return w.roller(zone).Ceiling(s.words, w.Limit, s.rolled)
}

// hold takes units that the holder of t holds.
func (c *storedCounter) hold(charge Charge, t Taking, now int64, granted *Granted) (Taken, func()) {
	used, n, limit := c.heldUnits(now), charge.N, charge.Terms.Max
	room := maxUnits
	if limit != Unlimited {
		room = limit - used
	}
	if charge.Least > 0 {
		n = min(n, max(room, charge.Least))
	}
	if n > room {
		switch {
		case n > limit:
			return Taken{Cause: CauseTooLarge}, nil
		case charge.Terms.Kind == Concurrent:
			return Taken{Cause: CauseBusy, RetryAfter: busyRetry}, nil
		default:
			return Taken{Cause: CauseStock}, nil
		}
	}
	before := c.held[t.Holder]
	c.setHeld(t.Holder, before.n+n, max(before.until, now+int64(t.TTL)))
	*granted = Granted{N: n, Left: room - n}
	return Taken{}, func() { c.setHeld(t.Holder, before.n, before.until) }
}

// heldUnits returns what is kept and held, and forgets holders whose time is over.
func (c *storedCounter) heldUnits(now int64) int64 {
	used := c.kept
	for holder, units := range c.held {
		if units.until <= now {
			delete(c.held, holder)
			continue
		}
		used += units.n
	}
	return used
}

func (c *storedCounter) setHeld(holder string, n, until int64) {
	if n <= 0 {
		delete(c.held, holder)
		return
	}
	c.held[holder] = heldUnits{n, until}
}

// giveBack carries out r.
func (c *storedCounter) giveBack(r Return, holder string, now int64) {
	if r.Terms.Kind != Rate {
		c.heldUnits(now)
		c.setHeld(holder, c.held[holder].n-r.N, c.held[holder].until)
		if !r.Exact {
			r.Kept += c.kept
		}
		if r.Terms.Kind == Stock {
			c.kept = max(0, r.Kept)
		}
		return
	}
	for i, w := range r.Terms.Windows {
		state := c.window(r.Terms, i, now)
		if r.N > 0 {
			w.roller(r.Terms.Zone).Refund(state.words, c.used, r.N, instant(r.At), state.rolled)
		}
	}
	if r.N < 0 {
		c.used -= r.N
	}
	b := r.Terms.burst()
	switch {
	case b == nil || b.Limit == 0:
	case r.N > 0:
		c.arrival -= b.Back(r.N, instant(r.At), now)
	default:
		c.arrival = b.After(c.arrival, -r.N, now)
	}
}

// Renew implements [Store].
func (s *MemoryStore) Renew(ctx context.Context, holder string, ttl time.Duration, held []Held) error {
	if err := ValidateRenew(holder, ttl, held); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, h := range held {
		s.counter(h.Tenant, h.Counter).setHeld(holder, h.N, now+int64(ttl))
	}
	return nil
}

// Read implements [Store].
func (s *MemoryStore) Read(ctx context.Context, id tenant.ID, counters []Counter) ([]Level, error) {
	if err := ValidateRead(id, counters); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	levels := make([]Level, len(counters))
	for i, c := range counters {
		counter := s.peek(id, c)
		if c.Terms.Kind != Rate {
			levels[i].Used = counter.heldUnits(now)
			continue
		}
		for j, w := range c.Terms.Windows {
			state := counter.window(c.Terms, j, now)
			top, _ := state.ceiling(w, c.Terms.Zone)
			resets := w.roller(c.Terms.Zone).Reset(state.words, state.rolled)
			levels[i].Windows = append(levels[i].Windows, WindowLevel{Used: counter.used - (top - w.Limit), Resets: time.Unix(0, resets).UTC()})
		}
	}
	return levels, nil
}
