package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/inspect"
	"github.com/tenancy-go/tenancy/tenant"
)

func inspectEntry() entry {
	return entry{
		name: "inspect", summary: "Look for holes in the isolation of tenants, in every cell", new: func() command { return &inspectCommand{} },
		help: `Audits each cell's database, and each tenant's where it has one of its own,
and the folders of SQLite files. It changes nothing. Each finding comes with
the SQL that mends it. Ends with 3 if there is a finding of -fail-on or worse.`,
	}
}

type inspectCommand struct {
	failOn, suppress string
	injection        bool
}

func (c *inspectCommand) flags(fs *flag.FlagSet) {
	fs.StringVar(&c.failOn, "fail-on", "low", "least `severity` that fails: low, medium, high or critical")
	fs.BoolVar(&c.injection, "injection", false, "also look for what only injected SQL could use")
	fs.StringVar(&c.suppress, "suppress", "", "JSON `file` with findings that are accepted: [{\"lint\", \"object\", \"reason\"}]")
}

type inspectResult struct {
	Cells    []cellReport `json:"cells"`
	Findings int          `json:"findings"` // of the severity that fails, or worse
}

type cellReport struct {
	Cell    string            `json:"cell"`
	Reports []*inspect.Report `json:"reports,omitempty"` // of its databases
	Unsafe  string            `json:"unsafe,omitempty"`  // what a folder's own check says
}

func (r inspectResult) print(w io.Writer) {
	for _, c := range r.Cells {
		fmt.Fprintf(w, "cell %s\n", c.Cell)
		if c.Unsafe != "" {
			fmt.Fprintf(w, "%s\n", c.Unsafe)
		}
		if len(c.Reports) == 0 && c.Unsafe == "" {
			fmt.Fprintln(w, "the folder and its files are safe")
		}
		for _, report := range c.Reports {
			if err := report.WriteTable(w); err != nil {
				return // standard output is gone
			}
		}
	}
}

func (c *inspectCommand) run(ctx context.Context, s *session, _ []string) (result, error) {
	least, err := inspect.ParseSeverity(c.failOn)
	if err != nil {
		return nil, usagef("-fail-on: %v", err)
	}
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	p, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	b := s.begin("inspect", len(p.cells))
	defer b.end()
	r := inspectResult{Cells: []cellReport{}}
	for i, cell := range p.cells {
		b.set(i, len(p.cells), cell.Name)
		report, err := c.look(ctx, b, p, cell, opts)
		r.Cells = append(r.Cells, report)
		if err != nil {
			return r, fmt.Errorf("cell %s: %w", cell.Name, err)
		}
		for _, one := range report.Reports {
			r.Findings += one.Count(least)
		}
		if report.Unsafe != "" {
			r.Findings++
		}
	}
	b.set(len(p.cells), len(p.cells), "")
	if r.Findings > 0 {
		return r, fmt.Errorf("%w: %s", errFound, count(r.Findings, "hole"))
	}
	return r, nil
}

func (c *inspectCommand) options() ([]inspect.Option, error) {
	var opts []inspect.Option
	if c.injection {
		opts = append(opts, inspect.Injection())
	}
	if c.suppress == "" {
		return opts, nil
	}
	text, err := os.ReadFile(c.suppress)
	if err != nil {
		return nil, err
	}
	var accepted []inspect.Suppression
	if err := json.Unmarshal(text, &accepted); err != nil {
		return nil, usagef("%s: %v", c.suppress, err)
	}
	return append(opts, inspect.Suppress(accepted...)), nil
}

// look inspects one cell.
func (c *inspectCommand) look(ctx context.Context, b *bar, p *platform, cell *cell, opts []inspect.Option) (cellReport, error) {
	found := cellReport{Cell: cell.Name}
	target := cell.target()
	if cell.admin == nil {
		err := verify(ctx, cell)
		if errors.Is(err, isolation.ErrUnsafe) {
			found.Unsafe, err = err.Error(), nil
		}
		return found, err
	}
	report, err := inspect.Run(ctx, cell.admin, target, opts...)
	if err != nil {
		return found, err
	}
	found.Reports = append(found.Reports, report)
	if cell.Strategy != "database" {
		return found, nil
	}
	// What leads out of a database is looked for in that database.
	return found, p.livingIn(ctx, cell.Name, func(t tenant.Tenant) error {
		b.note(string(t.ID))
		return cell.strategy.Administer(ctx, t, func(ctx context.Context, conn *sql.Conn, _ isolation.Home) error {
			report, err := inspect.Run(ctx, conn, target, opts...)
			if err == nil && len(report.Findings) > 0 {
				found.Reports = append(found.Reports, report)
			}
			return err
		})
	})
}

// target tells what to look at in a cell on PostgreSQL.
func (c *cell) target() inspect.Target {
	switch c.Strategy {
	case "schema":
		return inspect.Schemas(c.Role)
	case "database":
		return inspect.Databases(c.Prefix, c.Role)
	default:
		return inspect.Rows(c.Role)
	}
}

// verify runs the strategy's own check.
func verify(ctx context.Context, c *cell) error {
	if v, ok := c.strategy.(interface{ Verify(context.Context) error }); ok {
		return v.Verify(ctx)
	}
	return nil
}

// livingIn calls do for the tenants of a cell.
func (p *platform) livingIn(ctx context.Context, cell string, do func(tenant.Tenant) error) error {
	placed, err := p.placed(ctx)
	if err != nil {
		return err
	}
	for t, err := range p.in(ctx, cell, placed) {
		if err == nil {
			err = do(t)
		}
		if err != nil {
			return fmt.Errorf("tenant %s: %w", t.ID, err)
		}
	}
	return nil
}
