package bandwidth

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

const (
	defaultQuantum = 32 << 10
	defaultRefresh = 10 * time.Second
	minRefresh     = time.Millisecond
	noBound        = time.Duration(math.MaxInt64)
)

// Option changes a setting of [New].
type Option func(*config)

type config struct {
	refuse   bool
	maxWait  time.Duration // 0 with refuse alone
	quantum  int
	refresh  time.Duration
	system   bool
	observer func(context.Context, tenant.ID, Direction, int64)
	onError  func(http.ResponseWriter, *http.Request, error)
	err      error // of the options
}

func defaults() config {
	return config{maxWait: noBound, quantum: defaultQuantum, refresh: defaultRefresh, onError: WriteError}
}

// WithMaxWait bounds how long one quantum waits for its turn. What would have to wait
// longer fails at once with an [ExceededError]. The default is to wait as long as it
// takes.
func WithMaxWait(d time.Duration) Option {
	return func(c *config) {
		if d <= 0 {
			c.err = errors.Join(c.err, fmt.Errorf("bandwidth: WithMaxWait: want a time above 0, got %s; see WithRefusal", d))
		}
		c.maxWait = d
	}
}

// WithRefusal refuses instead of shaping: what does not fit at the moment fails with an
// [ExceededError], and nothing waits.
func WithRefusal() Option { return func(c *config) { c.refuse = true } }

// WithQuantum sets how many bytes move at once at most. The default is 32 KiB. A smaller
// quantum makes streams smoother and fairer to each other, and costs more calls.
func WithQuantum(n int) Option {
	return func(c *config) {
		if n < 1 {
			c.err = errors.Join(c.err, fmt.Errorf("bandwidth: WithQuantum: want a byte at least, got %d", n))
		}
		c.quantum = n
	}
}

// WithRefresh sets how long limits are used before a stream that moves bytes asks for
// them again. The default is 10 seconds, the least a millisecond.
func WithRefresh(d time.Duration) Option {
	return func(c *config) {
		if d < minRefresh {
			c.err = errors.Join(c.err, fmt.Errorf("bandwidth: WithRefresh: want %s at least, got %s", minRefresh, d))
		}
		c.refresh = d
	}
}

// WithObserver calls observe with the bytes that a stream of a tenant has moved since
// the call before, for metering: when they come to a mebibyte, when a second has passed
// at the time that more are moved, and when the stream ends, fails or is closed. The
// sum of all calls is what was moved, exactly. The calls are made by whoever moves the
// bytes, who waits for them; the context is the stream's, but never cancelled.
func WithObserver(observe func(ctx context.Context, id tenant.ID, d Direction, bytes int64)) Option {
	return func(c *config) { c.observer = observe }
}

// WithSystem lets the streams of system contexts pass, without limit and unobserved.
// Without this option they are refused.
func WithSystem() Option { return func(c *config) { c.system = true } }

// WithErrorHandler answers the requests that [Shaper.Middleware] refuses, instead of
// [WriteError].
func WithErrorHandler(handler func(w http.ResponseWriter, r *http.Request, err error)) Option {
	return func(c *config) {
		if handler == nil {
			c.err = errors.Join(c.err, errors.New("bandwidth: WithErrorHandler: want a handler, not nil"))
		}
		c.onError = handler
	}
}

// check completes the configuration.
func (c *config) check() error {
	if c.refuse {
		if c.maxWait != noBound {
			c.err = errors.Join(c.err, errors.New("bandwidth: want WithRefusal or WithMaxWait, not both"))
		}
		c.maxWait = 0
	}
	return c.err
}
