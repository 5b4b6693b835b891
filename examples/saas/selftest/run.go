package selftest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// Program is what is tested.
type Program interface {
	// Start starts the program on a free loopback port, on the data that the start
	// before left.
	Start(ctx context.Context) (Instance, error)
}

// Instance is a program that runs.
type Instance struct {
	Addr  string       // host and port it listens on
	Store tenant.Store // its registry, to suspend tenants with
	// Remove deletes a tenant with all its data.
	Remove func(ctx context.Context, t tenant.Tenant) error
	// Override gives a tenant something beside its plan. It is forgotten by a restart.
	Override func(quota.Override) error
	// Stop ends the program, after the requests that still run.
	Stop func() error
}

// Run checks program and writes what it found to out. The error says how many checks
// failed.
func Run(ctx context.Context, program Program, out io.Writer) error {
	began := time.Now()
	r := &report{out: out}
	if err := runAll(ctx, program, r); err != nil {
		return fmt.Errorf("selftest: %w", err)
	}
	if r.failed > 0 {
		_, _ = fmt.Fprintf(out, "\nFAILED: %d of %d checks\n", r.failed, r.failed+r.passed)
		return fmt.Errorf("selftest: %d of %d checks failed", r.failed, r.failed+r.passed)
	}
	_, _ = fmt.Fprintf(out, "\nPASSED: %d checks in %s\n", r.passed, time.Since(began).Round(time.Millisecond))
	return nil
}

// runAll starts the program twice, with the same data.
func runAll(ctx context.Context, program Program, r *report) error {
	first, err := begin(ctx, program, r)
	if err != nil {
		return err
	}
	first.site()
	first.signUp()
	first.limits()
	first.makeRoom("acme", "globex", newcomer)
	first.workspaces()
	first.isolation()
	first.hosts()
	first.statuses()
	first.concurrency()
	kept := first.remember()
	first.shutdown()

	second, err := begin(ctx, program, r)
	if err != nil {
		return err
	}
	second.restarted(kept)
	return second.instance.Stop()
}

// makeRoom lifts the limits of the workspaces that the checks below crowd.
func (t *run) makeRoom(slugs ...string) {
	for _, slug := range slugs {
		t.check(slug+" has room for what follows", t.allow(slug, Roomy()))
	}
}

// run is one start of the program under test.
type run struct {
	*report
	*client

	ctx      context.Context
	instance Instance
}

func begin(ctx context.Context, program Program, r *report) (*run, error) {
	instance, err := program.Start(ctx)
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	c, err := newClient(instance.Addr)
	if err != nil {
		return nil, errors.Join(err, instance.Stop())
	}
	return &run{report: r, client: c, ctx: ctx, instance: instance}, nil
}

// report counts checks and writes them down.
type report struct {
	out            io.Writer
	passed, failed int
}

// section begins a group of checks.
func (r *report) section(name string) { _, _ = fmt.Fprintf(r.out, "\n%s\n", name) }

// check writes down whether a check holds: err is what speaks against it.
func (r *report) check(what string, err error) {
	if err != nil {
		r.failed++
		_, _ = fmt.Fprintf(r.out, "  FAIL  %s: %v\n", what, err)
		return
	}
	r.passed++
	_, _ = fmt.Fprintf(r.out, "  ok    %s\n", what)
}
