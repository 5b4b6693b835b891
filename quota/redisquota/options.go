package redisquota

import (
	"fmt"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/quota"
)

// Option changes how a Store works.
type Option func(*config)

type config struct {
	prefix  string
	clock   func() time.Time
	retries bool
}

// WithPrefix makes the names of all keys begin with prefix instead of "tenancy:quota".
// It has neither braces nor NUL: the braces of a key hold the tenant.
func WithPrefix(prefix string) Option { return func(c *config) { c.prefix = prefix } }

// WithClock takes the time from now, not from Redis. It is for tests: the keys still
// expire by the time of Redis, which must not run faster.
func WithClock(now func() time.Time) Option { return func(c *config) { c.clock = now } }

// WithoutRetry leaves it to the caller to repeat a Taking whose connection broke. What
// the client of Redis repeats by itself is one of its options, MaxRetries.
func WithoutRetry() Option { return func(c *config) { c.retries = false } }

func (c config) validate() error {
	if c.prefix == "" || strings.ContainsAny(c.prefix, "{}\x00") {
		return fmt.Errorf("%w: redisquota: prefix %q: want one without braces", quota.ErrInvalid, c.prefix)
	}
	return nil
}
