package quota

import (
	"context"
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
	counters map[counterKey]*count.Counter
	answers  answers
}

type counterKey struct {
	tenant     tenant.ID
	kind       Kind
	limit, key string
}

// NewMemoryStore returns an empty Store. It takes the time from now, or from the
// computer's clock if that is nil.
func NewMemoryStore(now func() time.Time) *MemoryStore {
	return &MemoryStore{clk: newClock(now), counters: make(map[counterKey]*count.Counter), answers: answers{known: make(map[answerKey]*answer)}}
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
		back := count.Return{N: r.N, At: instant(r.At), Kept: r.Kept, Exact: r.Exact}
		s.counter(t.Tenant, r.Counter).GiveBack(r.Terms.spec(), back, t.Holder, now)
	}
	taken := takenOf(count.TakeAll(s.charges(t), count.Holder{Name: t.Holder, Until: now + int64(t.TTL)}, now))
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

func (s *MemoryStore) counter(id tenant.ID, c Counter) *count.Counter {
	key := counterKey{id, c.Terms.Kind, c.Limit, c.Key}
	kept := s.counters[key]
	if kept == nil {
		kept = count.New()
		s.counters[key] = kept
	}
	return kept
}

// charges returns those of t, of the counters as s has them.
func (s *MemoryStore) charges(t Taking) []count.Asked {
	charges := make([]count.Asked, len(t.Charges))
	for i, c := range t.Charges {
		charges[i] = count.Asked{Counter: s.counter(t.Tenant, c.Counter), Spec: c.Terms.spec(), Charge: count.Charge{N: c.N, Least: c.Least}}
	}
	return charges
}

// spec returns t as counters are held to it.
func (t *Terms) spec() *count.Spec {
	s := &count.Spec{Kind: string(t.Kind), Windows: make([]count.Window, len(t.Windows)), Burst: t.Burst, Max: t.Max}
	for i, w := range t.Windows {
		s.Windows[i] = count.NewWindow(string(w.Per), string(w.Roll), int64(w.Length()), w.Limit, t.Zone)
	}
	return s
}

var storedCauses = map[string]Cause{
	count.CauseLimit: CauseLimit, count.CauseTooLarge: CauseTooLarge, count.CauseBusy: CauseBusy, count.CauseStock: CauseStock,
}

// takenOf returns what a says.
func takenOf(a count.Answer) Taken {
	t := Taken{
		OK: a.OK, At: time.Unix(0, a.At).UTC(),
		Refused: a.Refused, Cause: storedCauses[a.Cause], Window: a.Window, RetryAfter: time.Duration(a.Retry),
	}
	for _, g := range a.Granted {
		t.Granted = append(t.Granted, Granted{N: g.N, Left: g.Left, For: time.Duration(g.For)})
	}
	return t
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
		s.counter(h.Tenant, h.Counter).Renew(count.Holder{Name: holder, Until: now + int64(ttl)}, h.N, now)
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
		counter := s.counters[counterKey{id, c.Terms.Kind, c.Limit, c.Key}]
		if counter == nil {
			counter = count.New()
		}
		level := counter.Level(c.Terms.spec(), now)
		levels[i].Used = level.Used
		for _, w := range level.Windows {
			levels[i].Windows = append(levels[i].Windows, WindowLevel{Used: w.Used, Resets: time.Unix(0, w.Resets).UTC()})
		}
	}
	return levels, nil
}
