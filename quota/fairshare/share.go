package fairshare

import (
	"context"
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Defaults of a [Share].
const (
	DefaultMaxQueue = 100
	DefaultMaxWait  = 10 * time.Second
)

// maxWeight keeps sums of weights far from the ends of an int64.
const maxWeight = 1_000_000

// Share is what a tenant may have of a scheduler's units. The zero value is an equal
// share of what is not dedicated to others.
type Share struct {
	Weight    int64         // its part of the shared units beside others' weights; 1 to 1,000,000, 0 is 1
	Dedicated int64         // units that nobody else uses, had at once
	Max       int64         // units at once, dedicated ones included; 0 is as many as there are
	MaxQueue  int           // requests that wait; 0 is DefaultMaxQueue, below 0 none waits
	MaxWait   time.Duration // how long a request waits; 0 is DefaultMaxWait
}

// Shares returns a tenant's share. It is asked for each request, before anything is
// locked: keep what is costly to find out. An error refuses the request.
type Shares func(ctx context.Context, t tenant.Tenant) (Share, error)

// Equal gives each tenant the same share.
func Equal(share Share) Shares {
	return func(context.Context, tenant.Tenant) (Share, error) { return share, nil }
}

// complete returns s with the defaults in place.
func (s Share) complete() (Share, error) {
	switch {
	case s.Weight < 0 || s.Weight > maxWeight:
		return Share{}, fmt.Errorf("want a weight of 0 to %d, got %d", maxWeight, s.Weight)
	case s.Dedicated < 0 || s.Max < 0 || s.MaxWait < 0:
		return Share{}, fmt.Errorf("want no negative Dedicated, Max or MaxWait, got %d, %d and %s", s.Dedicated, s.Max, s.MaxWait)
	case s.Max > 0 && s.Max < s.Dedicated:
		return Share{}, fmt.Errorf("want a Max of at least Dedicated, got %d and %d", s.Max, s.Dedicated)
	}
	if s.Weight == 0 {
		s.Weight = 1
	}
	switch {
	case s.MaxQueue == 0:
		s.MaxQueue = DefaultMaxQueue
	case s.MaxQueue < 0:
		s.MaxQueue = -1
	}
	if s.MaxWait == 0 {
		s.MaxWait = DefaultMaxWait
	}
	return s, nil
}
