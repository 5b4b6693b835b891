package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/tenancy-go/tenancy/isolation/archive"
	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/tenant"
)

func moveEntry() entry {
	return entry{
		name: "move", args: "[TENANT [CELL]]", most: 2, new: func() command { return &moveCommand{} },
		summary: "Bring a tenant to another cell while it works",
		help: `Copies the tenant, follows its changes, keeps it from writing for a moment,
compares both sides, and changes its place. Interrupted or killed at any step,
the same command goes on; -rollback gives up instead, up to the change of its
place. The old home is kept, closed for writes, for -grace; -finish removes
those whose time is over, and with -now a tenant's before. Without arguments it
lists the moves under way.`,
	}
}

type moveCommand struct {
	grace, maxFrozen time.Duration
	rollback, finish bool
	now              bool
}

func (c *moveCommand) flags(fs *flag.FlagSet) {
	fs.DurationVar(&c.grace, "grace", time.Hour, "`time` for which the old home is kept")
	fs.DurationVar(&c.maxFrozen, "max-frozen", 2*time.Second, "`time` without writes, at most, in one attempt")
	fs.BoolVar(&c.rollback, "rollback", false, "give the tenant's move up")
	fs.BoolVar(&c.finish, "finish", false, "remove old homes whose grace is over: the tenant's, or all")
	fs.BoolVar(&c.now, "now", false, "with -finish TENANT: do not wait for the end of its grace")
}

type moveResult []moveLine

type moveLine struct {
	Tenant  tenant.ID    `json:"tenant"`
	From    string       `json:"from"`
	To      string       `json:"to"`
	Step    archive.Step `json:"step"`
	Started time.Time    `json:"started"`
	Rows    int64        `json:"rows"`
	Rounds  int          `json:"rounds"` // in which changes followed
	Frozen  float64      `json:"frozen_ms"`
	Kept    *time.Time   `json:"kept_until,omitempty"` // the old home
}

func (r moveResult) print(w io.Writer) {
	if len(r) == 0 {
		fmt.Fprintln(w, "no moves under way")
		return
	}
	rows := make([][]string, 0, len(r))
	for _, m := range r {
		kept := ""
		if m.Kept != nil {
			kept = m.Kept.Format(time.DateTime)
		}
		rows = append(rows, []string{
			string(m.Tenant), m.From, m.To, string(m.Step), fmt.Sprint(m.Rows), fmt.Sprintf("%.0f ms", m.Frozen), orDash(kept),
		})
	}
	writeTable(w, []string{"TENANT", "FROM", "TO", "STEP", "ROWS", "FROZEN", "OLD HOME KEPT UNTIL"}, rows)
}

func (c *moveCommand) line(r archive.Record) moveLine {
	l := moveLine{
		Tenant: r.Tenant, From: r.From, To: r.To, Step: r.Step, Started: r.Started, Rows: r.Rows, Rounds: r.Rounds,
		Frozen: float64(r.Frozen.Microseconds()) / 1000,
	}
	if r.Step == archive.Flipped {
		kept := r.KeptUntil()
		l.Kept = &kept
	}
	return l
}

func (c *moveCommand) run(ctx context.Context, s *session, args []string) (result, error) {
	switch {
	case c.rollback && c.finish:
		return nil, usagef("want -rollback or -finish")
	case c.rollback && len(args) != 1:
		return nil, usagef("want operator move -rollback TENANT")
	case c.finish && len(args) > 1:
		return nil, usagef("want operator move -finish [TENANT]")
	case c.now && (!c.finish || len(args) != 1):
		return nil, usagef("want operator move -finish -now TENANT")
	case !c.rollback && !c.finish && len(args) == 1:
		return nil, usagef("want operator move TENANT CELL")
	}
	p, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	if len(args) == 0 {
		return c.each(ctx, s, p)
	}
	t, err := p.find(ctx, args[0])
	if err != nil {
		return nil, err
	}
	b := s.begin("move "+string(t.ID), 0)
	defer b.end()
	mover, err := c.mover(s, p, b)
	if err != nil {
		return nil, err
	}
	var r archive.Record
	switch {
	case c.rollback:
		r, err = c.back(ctx, p, mover, t)
	case c.finish:
		if r, err = c.clear(ctx, p, mover, t); err == nil && r.Step == archive.Flipped {
			err = fmt.Errorf("the home of tenant %s in %s is kept until %s; add -now to remove it before", t.ID, r.From, r.KeptUntil().Format(time.DateTime))
		}
	default:
		r, err = c.move(ctx, p, mover, t, args[1])
	}
	if err != nil {
		return nil, err
	}
	return moveResult{c.line(r)}, nil
}

