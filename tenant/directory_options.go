package tenant

import (
	"fmt"
	"time"
)

// DirectoryOption changes how a [Directory] works.
type DirectoryOption func(*directoryConfig)

type directoryConfig struct {
	maxTenants  int
	ttl         time.Duration
	maxUnknown  int
	unknownTTL  time.Duration
	staleFor    time.Duration
	loadTimeout time.Duration
	now         func() time.Time
}

func defaultDirectoryConfig() directoryConfig {
	return directoryConfig{
		maxTenants:  10_000,
		ttl:         time.Minute,
		maxUnknown:  10_000,
		unknownTTL:  10 * time.Second,
		staleFor:    5 * time.Minute,
		loadTimeout: 5 * time.Second,
		now:         time.Now,
	}
}

// WithMaxTenants sets how many tenants a Directory keeps, those used last,
// each under all of its names. The default is 10,000.
func WithMaxTenants(n int) DirectoryOption {
	return func(c *directoryConfig) { c.maxTenants = n }
}

// WithTTL sets how long a Directory answers from a record before it reads it
// again. The default is 1 minute.
func WithTTL(d time.Duration) DirectoryOption {
	return func(c *directoryConfig) { c.ttl = d }
}

// WithMaxUnknown sets how many names without a tenant a Directory remembers.
// They have a place of their own, so that invented names never push a tenant
// out. The default is 10,000.
func WithMaxUnknown(n int) DirectoryOption {
	return func(c *directoryConfig) { c.maxUnknown = n }
}

// WithUnknownTTL sets how long a Directory remembers that a name has no tenant.
// The default is 10 seconds.
func WithUnknownTTL(d time.Duration) DirectoryOption {
	return func(c *directoryConfig) { c.unknownTTL = d }
}

// WithStaleFor sets for how long past its time a record still answers while the
// store fails; 0 means not at all. The default is 5 minutes.
func WithStaleFor(d time.Duration) DirectoryOption {
	return func(c *directoryConfig) { c.staleFor = d }
}

// WithLoadTimeout bounds one read of the store. The default is 5 seconds.
func WithLoadTimeout(d time.Duration) DirectoryOption {
	return func(c *directoryConfig) { c.loadTimeout = d }
}

// WithDirectoryClock sets the Directory's clock, instead of time.Now.
func WithDirectoryClock(now func() time.Time) DirectoryOption {
	return func(c *directoryConfig) { c.now = now }
}

func (c directoryConfig) check() error {
	switch {
	case c.maxTenants < 1 || c.maxUnknown < 1:
		return fmt.Errorf("tenant: directory: want room for a tenant and an unknown name at least, got %d and %d", c.maxTenants, c.maxUnknown)
	case c.ttl <= 0 || c.unknownTTL <= 0 || c.loadTimeout <= 0:
		return fmt.Errorf("tenant: directory: want times above 0, got TTL %s, unknown TTL %s, load timeout %s", c.ttl, c.unknownTTL, c.loadTimeout)
	case c.staleFor < 0:
		return fmt.Errorf("tenant: directory: want no negative time for stale records, got %s", c.staleFor)
	case c.now == nil:
		return fmt.Errorf("tenant: directory: want a clock, not nil")
	}
	return nil
}
