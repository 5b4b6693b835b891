package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/isolation/fleet"
	"github.com/tenancy-go/tenancy/tenant"
)

func migrateEntry() entry {
	return entry{
		name: "migrate", summary: "Bring the homes of all tenants to the current schema", new: func() command { return &migrateCommand{} },
		help: `One home first, then 1%, then 10%, then the rest, several at a time. A home
whose migration fails stays at the version before. A failure in an early wave
ends the run; so do more than -budget in the last.

Interrupted or killed, the next run goes on: nothing is applied twice. A home
that failed in three runs in a row is left alone until -release.`,
	}
}

type migrateCommand struct {
	dryRun, recheck, wait, accept bool
	workers, budget               int
	target                        int64
	lockTimeout, statementTimeout time.Duration
	release                       string
}

func (c *migrateCommand) flags(fs *flag.FlagSet) {
	fs.BoolVar(&c.dryRun, "dry-run", false, "say what would be done, and do nothing")
	fs.IntVar(&c.workers, "workers", 4, "`homes` at a time, each with a connection")
	fs.IntVar(&c.budget, "budget", 0, "`homes` that may fail in the last wave before no more are begun")
	fs.Int64Var(&c.target, "target", 0, "`version` to stop at; else the latest")
	fs.DurationVar(&c.lockTimeout, "lock-timeout", 2*time.Second, "`time` that a migration waits for a lock before it tries again")
	fs.DurationVar(&c.statementTimeout, "statement-timeout", time.Minute, "`time` that one statement may take")
	fs.BoolVar(&c.recheck, "recheck", false, "visit every home, whatever the ledger says; after a restore from backup")
	fs.BoolVar(&c.accept, "accept-changes", false, "take files that were changed after they were applied for the same")
	fs.BoolVar(&c.wait, "wait", false, "wait for another runner to end")
	fs.StringVar(&c.release, "release", "", "let runs at a quarantined `home` again: a tenant, or a shared home's key")
}

type migrateResult struct {
	Version     int64         `json:"version"` // that was aimed at
	Tenants     int           `json:"tenants"`
	Migrated    int           `json:"migrated"`
	Current     int           `json:"current"`
	Ahead       int           `json:"ahead"`
	Absent      int           `json:"absent"`
	Quarantined int           `json:"quarantined"`
	Failed      int           `json:"failed"`
	Remaining   int           `json:"remaining"`
	Seconds     float64       `json:"seconds"`
	Failures    []failureLine `json:"failures,omitempty"`
}

type failureLine struct {
	Tenant      tenant.ID `json:"tenant"`
	Home        string    `json:"home"`
	Version     int64     `json:"version"` // that it stays at
	Quarantined bool      `json:"quarantined"`
	Error       string    `json:"error"`
}

func (r migrateResult) print(w io.Writer) {
	fmt.Fprintf(w, "%s brought to version %d in %.1f s", count(r.Migrated, "home"), r.Version, r.Seconds)
	for _, part := range []struct {
		n    int
		what string
	}{
		{r.Current, "current already"}, {r.Ahead, "ahead"}, {r.Quarantined, "quarantined"}, {r.Failed, "failed"},
		{r.Remaining, "not begun"}, {r.Absent, "without a home"},
	} {
		if part.n > 0 {
			fmt.Fprintf(w, ", %d %s", part.n, part.what)
		}
	}
	fmt.Fprintln(w)
}

func (c *migrateCommand) run(ctx context.Context, s *session, _ []string) (result, error) {
	p, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	if c.release != "" {
		if err := c.free(ctx, s, p); err != nil {
			return nil, err
		}
	}
	if c.target == 0 {
		c.target = p.migrations.Latest()
	}
	b := s.begin("migrate", 0)
	defer b.end()
	f, err := p.fleet(c.options(b)...)
	if err != nil {
		return nil, usagef("%v", err)
	}
	if c.dryRun {
		return plan(ctx, f, p.all(ctx))
	}
	start := time.Now()
	report, err := f.Run(ctx, p.all(ctx))
	if errors.Is(err, fleet.ErrChanged) {
		err = fmt.Errorf("%w (here: -accept-changes)", err)
	}
	return c.told(report, time.Since(start)), err
}

