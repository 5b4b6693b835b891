package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/tenant"
)

func provisionEntry() entry {
	return entry{
		name: "provision", args: "TENANT", least: 1, most: 1, new: func() command { return &provisionCommand{} },
		summary: "Make a tenant: its record, its home and its keys",
		help: `Records the tenant, chooses its cell, makes its home there at the current
schema, and its keys. Interrupted, it goes on where it stopped. The tenant is
active once all is there.`,
	}
}

type provisionCommand struct{ cell, name, plan string }

func (c *provisionCommand) flags(fs *flag.FlagSet) {
	fs.StringVar(&c.cell, "cell", "", "`cell` to put it in; else the configuration's default")
	fs.StringVar(&c.name, "name", "", "`name` for people; else its ID")
	fs.StringVar(&c.plan, "plan", "", "`plan` it is on")
}

type provisionResult struct {
	Tenant  tenant.ID `json:"tenant"`
	Cell    string    `json:"cell"`
	Created bool      `json:"created"` // else it was there
}

func (r provisionResult) print(w io.Writer) {
	if r.Created {
		fmt.Fprintf(w, "%s is there\n", where(r.Tenant, r.Cell))
		return
	}
	fmt.Fprintf(w, "%s was there already\n", where(r.Tenant, r.Cell))
}

func (c *provisionCommand) run(ctx context.Context, s *session, args []string) (result, error) {
	p, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	t := tenant.Tenant{ID: tenant.ID(args[0]), Slug: args[0], Name: c.name, Plan: c.plan}
	if t.Name == "" {
		t.Name = args[0]
	}
	if err := p.clear(ctx, t.ID); err != nil {
		return nil, err
	}
	t, created, err := p.make(ctx, t, c.cell)
	if err != nil {
		return nil, err
	}
	if t, err = p.activate(ctx, t); err != nil {
		return nil, err
	}
	home, err := p.home(ctx, t)
	if err != nil {
		return nil, err
	}
	return provisionResult{Tenant: t.ID, Cell: home.Name, Created: created}, nil
}

// clear removes the home of a tenant that is not active yet: what is in it came with a
// clone or an archive that did not come to its end, and is another's.
func (p *platform) clear(ctx context.Context, id tenant.ID) error {
	t, err := p.tenants.Find(ctx, tenant.ByID(id))
	if errors.Is(err, tenant.ErrNotFound) {
		return nil
	}
	if err != nil || t.Status != tenant.StatusProvisioning {
		return err
	}
	return errors.Join(p.router.Deprovision(ctx, t), p.ledger.Forget(ctx, t.ID))
}

// make records a tenant that is being made, or finds the one that an earlier call
// recorded, and makes its home and keys. It reports whether it was not active yet.
func (p *platform) make(ctx context.Context, t tenant.Tenant, cellName string) (tenant.Tenant, bool, error) {
	if cellName == "" {
		cellName = p.config.Default
	}
	c, err := p.cell(cellName)
	if err != nil {
		return t, false, err
	}
	t.Region = c.Region
	recorded, err := p.tenants.Create(ctx, t)
	if errors.Is(err, tenant.ErrExists) {
		recorded, err = p.find(ctx, string(t.ID))
	}
	if err != nil {
		return t, false, err
	}
	if recorded.Status != tenant.StatusProvisioning {
		return recorded, false, nil
	}
	if err := p.place(ctx, recorded, c); err != nil {
		return recorded, false, err
	}
	f, err := p.fleet()
	if err != nil {
		return recorded, false, err
	}
	if err := f.Provisioner(p.router).Provision(ctx, recorded); err != nil {
		return recorded, false, err
	}
	return recorded, true, p.keys.Ensure(tenant.NewContext(ctx, recorded), envelope.Fields)
}

// place records where a tenant lives, unless an earlier call did.
func (p *platform) place(ctx context.Context, t tenant.Tenant, c *cell) error {
	_, err := p.router.Create(ctx, route.Placement{Tenant: t.ID, Cell: c.Name, Region: c.Region, State: route.Placed})
	if errors.Is(err, route.ErrPlaced) {
		return nil
	}
	return err
}

// activate lets a tenant be used that was being made.
func (p *platform) activate(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
	if t.Status != tenant.StatusProvisioning {
		return t, nil
	}
	t.Status = tenant.StatusActive
	return p.tenants.Update(ctx, t)
}
