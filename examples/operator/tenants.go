package main

import (
	"context"
	"flag"
	"io"
	"strconv"

	"github.com/tenancy-go/tenancy/isolation/fleet"
	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/tenant"
)

func tenantsEntry() entry {
	return entry{
		name: "tenants", summary: "List the tenants: where they live, and at which version", new: func() command { return &tenantsCommand{} },
		help: `Reads the control database alone, and the cells' lists of homes.`,
	}
}

type tenantsCommand struct{}

func (c *tenantsCommand) flags(*flag.FlagSet) {}

type tenantsResult []tenantLine

type tenantLine struct {
	Tenant  tenant.ID     `json:"tenant"`
	Name    string        `json:"name"`
	Status  tenant.Status `json:"status"`
	Cell    string        `json:"cell"`
	State   route.State   `json:"state"` // of its placement
	Other   string        `json:"other,omitempty"`
	Version int64         `json:"version"`
	Home    fleet.State   `json:"home,omitempty"` // how its last migration went
}

func (r tenantsResult) print(w io.Writer) {
	rows := make([][]string, 0, len(r))
	for _, t := range r {
		state := string(t.State)
		if t.Other != "" {
			state += " (" + t.Other + ")"
		}
		rows = append(rows, []string{
			string(t.Tenant), t.Name, string(t.Status), orDash(t.Cell), orDash(state),
			strconv.FormatInt(t.Version, 10), orDash(string(t.Home)),
		})
	}
	writeTable(w, []string{"TENANT", "NAME", "STATUS", "CELL", "PLACEMENT", "VERSION", "HOME"}, rows)
}

func (c *tenantsCommand) run(ctx context.Context, s *session, _ []string) (result, error) {
	p, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	homes, err := p.entries(ctx)
	if err != nil {
		return nil, err
	}
	placed, err := p.placed(ctx)
	if err != nil {
		return nil, err
	}
	lines := tenantsResult{}
	var page []tenant.Tenant
	for t, err := range p.all(ctx) {
		if err != nil {
			return nil, err
		}
		if page = append(page, t); len(page) == tenant.MaxLimit {
			if lines, err = p.lines(ctx, lines, page, homes, placed); err != nil {
				return nil, err
			}
			page = page[:0]
		}
	}
	return p.lines(ctx, lines, page, homes, placed)
}

// entries reads the ledger, by home.
func (p *platform) entries(ctx context.Context) (map[string]fleet.Entry, error) {
	homes := map[string]fleet.Entry{}
	for e, err := range p.ledger.Entries(ctx) {
		if err != nil {
			return nil, err
		}
		homes[e.Home] = e
	}
	return homes, nil
}

// lines appends the lines of a page of tenants.
func (p *platform) lines(ctx context.Context, lines tenantsResult, page []tenant.Tenant, homes map[string]fleet.Entry, placed map[tenant.ID]route.Placement) (tenantsResult, error) {
	if len(page) == 0 {
		return lines, nil
	}
	keys, err := p.router.HomeKeys(ctx, page)
	if err != nil {
		return nil, err
	}
	for i, t := range page {
		at, home := placed[t.ID], homes[keys[i]]
		lines = append(lines, tenantLine{
			Tenant: t.ID, Name: t.Name, Status: t.Status, Cell: at.Cell, State: at.State, Other: at.Other,
			Version: home.Version, Home: home.State,
		})
	}
	return lines, nil
}

// placed reads all placements.
func (p *platform) placed(ctx context.Context) (map[tenant.ID]route.Placement, error) {
	placed := map[tenant.ID]route.Placement{}
	var last tenant.ID
	for {
		page, err := p.placements.List(ctx, route.Query{After: last})
		if err != nil {
			return nil, err
		}
		for _, at := range page {
			placed[at.Tenant], last = at, at.Tenant
		}
		if len(page) < route.MaxLimit {
			return placed, nil
		}
	}
}