func (c *migrateCommand) free(ctx context.Context, s *session, p *platform) error {
	there, err := p.ledger.Release(ctx, c.release)
	if err == nil && !there {
		err = fmt.Errorf("no quarantined home %q", c.release)
	}
	if err == nil {
		s.ok("%s is released", c.release)
	}
	return err
}

func (c *migrateCommand) options(b *bar) []fleet.Option {
	opts := []fleet.Option{
		fleet.Workers(c.workers), fleet.ErrorBudget(c.budget), fleet.Target(c.target), fleet.LockTimeout(c.lockTimeout),
		fleet.StatementTimeout(c.statementTimeout), fleet.Progress(b.follow),
	}
	for option, wanted := range map[*bool]fleet.Option{&c.recheck: fleet.Recheck(), &c.wait: fleet.Wait(), &c.accept: fleet.AcceptChanges()} {
		if *option {
			opts = append(opts, wanted)
		}
	}
	return opts
}

// follow shows what happens in a run.
func (b *bar) follow(e fleet.Event) {
	note := ""
	switch e := e.(type) {
	case fleet.WaveBegun:
		note = fmt.Sprintf("wave %d, up to %d", e.Wave, e.UpTo)
	case fleet.HomeBegun:
		note = string(e.Tenant)
	case fleet.HomeDone:
		note = string(e.Tenant)
	case fleet.HomeRetried:
		b.line("  retry  %s in %s: %v", e.Tenant, e.Wait.Round(time.Millisecond), e.Err)
	case fleet.HomeFailed:
		b.failed("%s stays at version %d: %v", e.Tenant, e.Version, e.Err)
	}
	counts := e.Progress()
	b.set(counts.Done, counts.Total, note)
}

func (c *migrateCommand) told(report fleet.Report, took time.Duration) migrateResult {
	r := migrateResult{
		Version: c.target, Tenants: report.Tenants, Migrated: report.Migrated, Current: report.Current, Ahead: report.Ahead,
		Absent: report.Absent, Quarantined: report.Quarantined, Failed: report.Failed, Remaining: report.Remaining, Seconds: took.Seconds(),
	}
	for _, f := range report.Failures {
		r.Failures = append(r.Failures, failureLine{f.Tenant, f.Home, f.Version, f.Quarantined, f.Err.Error()})
	}
	return r
}

// planResult is what a run would do.
type planResult []planLine

type planLine struct {
	Tenant  tenant.ID  `json:"tenant"`
	Home    string     `json:"home"`
	Kind    fleet.Kind `json:"kind"`
	From    int64      `json:"from"`
	Apply   []string   `json:"apply"`
	Problem string     `json:"problem,omitempty"` // why the run would fail there
}

func (r planResult) print(w io.Writer) {
	if len(r) == 0 {
		fmt.Fprintln(w, "nothing to do")
		return
	}
	rows := make([][]string, 0, len(r))
	for _, l := range r {
		what := strings.Join(l.Apply, ", ")
		if l.Problem != "" {
			what = l.Problem
		}
		rows = append(rows, []string{string(l.Tenant), string(l.Kind), fmt.Sprint(l.From), what})
	}
	writeTable(w, []string{"TENANT", "KIND", "FROM", "APPLY"}, rows)
}

func plan(ctx context.Context, f *fleet.Fleet, tenants fleet.Tenants) (result, error) {
	steps, problems := planResult{}, 0
	for step, err := range f.Plan(ctx, tenants) {
		if err != nil {
			return steps, err
		}
		line := planLine{Tenant: step.Tenant, Home: step.Home, Kind: step.Kind, From: step.From, Apply: step.Apply}
		if step.Problem != nil {
			line.Problem, problems = step.Problem.Error(), problems+1
		}
		steps = append(steps, line)
	}
	if problems > 0 {
		return steps, errors.Join(errFound, fmt.Errorf("%s would fail", count(problems, "home")))
	}
	return steps, nil
}
