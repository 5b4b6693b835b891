package quotatest_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/quotatest"
	"github.com/tenancy-go/tenancy/tenant"
)

// broken is a store that is wrong in one way.
type broken struct {
	quota.Store
	take  func(s quota.Store, ctx context.Context, t quota.Taking) (quota.Taken, error)
	renew func(s quota.Store, ctx context.Context, holder string, ttl time.Duration, held []quota.Held) error
	batch func(s quota.Batcher, ctx context.Context, takings []quota.Taking) []quota.Answer
}

func (b broken) TakeBatch(ctx context.Context, takings []quota.Taking) []quota.Answer {
	store, _ := b.Store.(quota.Batcher)
	if b.batch == nil {
		return store.TakeBatch(ctx, takings)
	}
	return b.batch(store, ctx, takings)
}

func (b broken) Take(ctx context.Context, t quota.Taking) (quota.Taken, error) {
	if b.take == nil {
		return b.Store.Take(ctx, t)
	}
	return b.take(b.Store, ctx, t)
}

func (b broken) Renew(ctx context.Context, holder string, ttl time.Duration, held []quota.Held) error {
	if b.renew == nil {
		return b.Store.Renew(ctx, holder, ttl, held)
	}
	return b.renew(b.Store, ctx, holder, ttl, held)
}

func (b broken) Lane(context.Context, tenant.ID) string { return "" }

// changed takes what change makes of t.
func changed(change func(t *quota.Taking)) broken {
	return broken{take: func(s quota.Store, ctx context.Context, t quota.Taking) (quota.Taken, error) {
		t.Charges, t.Returns = slices.Clone(t.Charges), slices.Clone(t.Returns)
		change(&t)
		return s.Take(ctx, t)
	}}
}

var serial atomic.Int64

// TestSuiteCatches holds the suite to the stores that it must catch, and to the clauses
// that must catch them.
func TestSuiteCatches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		store broken
		by    []string
	}{
		{"counts one charge after the other", broken{take: oneByOne}, []string{"all charges or none"}},
		{"looks, and then takes", broken{take: lookFirst}, []string{"exactly the limit, from several clients at once"}},
		{"forgets IDs", changed(func(t *quota.Taking) { t.ID = time.Unix(0, serial.Add(1)).Format(time.RFC3339Nano) }),
			[]string{"a repeated ID counts once", "a repeated ID counts once, also at the same time"}},
		{"forgets all answers after a minute", changed(func(t *quota.Taking) { t.Remember = 0 }), []string{"answers are remembered as long as it is said"}},
		{"remembers what it is told to forget", changed(func(t *quota.Taking) { t.Forget = "" }), []string{"answers are remembered as long as it is said"}},
		{"forgets the answers of all tenants", broken{take: forgetForAll}, []string{"answers are remembered as long as it is said"}},
		{"knows IDs of all tenants together", changed(func(t *quota.Taking) {
			if t.Tenant == "globex" {
				t.Tenant = "acme"
			}
		}), []string{"counters are apart", "a repeated ID counts once"}},
		{"joins limit and key", changed(func(t *quota.Taking) {
			for i := range t.Charges {
				t.Charges[i].Limit, t.Charges[i].Key = t.Charges[i].Limit+":"+t.Charges[i].Key, ""
			}
		}), []string{"counters are apart"}},
		{"grants all or nothing", changed(func(t *quota.Taking) {
			for i := range t.Charges {
				t.Charges[i].Least = 0
			}
		}), []string{"as many as there is room for"}},
		{"holds for ever", changed(func(t *quota.Taking) { t.TTL = 24 * time.Hour }), []string{"what nobody renews is free again", "what was reserved by the dead is free again"}},
		{"one holder for all", changed(func(t *quota.Taking) { t.Holder = "all" }), []string{"what is held is bounded", "what nobody renews is free again"}},
		{"never gives back", changed(func(t *quota.Taking) { t.Returns = nil }), []string{"units go back where they were counted", "what is held is bounded"}},
		{"gives back to the window of now", changed(func(t *quota.Taking) {
			for i := range t.Returns {
				t.Returns[i].At = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
			}
		}), []string{"units go back where they were counted"}},
		{"ignores debts", changed(func(t *quota.Taking) {
			for i := range t.Returns {
				t.Returns[i].N = max(0, t.Returns[i].N)
			}
		}), []string{"what was used beyond the limit is owed"}},
		{"adds to the truth", changed(func(t *quota.Taking) {
			for i := range t.Returns {
				t.Returns[i].Exact = false
			}
		}), []string{"stock is set to the truth"}},
		{"keeps what was reserved", changed(func(t *quota.Taking) {
			for i := range t.Returns {
				if t.Returns[i].Terms != nil && t.Returns[i].Terms.Kind == quota.Stock && !t.Returns[i].Exact {
					t.Returns[i].Kept = max(t.Returns[i].Kept, t.Returns[i].N)
				}
			}
		}), []string{"stock is reserved, kept and released"}},
		{"renews nothing", broken{renew: func(quota.Store, context.Context, string, time.Duration, []quota.Held) error { return nil }},
			[]string{"what is renewed is held as it is said", "a context that ended is heeded"}},
		{"strict windows only roll", changed(func(t *quota.Taking) { softly(t) }), []string{"strict windows never let in more"}},
		{"answers batches in any order", broken{batch: func(s quota.Batcher, ctx context.Context, all []quota.Taking) []quota.Answer {
			answers := s.TakeBatch(ctx, all)
			slices.Reverse(answers)
			return answers
		}}, []string{"a batch is as one by one"}},
		{"ends a batch at its first fault", broken{batch: func(s quota.Batcher, ctx context.Context, all []quota.Taking) []quota.Answer {
			answers := make([]quota.Answer, len(all))
			for i, t := range all {
				if answers[i].Taken, answers[i].Err = s.Take(ctx, t); answers[i].Err != nil {
					break
				}
			}
			return answers
		}}, []string{"a batch is as one by one"}},
		{"forgets with the terms", changed(func(t *quota.Taking) {
			for i := range t.Charges {
				if c := &t.Charges[i]; c.Terms != nil && len(c.Terms.Windows) > 0 {
					c.Limit += c.Terms.Windows[0].String()
				}
			}
		}), []string{"changed terms remember"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			failed := quotatest.CheckStore(t.Context(), func() quotatest.Open {
				var memory *quota.MemoryStore
				return func(now func() time.Time) quota.Store {
					if memory == nil {
						memory = quota.NewMemoryStore(now)
					}
					b := tt.store
					b.Store = memory
					return b
				}
			})
			for _, clause := range tt.by {
				assert.Contains(t, failed, clause)
			}
		})
	}
}

