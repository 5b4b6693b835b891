package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// Strategy is what an archiver needs. Every strategy of this module is one.
type Strategy interface {
	isolation.Managed
	isolation.Administrator
}

// Archiver takes tenants out of one strategy's homes and puts them in. It is safe
// for concurrent use.
type Archiver struct {
	config
	strategy Strategy
	pool     *isolation.Pool
	db       *sql.DB
}

// New returns an archiver of the tenants of strategy. It uses a few connections of
// its own, not those of the application. Close it after use.
func New(strategy Strategy, opts ...Option) (*Archiver, error) {
	if strategy == nil {
		return nil, errors.New("archive: nil strategy")
	}
	a := &Archiver{strategy: strategy, config: config{column: "tenant_id", conns: 4}}
	for _, opt := range opts {
		opt(&a.config)
	}
	if err := a.validate(); err != nil {
		return nil, err
	}
	pool, err := isolation.New(strategy, isolation.MaxConns(a.conns))
	if err != nil {
		return nil, err
	}
	a.pool, a.db = pool, sql.OpenDB(pool)
	return a, nil
}

// Close closes the archiver's connections. The strategy stays open.
func (a *Archiver) Close() error { return a.db.Close() }

// catalog describes t's home.
func (a *Archiver) catalog(ctx context.Context, t tenant.Tenant) (found *home, dialect dialect, err error) {
	err = a.strategy.Administer(ctx, t, func(ctx context.Context, conn *sql.Conn, h isolation.Home) error {
		if found, err = a.describe(ctx, conn, h); err != nil {
			return err
		}
		dialect = dialectOf(h)
		return nil
	})
	return found, dialect, err
}

// view runs work in a transaction of t's that reads one snapshot.
func (a *Archiver) view(ctx context.Context, t tenant.Tenant, d dialect, work func(ctx context.Context, tx *sql.Tx) error) error {
	return a.transact(ctx, t, d.snapshot(), d, work)
}

// update runs work in a transaction of t's that writes.
func (a *Archiver) update(ctx context.Context, t tenant.Tenant, d dialect, work func(ctx context.Context, tx *sql.Tx) error) error {
	return a.transact(ctx, t, sql.TxOptions{}, d, work)
}

func (a *Archiver) transact(ctx context.Context, t tenant.Tenant, opts sql.TxOptions, d dialect, work func(ctx context.Context, tx *sql.Tx) error) error {
	ctx, cancel := context.WithCancel(tenant.NewContext(ctx, t))
	defer cancel()
	tx, err := a.db.BeginTx(ctx, &opts)
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	if err := d.prepare(ctx, tx); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	if err := work(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	return nil
}
