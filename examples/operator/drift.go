package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/tenancy-go/tenancy/isolation/fleet"
	"github.com/tenancy-go/tenancy/tenant"
)

func driftEntry() entry {
	return entry{
		name: "drift", summary: "Compare the schema of every home with a reference", new: func() command { return &driftCommand{} },
		help: `Compares tables, columns, constraints, indexes, functions, policies, owners
and grants. The reference of each kind of home is the first one that is found,
or what -reference has; -save writes the references to a file, which may be
kept beside the migrations. Ends with 3 if a home deviates.`,
	}
}

type driftCommand struct {
	reference, save string
	workers         int
}

func (c *driftCommand) flags(fs *flag.FlagSet) {
	fs.StringVar(&c.reference, "reference", "", "`file` with references, as -save wrote it")
	fs.StringVar(&c.save, "save", "", "`file` to write the references to")
	fs.IntVar(&c.workers, "workers", 4, "homes at a `time`")
}

type driftResult struct {
	Homes      int         `json:"homes"`
	References []string    `json:"references"` // their kinds
	Deviations []driftLine `json:"deviations"`
}

type driftLine struct {
	Tenant      tenant.ID          `json:"tenant"`
	Home        string             `json:"home"`
	Error       string             `json:"error,omitempty"` // why it could not be looked at
	Differences []fleet.Difference `json:"differences,omitempty"`
}

func (r driftResult) print(w io.Writer) {
	for _, d := range r.Deviations {
		if d.Error != "" {
			fmt.Fprintf(w, "%s: %s\n", d.Tenant, d.Error)
		}
		for _, difference := range d.Differences {
			fmt.Fprintf(w, "%s: %s\n", d.Tenant, difference)
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
	references, err := c.references(ctx, f, p)
	if err != nil {
		return nil, err
	}
	r := driftResult{Deviations: []driftLine{}, References: []string{}}
	for _, one := range references {
		r.References = append(r.References, string(one.Kind))
	}
	r.Homes, err = f.Drift(ctx, p.all(ctx), func(d fleet.Deviation) {
		line := driftLine{Tenant: d.Tenant, Home: d.Home, Differences: d.Differences}
		if d.Err != nil {
			line.Error = d.Err.Error()
		}
		r.Deviations = append(r.Deviations, line)
	}, references...)
	if err == nil && len(r.Deviations) > 0 {
		err = fmt.Errorf("%w: %s", errFound, count(len(r.Deviations), "deviation"))
	}
	return r, err
}

// references returns a snapshot for each kind of home.
func (c *driftCommand) references(ctx context.Context, f *fleet.Fleet, p *platform) (references []fleet.Snapshot, err error) {
	if c.reference != "" {
		text, err := os.ReadFile(c.reference)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &references); err != nil {
			return nil, usagef("%s: %v", c.reference, err)
		}
		return references, nil
	}
	if references, err = p.firsts(ctx, f); err != nil || c.save == "" {
		return references, err
	}
	text, err := json.MarshalIndent(references, "", "  ")
	if err != nil {
		return nil, err
	}
	return references, replaceFile(c.save, func(file *os.File) error {
		_, err := file.Write(append(text, '\n'))
		return err
	})
}

// firsts are snapshots of the first home of each cell's kind.
func (p *platform) firsts(ctx context.Context, f *fleet.Fleet) ([]fleet.Snapshot, error) {
	placed, err := p.placed(ctx)
	if err != nil {
		return nil, err
	}
	var references []fleet.Snapshot
	cells, kinds := map[string]bool{}, map[fleet.Kind]bool{}
	for t, err := range p.all(ctx) {
		if err != nil {
			return nil, err
		}
		cell := placed[t.ID].Cell
		if cell == "" || cells[cell] {
			continue
		}
		snapshot, err := f.Snapshot(ctx, t)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("reference from tenant %s", t.ID), err)
		}
		if cells[cell] = true; !kinds[snapshot.Kind] {
			kinds[snapshot.Kind] = true
			references = append(references, snapshot)
		}
	}
	return references, nil
}