// forgetForAll forgets answers by the ID alone.
func forgetForAll(s quota.Store, ctx context.Context, t quota.Taking) (quota.Taken, error) {
	if t.Forget != "" {
		for _, id := range []tenant.ID{"acme", "globex"} {
			also := quota.Taking{ID: fmt.Sprint("also-", serial.Add(1)), Tenant: id, Holder: t.Holder, TTL: t.TTL, Forget: t.Forget}
			if _, err := s.Take(ctx, also); err != nil {
				return quota.Taken{}, err
			}
		}
	}
	return s.Take(ctx, t)
}

// oneByOne carries out each charge by itself, until one is refused.
func oneByOne(s quota.Store, ctx context.Context, t quota.Taking) (quota.Taken, error) {
	all := quota.Taken{OK: true}
	for i, c := range t.Charges {
		one := t
		one.ID, one.Charges = t.ID+string(rune('a'+i)), []quota.Charge{c}
		taken, err := s.Take(ctx, one)
		if err != nil || !taken.OK {
			taken.Refused = i
			return taken, err
		}
		all.At, all.Granted = taken.At, append(all.Granted, taken.Granted...)
	}
	if len(t.Charges) == 0 {
		return s.Take(ctx, t)
	}
	return all, nil
}

// lookFirst reads whether there is room, and counts then.
func lookFirst(s quota.Store, ctx context.Context, t quota.Taking) (quota.Taken, error) {
	for _, c := range t.Charges {
		if c.Terms == nil || c.Terms.Kind != quota.Rate {
			continue
		}
		levels, err := s.Read(ctx, t.Tenant, []quota.Counter{c.Counter})
		if err != nil {
			return quota.Taken{}, err
		}
		for i, w := range levels[0].Windows {
			if w.Used+c.N > c.Terms.Windows[i].Limit {
				return s.Take(ctx, t)
			}
		}
	}
	time.Sleep(time.Millisecond) // lets the others look, too
	forced := t
	forced.Charges = nil
	granted := make([]quota.Granted, len(t.Charges))
	for i, c := range t.Charges {
		if c.Terms != nil && c.Terms.Kind == quota.Rate {
			forced.Returns = append(slices.Clone(forced.Returns), quota.Return{Counter: c.Counter, N: -c.N})
		}
		granted[i].N = c.N
	}
	taken, err := s.Take(ctx, forced)
	taken.Granted = granted
	return taken, err
}

// softly makes strict windows rolling ones.
func softly(t *quota.Taking) {
	for i := range t.Charges {
		c := &t.Charges[i]
		if c.Terms == nil {
			continue
		}
		terms := *c.Terms
		terms.Windows = slices.Clone(terms.Windows)
		for j := range terms.Windows {
			if terms.Windows[j].Roll == quota.Strict {
				terms.Windows[j].Roll = quota.Rolling
			}
		}
		c.Terms = &terms
	}
}
