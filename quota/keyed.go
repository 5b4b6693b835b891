package quota

import (
	"errors"
	"time"
)

// KeyedLimiter limits rates by key, all keys alike: addresses before a tenant is
// known, API keys, anything that is not a tenant's. It needs no plan.
//
// The number of keys with a counter of their own is bounded. When it is reached,
// counters that decide as new ones would make room; none that counts anything is
// given up. Keys for which there is no room share 64 counters, by hash: a flood of
// invented keys is refused, and those who had a counter before notice nothing.
type KeyedLimiter struct{ table *table }

// KeyedOption changes a setting of [NewKeyedLimiter].
type KeyedOption func(*keyedConfig)

type keyedConfig struct {
	now  func() time.Time
	keys int64
	err  error
}

// KeyedClock takes the time from now instead of the computer's clock: for tests.
func KeyedClock(now func() time.Time) KeyedOption {
	return func(c *keyedConfig) { c.now = now }
}

// MaxKeys bounds the keys with a counter of their own: 1,000,000 by default, which take
// about 120 MB with three rolling windows.
func MaxKeys(n int64) KeyedOption {
	return func(c *keyedConfig) {
		c.keys = n
		if n < 1 || n > maxCells {
			c.err = errors.New("quota: MaxKeys: want 1 to 2^31")
		}
	}
}

// keyedShards keeps growing short: one of them with 4,000 of a million keys is
// rebuilt within a tenth of a millisecond.
const keyedShards = 256

// NewKeyedLimiter returns a limiter of the windows of limit, which is of kind Rate.
// Calendar windows are in UTC.
func NewKeyedLimiter(limit Limit, opts ...KeyedOption) (*KeyedLimiter, error) {
	config := keyedConfig{keys: 1_000_000}
	for _, opt := range opts {
		opt(&config)
	}
	if config.err != nil {
		return nil, config.err
	}
	limit = limit.normal()
	if err := limit.validate("limit", "limit"); err != nil {
		return nil, err
	}
	if limit.Kind != Rate || len(limit.Windows) == 0 {
		return nil, invalid("limit.windows", "want at least one window")
	}
	rule := newRule("key", limit, time.UTC)
	return &KeyedLimiter{newTable(rule, newClock(config.now), config.keys, shardsFor(config.keys))}, nil
}

// shardsFor gives each shard 64 keys or more, so that one that is full finds some to
// give up.
func shardsFor(keys int64) int {
	shards := 1
	for shards < keyedShards && int64(shards) < keys/64 {
		shards *= 2
	}
	return shards
}

// Take counts n units of key if there is room for all of them in all windows, and
// else none.
func (l *KeyedLimiter) Take(key string, n int64) Decision {
	if uint64(n) > uint64(maxUnits) {
		return because(CauseInvalid, l.table.rule.name)
	}
	d := l.table.take(key, n)
	if d.isMoved() { // its counter has gone as far as counters go
		return because(CauseLimit, l.table.rule.name)
	}
	return d
}

// Len returns the number of keys that have a counter of their own.
func (l *KeyedLimiter) Len() int { return l.table.len() }