// each lists the moves under way, or finishes those that can be.
func (c *moveCommand) each(ctx context.Context, s *session, p *platform) (result, error) {
	open, err := p.journal.Open(ctx)
	if err != nil {
		return nil, err
	}
	b := s.begin("finish", 0)
	defer b.end()
	mover, err := c.mover(s, p, b)
	if err != nil {
		return nil, err
	}
	lines := moveResult{}
	for _, r := range open {
		if c.finish && r.Step == archive.Flipped || r.Step == archive.Dropping {
			t, err := p.find(ctx, string(r.Tenant))
			if err != nil {
				return lines, err
			}
			if r, err = c.clear(ctx, p, mover, t); err != nil {
				return lines, err
			}
		}
		lines = append(lines, c.line(r))
	}
	return lines, nil
}

// mover returns what moves tenants between the cells, and shows each step.
func (c *moveCommand) mover(s *session, p *platform, b *bar) (*archive.Mover, error) {
	places := map[string]*archive.Archiver{}
	for _, cell := range p.cells {
		a, err := s.archiver(p, cell)
		if err != nil {
			return nil, err
		}
		places[cell.Name] = a
	}
	last := map[tenant.ID]archive.Step{}
	return archive.NewMover(p.journal, placing{p.router}, places, archive.Grace(c.grace), archive.MaxFrozen(c.maxFrozen),
		archive.OnProgress(func(r archive.Record) {
			before, told := last[r.Tenant]
			if last[r.Tenant] = r.Step; told && before != r.Step { // the first is where it stood
				b.ok("%-12s %s", r.Step, about(r))
			}
			b.set(0, 0, next(r))
		}))
}

// about tells what a step means.
func about(r archive.Record) string {
	switch r.Step {
	case archive.Prepared:
		return "its home in " + r.To + " is there, and empty"
	case archive.Captured:
		return "changes in " + r.From + " are recorded"
	case archive.Copied:
		return "a snapshot is copied and verified; changes follow"
	case archive.Frozen:
		return "it cannot write; the last changes follow"
	case archive.Flipping:
		return "both sides are equal"
	case archive.Flipped:
		return fmt.Sprintf("it lives in %s; %s, %d ms without writes", r.To, count(r.Rows, "row"), r.Frozen.Milliseconds())
	case archive.Dropping:
		return "its home in " + r.From + " is being removed"
	case archive.Done:
		return "its home in " + r.From + " is removed"
	case archive.RolledBack:
		return "it stays in " + r.From + ", and the copy is removed"
	default:
		return ""
	}
}

// next tells what comes after a step.
func next(r archive.Record) string {
	switch r.Step {
	case archive.Planned:
		return "making its home in " + r.To
	case archive.Prepared:
		return "beginning to record changes"
	case archive.Captured:
		return "copying"
	case archive.Copied:
		return "following its changes"
	case archive.Frozen:
		return "bringing the last changes over"
	case archive.Flipping:
		return "changing its place"
	case archive.Dropping:
		return "removing its home in " + r.From
	default:
		return ""
	}
}

