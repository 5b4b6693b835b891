package stocktake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Option changes a setting of [New].
type Option func(*config)

type config struct {
	every    time.Duration
	jitter   float64
	parallel int
	timeout  time.Duration
	query    tenant.Query
	results  func(context.Context, Result)
	rounds   func(context.Context, Round, error)
}

func defaults() config {
	return config{
		every:    time.Hour,
		jitter:   0.1,
		parallel: 2,
		timeout:  time.Minute,
		query:    tenant.Query{Status: []tenant.Status{tenant.StatusActive, tenant.StatusReadOnly, tenant.StatusSuspended}},
		results:  func(context.Context, Result) {},
		rounds:   func(context.Context, Round, error) {},
	}
}

// WithEvery is the time from the end of a round to the next. The default is an hour.
func WithEvery(d time.Duration) Option { return func(c *config) { c.every = d } }

// WithJitter is by what fraction of [WithEvery] that time may be shorter or longer, from 0
// to 1. The first round comes after a part of this fraction. The default is 0.1.
func WithJitter(fraction float64) Option { return func(c *config) { c.jitter = fraction } }

// WithParallel is how many tenants are measured at a time. The default is 2.
func WithParallel(n int) Option { return func(c *config) { c.parallel = n } }

// WithTimeout bounds how long one tenant may take. The default is a minute.
func WithTimeout(d time.Duration) Option { return func(c *config) { c.timeout = d } }

// WithQuery selects the tenants to measure. The default is those that are active,
// read-only or suspended.
func WithQuery(q tenant.Query) Option { return func(c *config) { c.query = q } }

// WithResults has results called for each tenant that was measured, or could not be, from
// as many goroutines as measure: to log failures, or to keep sizes.
func WithResults(results func(ctx context.Context, r Result)) Option {
	return func(c *config) { c.results = results }
}

// WithRounds has rounds called after each round of [Collector.Run], with the error of
// [Collector.Round].
func WithRounds(rounds func(ctx context.Context, r Round, err error)) Option {
	return func(c *config) { c.rounds = rounds }
}

func (c *config) check() error {
	switch {
	case c.every <= 0:
		return fmt.Errorf("stocktake: WithEvery: want a duration above zero, got %s", c.every)
	case !(c.jitter >= 0 && c.jitter <= 1):
		return fmt.Errorf("stocktake: WithJitter: want a fraction from 0 to 1, got %v", c.jitter)
	case c.parallel < 1:
		return fmt.Errorf("stocktake: WithParallel: want 1 or more, got %d", c.parallel)
	case c.timeout <= 0:
		return fmt.Errorf("stocktake: WithTimeout: want a duration above zero, got %s", c.timeout)
	case c.results == nil || c.rounds == nil:
		return errors.New("stocktake: WithResults, WithRounds: want a function, not nil")
	}
	return nil
}
