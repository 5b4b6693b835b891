package redisquota

import (
	"context"
	"slices"
	"time"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

const (
	renewKeys  = 100 // counters of one call of the script, during which Redis does nothing else
	renewCalls = 200 // calls in one pipeline
)

// Renew implements [quota.Store]. It says it of each tenant in one step, and of different
// tenants one after the other.
func (s *Store) Renew(ctx context.Context, holder string, ttl time.Duration, held []quota.Held) error {
	if err := quota.ValidateRenew(holder, ttl, held); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for requests := range slices.Chunk(s.renewing(holder, ttl, held), renewCalls) {
		for _, cmd := range runAll(ctx, s.client, requests) {
			if err := cmd.Err(); err != nil {
				return unavailable("renew", err)
			}
		}
	}
	return nil
}

// renewing returns the requests of a Renew, each of one tenant. Rates hold nothing.
func (s *Store) renewing(holder string, ttl time.Duration, held []quota.Held) []request {
	var requests []request
	open := make(map[tenant.ID]int) // the number of the request that takes more of the tenant
	for _, h := range held {
		if h.Counter.Terms.Kind == quota.Rate {
			continue
		}
		i, ok := open[h.Tenant]
		if !ok || len(requests[i].keys) == renewKeys {
			i = len(requests)
			open[h.Tenant] = i
			requests = append(requests, request{script: renewScript, args: s.head(nil, holder, ttl)})
		}
		r := &requests[i]
		r.keys, r.args = append(r.keys, s.counterKey(h.Tenant, h.Counter)), append(r.args, h.N)
	}
	return requests
}
