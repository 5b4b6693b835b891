package envelope

import (
	"fmt"
	"time"
)

// Option changes how [Keys] work.
type Option func(*config)

type config struct {
	ttl     time.Duration
	rings   int
	timeout time.Duration
	maxAge  time.Duration
	journal Journal
	now     func() time.Time
}

// WithTTL sets how long a process relies on the keys it read before it asks the
// store, the journal and the provider again. It bounds how long other processes
// go on after [Keys.Shred], after a wrapping key is disabled, or with an old version
// after [Keys.Rotate]. The default is 5 minutes.
func WithTTL(d time.Duration) Option { return func(c *config) { c.ttl = d } }

// WithMaxCached sets for how many pairs of tenant and purpose keys are kept in
// memory, those used last. The default is 10,000.
func WithMaxCached(n int) Option { return func(c *config) { c.rings = n } }

// WithTimeout bounds one reading of keys, which several callers may wait for. The
// default is 10 seconds.
func WithTimeout(d time.Duration) Option { return func(c *config) { c.timeout = d } }

// WithMaxAge makes a data key be followed by a new version when something is
// sealed with it that long after its creation. If that fails, the old version
// goes on. The default, 0, is never: call [Keys.Rotate]. Keys of [Indexes] are not
// rotated by age.
func WithMaxAge(d time.Duration) Option { return func(c *config) { c.maxAge = d } }

// WithJournal keeps tombstones in a second place, which is not backed up with the
// store: another database, or a [FileJournal]. It is asked whenever keys are read.
func WithJournal(j Journal) Option { return func(c *config) { c.journal = j } }

// WithClock sets the clock, instead of time.Now.
func WithClock(now func() time.Time) Option { return func(c *config) { c.now = now } }

func (c config) check() error {
	switch {
	case c.ttl <= 0 || c.timeout <= 0:
		return fmt.Errorf("envelope: want times above 0, got TTL %s and timeout %s", c.ttl, c.timeout)
	case c.rings < 1:
		return fmt.Errorf("envelope: want room for one tenant's keys at least, got %d", c.rings)
	case c.maxAge < 0:
		return fmt.Errorf("envelope: want no negative age, got %s", c.maxAge)
	case c.now == nil:
		return fmt.Errorf("envelope: want a clock, not nil")
	}
	return nil
}
