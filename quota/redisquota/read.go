package redisquota

import (
	"context"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// Read implements [quota.Store]. All levels are of the same moment.
func (s *Store) Read(ctx context.Context, id tenant.ID, counters []quota.Counter) ([]quota.Level, error) {
	if err := quota.ValidateRead(id, counters); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(counters) == 0 {
		return []quota.Level{}, nil
	}
	r, err := s.reading(id, counters)
	if err != nil {
		return nil, err
	}
	text, err := r.run(ctx, s.client).Text()
	if err != nil {
		return nil, unavailable("read", err)
	}
	return parseLevels(text, counters)
}

func (s *Store) reading(id tenant.ID, counters []quota.Counter) (request, error) {
	b := &builder{store: s, tenant: id}
	steps := make([]any, 0, len(counters))
	for _, c := range counters {
		b.keys = append(b.keys, s.counterKey(id, c)) // once for each counter, even if twice
		steps = append(steps, b.term(c.Terms))
	}
	return b.request(readScript, "", 0, steps)
}
