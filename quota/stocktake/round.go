package stocktake

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// Result is what came of measuring a tenant.
type Result struct {
	Tenant tenant.Tenant
	Size   int64 // as measured
	Drift  int64 // what was counted before, less Size
	Err    error // why it could not be measured, or counted; then the count stays
}

// Round is what came of a round.
type Round struct {
	Measured int // tenants whose count is the size now
	Skipped  int // tenants whose plan does not have the limit
	Failed   int // tenants that could not be measured
	Took     time.Duration
}

// Round measures all tenants once, now. It fails if they cannot be listed to the end, or
// ctx ends, or the collector is closed; tenants that cannot be measured are in [Round].
func (c *Collector) Round(ctx context.Context) (Round, error) {
	ctx, done, err := c.begin(ctx)
	if err != nil {
		return Round{}, err
	}
	defer done()
	return c.round(ctx)
}

// round lists the tenants and hands them to goroutines that measure them.
func (c *Collector) round(ctx context.Context) (Round, error) {
	start := time.Now()
	var sum tally
	next := make(chan tenant.Tenant)
	var workers sync.WaitGroup
	for range c.parallel {
		workers.Go(func() {
			for t := range next {
				sum.add(c.one(ctx, t))
			}
		})
	}
	err := c.list(ctx, next)
	close(next)
	workers.Wait()
	sum.Took = time.Since(start)
	return sum.Round, err
}

// list sends all tenants.
func (c *Collector) list(ctx context.Context, to chan<- tenant.Tenant) error {
	q := c.query
	for {
		page, err := c.tenants.List(ctx, q)
		if err != nil {
			return fmt.Errorf("stocktake: list tenants: %w", err)
		}
		for _, t := range page.Tenants {
			select {
			case to <- t:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if page.Next == "" {
			return nil
		}
		q.Cursor = page.Next
	}
}

// tally adds up outcomes from several goroutines.
type tally struct {
	mu sync.Mutex
	Round
}

func (t *tally) add(o outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch o {
	case measured:
		t.Measured++
	case skipped:
		t.Skipped++
	case failed:
		t.Failed++
	}
}

type outcome int

const (
	measured outcome = iota
	skipped
	failed
)

// one measures t, and reports what came of it.
func (c *Collector) one(ctx context.Context, t tenant.Tenant) outcome {
	ctx, cancel := context.WithTimeout(tenant.NewContext(ctx, t), c.timeout)
	defer cancel()
	r := Result{Tenant: t}
	var has bool
	has, r.Size, r.Drift, r.Err = c.count(ctx, t)
	switch {
	case r.Err != nil:
		c.results(context.WithoutCancel(ctx), r)
		return failed
	case !has:
		return skipped
	default:
		c.results(context.WithoutCancel(ctx), r)
		return measured
	}
}

// count sets t's count to its size, if its plan has the limit.
func (c *Collector) count(ctx context.Context, t tenant.Tenant) (has bool, size, drift int64, err error) {
	account, err := c.enforcer.Account(ctx)
	if err != nil {
		return false, 0, 0, fmt.Errorf("stocktake: tenant %s: %w", t.ID, err)
	}
	if l, ok := account.Plan().Limits[c.limit]; !ok || l.Kind != quota.Stock {
		return false, 0, 0, nil
	}
	if size, err = c.sizeOf(ctx, t); err == nil {
		drift, err = account.Reconcile(ctx, c.ref, size)
	}
	if err != nil {
		return true, size, 0, fmt.Errorf("stocktake: %s of tenant %s: %w", c.limit, t.ID, err)
	}
	return true, size, drift, nil
}

// sizeOf measures t. A panic is its failure: nobody above is there to catch it.
func (c *Collector) sizeOf(ctx context.Context, t tenant.Tenant) (size int64, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("panic: %v", fault)
		}
	}()
	return c.measure(ctx, t)
}