// move begins a move, or goes on with one to the same cell.
func (c *moveCommand) move(ctx context.Context, p *platform, m *archive.Mover, t tenant.Tenant, to string) (archive.Record, error) {
	target, err := p.cell(to)
	if err != nil {
		return archive.Record{}, err
	}
	r, err := p.journal.Find(ctx, t.ID)
	switch {
	case err == nil && r.Step == archive.Flipped:
		return r, fmt.Errorf("tenant %s has just moved to %s, and its home in %s is still kept: see operator move -finish", t.ID, r.To, r.From)
	case err == nil && !r.Finished() && r.To != to:
		return r, fmt.Errorf("tenant %s has a move to %s under way (%s): finish it or roll it back first", t.ID, r.To, r.Step)
	case err == nil && !r.Finished():
		r, err = m.Resume(ctx, t)
	case err == nil || errors.Is(err, archive.ErrNotFound):
		if err := p.current(ctx, t); err != nil {
			return r, err
		}
		if err := p.announce(ctx, t, target); err != nil {
			return r, err
		}
		r, err = m.Move(ctx, t, to)
	}
	if err != nil {
		return r, err
	}
	if err := p.note(ctx, t); err != nil || r.Grace > 0 {
		return r, err
	}
	return c.clear(ctx, p, m, t)
}

// announce records that a tenant is about to move, so that its removal would remove the
// copy too, and that its region allows it.
func (p *platform) announce(ctx context.Context, t tenant.Tenant, to *cell) error {
	at, err := p.router.Placement(ctx, t.ID)
	if err != nil {
		return err
	}
	if at.Cell == to.Name {
		return usagef("tenant %s lives in %s already", t.ID, to.Name)
	}
	at.State, at.Other = route.Moving, to.Name
	_, err = p.router.Update(ctx, at)
	return err
}

// settle records that nothing of a move is left.
func (p *platform) settle(ctx context.Context, t tenant.Tenant) error {
	at, err := p.router.Placement(ctx, t.ID)
	if err != nil || at.State == route.Placed {
		return err
	}
	at.State, at.Other = route.Placed, ""
	_, err = p.router.Update(ctx, at)
	return err
}

// back gives a move up.
func (c *moveCommand) back(ctx context.Context, p *platform, m *archive.Mover, t tenant.Tenant) (archive.Record, error) {
	r, err := m.RollBack(ctx, t)
	if err == nil && r.Step == archive.RolledBack {
		err = p.settle(ctx, t)
	}
	return r, err
}

// clear removes the old home, if its grace is over.
func (c *moveCommand) clear(ctx context.Context, p *platform, m *archive.Mover, t tenant.Tenant) (archive.Record, error) {
	finish := m.Finish
	if c.now {
		finish = m.FinishNow
	}
	r, err := finish(ctx, t)
	if err == nil && r.Step == archive.Done {
		err = errors.Join(p.settle(ctx, t), p.ledger.Forget(ctx, t.ID))
	}
	if err == nil && r.Step == archive.Done {
		err = p.note(ctx, t)
	}
	return r, err
}

// note lets the ledger of migrations know a tenant's new home.
func (p *platform) note(ctx context.Context, t tenant.Tenant) error {
	f, err := p.fleet()
	if err != nil {
		return err
	}
	return f.Bring(ctx, t)
}

// placing fits the router's placements to moves.
type placing struct{ router *route.Router }

// Placed implements archive.Placements.
func (p placing) Placed(ctx context.Context, id tenant.ID) (string, error) {
	at, err := p.router.Placement(ctx, id)
	return at.Cell, err
}

// Flip implements archive.Placements. That nothing is changed makes a new version too, on
// which a change that began before fails.
func (p placing) Flip(ctx context.Context, id tenant.ID, from, to string) error {
	at, err := p.router.Placement(ctx, id)
	if err != nil {
		return err
	}
	if at.Cell != from {
		return fmt.Errorf("%w: tenant %s lives in %s, not in %s", archive.ErrConflict, id, at.Cell, from)
	}
	if from != to {
		at.Cell, at.State, at.Other = to, route.Moved, from
	}
	_, err = p.router.Update(ctx, at)
	if errors.Is(err, route.ErrConflict) {
		err = fmt.Errorf("%w: %w", archive.ErrConflict, err)
	}
	return err
}
