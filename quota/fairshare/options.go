package fairshare

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Option changes a setting of [New].
type Option func(*config)

type config struct {
	platform *Share // nil: refuse system contexts
	idle     int
	patience time.Duration
	cost     func(*http.Request) int64
	onError  func(http.ResponseWriter, *http.Request, error)
}

func defaults() config {
	return config{
		idle:    10_000,
		cost:    func(*http.Request) int64 { return 1 },
		onError: WriteError,
	}
}

// WithPlatform lets work in a system context have units, with this share, as if the
// platform were one more tenant. Without it such work is refused with tenant.ErrSystem.
func WithPlatform(share Share) Option { return func(c *config) { c.platform = &share } }

// WithIdle bounds the tenants that are remembered while they have no units and wait for
// none. The default is 10,000. Those with dedicated units are remembered in any case.
func WithIdle(tenants int) Option { return func(c *config) { c.idle = tenants } }

// WithPatience keeps a unit that a tenant releases for its next request for so long at
// most, before it goes to who waits: for tenants that had less than their part, and whose
// last request came as soon after a release. So a tenant that works one step after the
// other keeps its slot beside others that ask for all of them. The unit is idle meanwhile,
// and the tenant is charged for it. The default, 0, keeps none; a millisecond suits most.
func WithPatience(d time.Duration) Option { return func(c *config) { c.patience = d } }

// WithCost says how many units [Scheduler.Middleware] takes for a request. The default
// is one. A request that costs 0 passes without any.
func WithCost(cost func(r *http.Request) int64) Option { return func(c *config) { c.cost = cost } }

// WithErrorHandler answers requests that got no units instead of [WriteError].
func WithErrorHandler(handler func(w http.ResponseWriter, r *http.Request, err error)) Option {
	return func(c *config) { c.onError = handler }
}

func (c *config) check() error {
	switch {
	case c.cost == nil:
		return errors.New("fairshare: WithCost: want a function, not nil")
	case c.onError == nil:
		return errors.New("fairshare: WithErrorHandler: want a function, not nil")
	case c.patience < 0:
		return fmt.Errorf("fairshare: WithPatience: want 0 or more, got %s", c.patience)
	case c.idle < 0:
		return fmt.Errorf("fairshare: WithIdle: want 0 or more tenants, got %d", c.idle)
	}
	return nil
}
