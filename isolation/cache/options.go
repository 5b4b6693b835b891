package cache

import (
	"errors"
	"fmt"
	"time"
)

// Option changes a setting of [New].
type Option func(*config)

type config struct {
	perTenant  int
	maxEntries int
	ttl        time.Duration // 0: values stay until they are pushed out
	errorTTL   time.Duration // 0: errors are not kept
	now        func() time.Time
}

func defaults() config {
	return config{perTenant: 1000, maxEntries: 100_000, now: time.Now}
}

// PerTenant bounds the values of each tenant. The default is 1,000.
func PerTenant(n int) Option { return func(c *config) { c.perTenant = n } }

// MaxEntries bounds the values of all tenants together. The default is 100,000.
func MaxEntries(n int) Option { return func(c *config) { c.maxEntries = n } }

// TTL bounds how long a value is used. The default, 0, is for as long as there is room.
func TTL(d time.Duration) Option { return func(c *config) { c.ttl = d } }

// ErrorTTL keeps the errors of loaders for so long, with the same budget as values. The
// default, 0, keeps none. That a context has ended is never kept.
func ErrorTTL(d time.Duration) Option { return func(c *config) { c.errorTTL = d } }

// Clock sets the cache's clock, instead of time.Now.
func Clock(now func() time.Time) Option { return func(c *config) { c.now = now } }

func (c config) check() error {
	switch {
	case c.now == nil:
		return errors.New("cache: Clock: want a clock, not nil")
	case c.perTenant < 1 || c.maxEntries < 1:
		return fmt.Errorf("cache: want room for a value at least, got PerTenant %d and MaxEntries %d", c.perTenant, c.maxEntries)
	case c.ttl < 0 || c.errorTTL < 0:
		return fmt.Errorf("cache: want no negative times, got TTL %s and ErrorTTL %s", c.ttl, c.errorTTL)
	}
	return nil
}
