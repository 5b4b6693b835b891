package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/archive"
	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
)

func sampleEntry() entry {
	return entry{
		name: "sample", args: "TENANT", least: 1, most: 1, new: func() command { return &sampleCommand{} },
		summary: "Put made-up customers and orders into a tenant",
		help: `Adds customers, each with a sealed e-mail address, and as many orders for
each, in one transaction and through the same pool that an application uses.`,
	}
}

type sampleCommand struct{ customers, orders int }

func (c *sampleCommand) flags(fs *flag.FlagSet) {
	fs.IntVar(&c.customers, "customers", 20, "`number` of customers")
	fs.IntVar(&c.orders, "orders", 5, "`number` of orders for each")
}

type sampleResult struct {
	Tenant    tenant.ID `json:"tenant"`
	Customers int       `json:"customers"`
	Orders    int64     `json:"orders"`
}

func (r sampleResult) print(w io.Writer) {
	fmt.Fprintf(w, "%s has %s and %s more\n", r.Tenant, count(r.Customers, "customer"), count(r.Orders, "order"))
}

func (c *sampleCommand) run(ctx context.Context, s *session, args []string) (result, error) {
	if c.customers < 1 || c.orders < 0 {
		return nil, usagef("want 1 customer at least")
	}
	p, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	t, err := p.find(ctx, args[0])
	if err != nil {
		return nil, err
	}
	db, err := s.database(p)
	if err != nil {
		return nil, err
	}
	orders, err := c.fill(tenant.NewContext(ctx, t), s, p, db)
	if err != nil {
		return nil, err
	}
	return sampleResult{Tenant: t.ID, Customers: c.customers, Orders: orders}, nil
}

// database returns what an application has: one *sql.DB in which the context decides
// whose rows there are.
func (s *session) database(p *platform) (*sql.DB, error) {
	pool, err := isolation.New(p.router)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(pool)
	s.closing(db)
	return db, nil
}

// fill adds rows for ctx's tenant.
func (c *sampleCommand) fill(ctx context.Context, s *session, p *platform, db *sql.DB) (orders int64, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	b := s.begin("sample", c.customers)
	defer b.end()
	now := time.Now().UTC().Truncate(time.Microsecond)
	ids := make([]int64, c.customers)
	for i := range ids {
		name := fmt.Sprintf("Customer %d", i+1)
		email := envelope.NewField(fmt.Sprintf("customer%d@example.com", i+1))
		if err := email.Seal(ctx, p.keys, sealedColumns()[0].Column); err != nil {
			return 0, err
		}
		const insert = `INSERT INTO customers (name, email, created_at) VALUES ($1, $2, $3) RETURNING id`
		if err := tx.QueryRowContext(ctx, insert, name, email, now).Scan(&ids[i]); err != nil {
			return 0, err
		}
		b.set(i+1, c.customers, "")
	}
	orders, err = archive.Load(ctx, tx, "orders", []string{"customer_id", "item", "cents"}, func(yield func([]any) bool) {
		for i := range c.customers * c.orders {
			if !yield([]any{ids[i/c.orders], fmt.Sprintf("Item %d", i%97+1), int64(i%50+1) * 99}) {
				return
			}
		}
	})
	if err != nil {
		return 0, err
	}
	return orders, tx.Commit()
}
