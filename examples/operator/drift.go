package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/tenancy-go/tenancy/isolation/fleet"
	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/tenant"
)

func driftEntry() entry {
	return entry{
		name: "drift", summary: "Compare the schema of every home with a reference", new: func() command { return &driftCommand{} },
		help: `Compares tables, columns, constraints, indexes, functions, policies, owners
and grants. The reference of each cell is the home of its first tenant, or what
-reference has; -save writes the references to a file, which may be kept beside
the migrations. Ends with 3 if a home deviates.`,
	}
}

type driftCommand struct {
	reference, save string
	workers         int
}

func (c *driftCommand) flags(fs *flag.FlagSet) {
	fs.StringVar(&c.reference, "reference", "", "`file` with references, as -save wrote it")
	fs.StringVar(&c.save, "save", "", "`file` to write the references to")
	fs.IntVar(&c.workers, "workers", 4, "`homes` at a time")
}

type driftResult struct {
	Homes      int         `json:"homes"`
	Deviations []driftLine `json:"deviations"`
}

type driftLine struct {
	Cell        string             `json:"cell"`
	Tenant      tenant.ID          `json:"tenant"` // of a shared home, the one by whom it was found
	Home        string             `json:"home"`
	Error       string             `json:"error,omitempty"` // why it could not be looked at
	Differences []fleet.Difference `json:"differences,omitempty"`
}

func (r driftResult) print(w io.Writer) {
	for _, d := range r.Deviations {
		if d.Error != "" {
			fmt.Fprintf(w, "%s: %s\n", where(d.Tenant, d.Cell), d.Error)
		}
		for _, difference := range d.Differences {
			fmt.Fprintf(w, "%s: %s\n", where(d.Tenant, d.Cell), difference)
		}
	}
	fmt.Fprintf(w, "%s compared, ", count(r.Homes, "home"))
	if len(r.Deviations) == 0 {
		fmt.Fprintln(w, "no drift")
		return
	}
	fmt.Fprintf(w, "%s\n", count(len(r.Deviations), "deviation"))
}

func (c *driftCommand) run(ctx context.Context, s *session, _ []string) (result, error) {
	p, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	b := s.begin("drift", 0)
	defer b.end()
	f, err := p.fleet(fleet.Workers(c.workers))
	if err != nil {
		return nil, usagef("%v", err)
	}
	references, err := c.read()
	if err != nil {
		return nil, err
	}
	placed, err := p.placed(ctx)
	if err != nil {
		return nil, err
	}
	r := driftResult{Deviations: []driftLine{}}
	for i, cell := range p.cells {
		b.set(i, len(p.cells), cell.Name)
		if err := c.compare(ctx, f, cell.Name, p.in(ctx, cell.Name, placed), references, &r); err != nil {
			return r, fmt.Errorf("cell %s: %w", cell.Name, err)
		}
	}
	if err := c.write(references); err != nil {
		return r, err
	}
	if len(r.Deviations) > 0 {
		return r, fmt.Errorf("%w: %s", errFound, count(len(r.Deviations), "deviation"))
	}
	return r, nil
}

// compare compares the homes of a cell with its reference, which it adds if there is
// none.
func (c *driftCommand) compare(ctx context.Context, f *fleet.Fleet, cell string, tenants fleet.Tenants, references map[string]fleet.Snapshot, r *driftResult) error {
	reference, ok := references[cell]
	if !ok {
		first, err := firstOf(tenants)
		if first == nil || err != nil {
			return err
		}
		if reference, err = f.Snapshot(ctx, *first); err != nil {
			return fmt.Errorf("take tenant %s as the reference: %w", first.ID, err)
		}
		references[cell] = reference
	}
	n, err := f.Drift(ctx, tenants, func(d fleet.Deviation) {
		line := driftLine{Cell: cell, Tenant: d.Tenant, Home: d.Home, Differences: d.Differences}
		if d.Err != nil {
			line.Error = d.Err.Error()
		}
		r.Deviations = append(r.Deviations, line)
	}, reference)
	r.Homes += n
	return err
}

func firstOf(tenants fleet.Tenants) (*tenant.Tenant, error) {
	for t, err := range tenants {
		return &t, err
	}
	return nil, nil
}

// in are the tenants of a cell whose homes are made.
func (p *platform) in(ctx context.Context, cell string, placed map[tenant.ID]route.Placement) fleet.Tenants {
	return func(yield func(tenant.Tenant, error) bool) {
		for t, err := range p.all(ctx) {
			if err == nil && (placed[t.ID].Cell != cell || t.Status == tenant.StatusProvisioning) {
				continue
			}
			if !yield(t, err) {
				return
			}
		}
	}
}

// read returns the references of the file, by cell.
func (c *driftCommand) read() (map[string]fleet.Snapshot, error) {
	references := map[string]fleet.Snapshot{}
	if c.reference == "" {
		return references, nil
	}
	text, err := os.ReadFile(c.reference)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &references); err != nil {
		return nil, usagef("%s: %v", c.reference, err)
	}
	return references, nil
}

// write keeps the references, if that is wanted.
func (c *driftCommand) write(references map[string]fleet.Snapshot) error {
	if c.save == "" {
		return nil
	}
	text, err := json.MarshalIndent(references, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(c.save, func(file *os.File) error {
		_, err := file.Write(append(text, '\n'))
		return err
	})
}
