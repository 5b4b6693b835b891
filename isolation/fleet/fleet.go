package fleet

import (
	"context"
	"errors"
	"iter"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// Fleet is the homes of all tenants of a strategy, and the migrations that they
// are to have. It is safe for concurrent use.
type Fleet struct {
	config
	strategy   isolation.Administrator
	ledger     *Ledger
	migrations *Migrations
}

// New returns the fleet of strategy's tenants. It does not connect.
func New(strategy isolation.Administrator, ledger *Ledger, migrations *Migrations, opts ...Option) (*Fleet, error) {
	if strategy == nil || ledger == nil || migrations == nil {
		return nil, errors.New("fleet: want a strategy, a ledger and migrations, not nil")
	}
	c := defaults()
	for _, opt := range opts {
		opt(&c)
	}
	if err := c.validate(migrations); err != nil {
		return nil, err
	}
	return &Fleet{config: c, strategy: strategy, ledger: ledger, migrations: migrations}, nil
}

// Tenants are read from the beginning each time they are ranged over: a run does so
// twice, once to count and once to migrate. After an error nothing follows.
type Tenants = iter.Seq2[tenant.Tenant, error]

// Lister is a tenant.Store.
type Lister interface {
	List(ctx context.Context, q tenant.Query) (tenant.Page, error)
}

// All returns the tenants in store that q selects, a page at a time.
func All(ctx context.Context, store Lister, q tenant.Query) Tenants {
	if q.Limit == 0 {
		q.Limit = tenant.MaxLimit
	}
	return func(yield func(tenant.Tenant, error) bool) {
		for q := q; ; {
			page, err := store.List(ctx, q)
			if err != nil {
				yield(tenant.Tenant{}, err)
				return
			}
			for _, t := range page.Tenants {
				if !yield(t, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			q.Cursor = page.Next
		}
	}
}

// These returns a few tenants.
func These(ts ...tenant.Tenant) Tenants {
	return func(yield func(tenant.Tenant, error) bool) {
		for _, t := range ts {
			if !yield(t, nil) {
				return
			}
		}
	}
}
