package stocktake

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// ErrClosed means that the collector is closed.
var ErrClosed = errors.New("stocktake: collector is closed")

// Lister lists tenants, as a tenant.Store does.
type Lister interface {
	List(ctx context.Context, q tenant.Query) (tenant.Page, error)
}

// Measure returns how much t keeps, in the units of the limit. Its context has t as its
// tenant, and ends after [WithTimeout], which it has to heed.
type Measure func(ctx context.Context, t tenant.Tenant) (int64, error)

// Collector measures tenants from time to time. It is safe for concurrent use.
type Collector struct {
	config
	enforcer *quota.Enforcer
	tenants  Lister
	limit    string
	ref      quota.Ref
	measure  Measure

	life context.Context //nolint:containedctx // ends with Close
	stop context.CancelCauseFunc
	mu   sync.Mutex
	work sync.WaitGroup // Run and Round; grows under mu, while life lasts
}

// New returns a collector for the tenants of a list and a limit of kind stock in their
// plans. It does nothing yet: see [Collector.Run].
func New(enforcer *quota.Enforcer, tenants Lister, limit string, measure Measure, opts ...Option) (*Collector, error) {
	if enforcer == nil || tenants == nil || limit == "" || measure == nil {
		return nil, errors.New("stocktake: New: want an enforcer, a list of tenants, the name of a limit and a function that measures")
	}
	c := &Collector{config: defaults(), enforcer: enforcer, tenants: tenants, limit: limit, measure: measure}
	for _, opt := range opts {
		opt(&c.config)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	c.ref = enforcer.Ref(limit)
	c.life, c.stop = context.WithCancelCause(context.Background())
	return c, nil
}

// Run measures all tenants round after round, until ctx ends, whose error it returns, or
// until Close, after which it returns ErrClosed.
func (c *Collector) Run(ctx context.Context) error {
	ctx, done, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	wait := c.part(rand.Float64()) //nolint:gosec // to drift apart
	for c.sleep(ctx, wait) {
		round, err := c.round(ctx)
		c.rounds(ctx, round, err)
		wait = c.every + c.part(2*rand.Float64()-1) //nolint:gosec // as above
	}
	return context.Cause(ctx)
}

// part returns a part of the jitter.
func (c *Collector) part(of float64) time.Duration {
	return time.Duration(of * c.jitter * float64(c.every))
}

// sleep reports whether d passed before ctx ended.
func (c *Collector) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// Close ends Run and Round, and waits until what they measured has ended.
func (c *Collector) Close() error {
	c.mu.Lock()
	c.stop(ErrClosed)
	c.mu.Unlock()
	c.work.Wait()
	return nil
}

// begin returns a context for work that Close ends, and what to call after it.
func (c *Collector) begin(ctx context.Context) (_ context.Context, done func(), _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.Err() != nil {
		return nil, nil, ErrClosed
	}
	c.work.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	unfollow := context.AfterFunc(c.life, func() { cancel(ErrClosed) })
	return ctx, func() {
		unfollow()
		cancel(nil)
		c.work.Done()
	}, nil
}
