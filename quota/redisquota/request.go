package redisquota

import (
	"cmp"
	"slices"
	"time"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// request is one call of a script.
type request struct {
	script *script
	keys   []string
	args   []any
}

// builder numbers the keys and the terms of a request, from 1 as Lua does.
type builder struct {
	store  *Store
	tenant tenant.ID
	keys   []string
	terms  []*quota.Terms
}

func (b *builder) key(c quota.Counter) int {
	key := b.store.counterKey(b.tenant, c)
	if i := slices.Index(b.keys, key); i >= 0 {
		return i + 1
	}
	b.keys = append(b.keys, key)
	return len(b.keys)
}

func (b *builder) term(terms *quota.Terms) int {
	if i := slices.Index(b.terms, terms); i >= 0 {
		return i + 1
	}
	b.terms = append(b.terms, terms)
	return len(b.terms)
}

// taking returns the request of t. Each return and charge becomes numbers.
func (s *Store) taking(t quota.Taking) (request, error) {
	b := &builder{store: s, tenant: t.Tenant, keys: []string{s.answerKey(t.Tenant, t.ID)}}
	forget := 0
	if t.Forget != "" {
		b.keys = append(b.keys, s.answerKey(t.Tenant, t.Forget))
		forget = len(b.keys)
	}
	steps := make([]any, 0, 4+7*len(t.Returns)+4*len(t.Charges))
	steps = append(steps, milliseconds(cmp.Or(t.Remember, quota.AnswersFor)), forget, len(t.Returns))
	for _, r := range t.Returns {
		steps = append(steps, b.key(r.Counter), b.term(r.Terms), r.N, r.At.UnixMilli(), r.At.Nanosecond()%int(time.Millisecond), r.Kept, flag(r.Exact))
	}
	steps = append(steps, len(t.Charges))
	for _, c := range t.Charges {
		steps = append(steps, b.key(c.Counter), b.term(c.Terms), c.N, c.Least)
	}
	return b.request(takeScript, t.Holder, t.TTL, steps)
}

// request puts what all scripts read before the steps.
func (b *builder) request(script *script, holder string, ttl time.Duration, steps []any) (request, error) {
	args := make([]any, 0, 4+16*len(b.terms)+len(steps))
	args = append(b.store.head(args, holder, ttl), len(b.terms))
	for _, terms := range b.terms {
		list, err := b.store.wordsOf(terms)
		if err != nil {
			return request{}, err
		}
		args = append(args, list...)
	}
	return request{script: script, keys: b.keys, args: append(args, steps...)}, nil
}

// head appends the time, if it is the client's, and who holds for how long.
func (s *Store) head(args []any, holder string, ttl time.Duration) []any {
	var now any = ""
	if s.clock != nil {
		now = s.clock().UnixMilli()
	}
	return append(args, now, holder, milliseconds(ttl))
}

// milliseconds returns d, rounded up.
func milliseconds(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
