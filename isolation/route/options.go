package route

import (
	"errors"
	"fmt"
	"time"
)

// Option changes a setting of [New].
type Option func(*config)

type config struct {
	recorded    bool // placements are in store; else the rule is asked for every statement
	store       Store
	maxAge      time.Duration
	loadTimeout time.Duration
	cacheSize   int
	systemCell  string
	now         func() time.Time
}

func defaults() config {
	return config{maxAge: 30 * time.Second, loadTimeout: 5 * time.Second, cacheSize: 10_000, now: time.Now}
}

// Record keeps placements in store: the rule chooses when a tenant is provisioned, and
// what was recorded decides from then on.
func Record(store Store) Option {
	return func(c *config) { c.store, c.recorded = store, true }
}

// MaxAge bounds how long a recorded placement is used without reading it again. It is
// the time after which no process serves a moved tenant at its old place, even one that
// hears of nothing. The default is 30 seconds.
func MaxAge(d time.Duration) Option { return func(c *config) { c.maxAge = d } }

// LoadTimeout bounds one read of the store. The default is 5 seconds.
func LoadTimeout(d time.Duration) Option { return func(c *config) { c.loadTimeout = d } }

// CacheSize bounds the tenants whose cell is kept in memory, at about 300 bytes each.
// The default is 10,000.
func CacheSize(n int) Option { return func(c *config) { c.cacheSize = n } }

// SystemCell names the cell of system contexts without [InCell]. Without it, and with
// more than one cell, those are refused.
func SystemCell(name string) Option { return func(c *config) { c.systemCell = name } }

// Clock sets the router's clock, instead of time.Now.
func Clock(now func() time.Time) Option { return func(c *config) { c.now = now } }

func (c config) check() error {
	switch {
	case c.now == nil:
		return errors.New("route: Clock: want a clock, not nil")
	case c.maxAge <= 0 || c.loadTimeout <= 0:
		return fmt.Errorf("route: want times above 0, got MaxAge %s and LoadTimeout %s", c.maxAge, c.loadTimeout)
	case c.recorded && c.store == nil:
		return errors.New("route: Record: want a store, not nil")
	case c.cacheSize < 1:
		return fmt.Errorf("route: CacheSize: want at least 1, got %d", c.cacheSize)
	}
	return nil
}
