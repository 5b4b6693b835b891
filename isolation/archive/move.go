package archive

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// Placements says in which place tenants live, and changes it. What it says is kept in
// a database that outlives a crash. A host whose tenants are placed by package route
// fits its router to it in a few lines.
type Placements interface {
	// Placed returns the name of the place in which id's statements run.
	Placed(ctx context.Context, id tenant.ID) (string, error)
	// Flip changes it from one to another, if it is the one; else its error wraps
	// [ErrConflict]. After any other error it may or may not have been changed. With
	// from and to the same it changes nothing, but makes every Flip fail that began
	// before and whose outcome nobody knows.
	Flip(ctx context.Context, id tenant.ID, from, to string) error
}

// MoveOption changes a setting of [NewMover].
type MoveOption func(*moveConfig)

type moveConfig struct {
	grace    time.Duration
	frozen   time.Duration
	lease    time.Duration
	rounds   int
	drain    func(context.Context, tenant.ID) error
	progress func(Record)
	now      func() time.Time
}

// Grace is how long the old home is kept, closed for writes, after a tenant has moved.
// It must be longer than any process goes on reading there. The record of a move keeps
// what it began with. The default is an hour.
func Grace(d time.Duration) MoveOption { return func(c *moveConfig) { c.grace = d } }

// MaxFrozen bounds how long a tenant is kept from writing in one attempt. An attempt
// that takes longer is given up, and another made later. The default is 2 seconds.
func MaxFrozen(d time.Duration) MoveOption { return func(c *moveConfig) { c.frozen = d } }

// Drain is called after the tenant's place was changed: with [isolation.Pool.Forget],
// or Drain, of the application's pool.
func Drain(drain func(ctx context.Context, id tenant.ID) error) MoveOption {
	return func(c *moveConfig) { c.drain = drain }
}

// OnProgress has progress called whenever a move's record changes, before the move
// goes on.
func OnProgress(progress func(Record)) MoveOption {
	return func(c *moveConfig) { c.progress = progress }
}

// Clock takes the place of time.Now for what the journal records.
func Clock(now func() time.Time) MoveOption { return func(c *moveConfig) { c.now = now } }

// Lease is how long a process that works on a move may be silent before another may
// take the move over. The default is 30 seconds.
func Lease(d time.Duration) MoveOption { return func(c *moveConfig) { c.lease = d } }

// Mover moves tenants between places while they work. It is safe for concurrent use.
type Mover struct {
	moveConfig
	journal    Journal
	placements Placements
	places     map[string]*Archiver
}

// NewMover returns a mover between places, which have the names that placements use.
// Each place's archiver has the same tables.
func NewMover(journal Journal, placements Placements, places map[string]*Archiver, opts ...MoveOption) (*Mover, error) {
	m := &Mover{
		journal: journal, placements: placements, places: places,
		moveConfig: moveConfig{
			grace: time.Hour, frozen: 2 * time.Second, lease: 30 * time.Second, rounds: 50, now: time.Now,
			drain: func(context.Context, tenant.ID) error { return nil }, progress: func(Record) {},
		},
	}
	for _, opt := range opts {
		opt(&m.moveConfig)
	}
	switch {
	case journal == nil || placements == nil:
		return nil, errors.New("archive: a mover wants a journal and placements, not nil")
	case m.grace < 0 || m.frozen <= 0 || m.lease < time.Second:
		return nil, fmt.Errorf("archive: Grace %s, MaxFrozen %s or Lease %s is too short", m.grace, m.frozen, m.lease)
	case m.drain == nil || m.progress == nil || m.now == nil:
		return nil, errors.New("archive: Drain, OnProgress or Clock: nil function")
	}
	for name, a := range places {
		if a == nil {
			return nil, fmt.Errorf("archive: place %s: nil archiver", name)
		}
	}
	return m, nil
}

// Move brings t to a place, and returns once it lives there. Its old home stays, closed
// for writes, until [Mover.Finish]. A move that was interrupted goes on with
// [Mover.Resume].
func (m *Mover) Move(ctx context.Context, t tenant.Tenant, to string) (Record, error) {
	if err := t.ID.Validate(); err != nil {
		return Record{}, err
	}
	from, err := m.placements.Placed(ctx, t.ID)
	if err != nil {
		return Record{}, fmt.Errorf("archive: find tenant %s: %w", t.ID, err)
	}
	if m.places[from] == nil || m.places[to] == nil || from == to {
		return Record{}, fmt.Errorf("archive: move tenant %s from %q to %q: want two different places that the mover knows", t.ID, from, to)
	}
	r := Record{Tenant: t.ID, From: from, To: to, Step: Planned, Started: m.now().UTC(), Grace: m.grace, Holder: rand.Text(), Until: m.now().Add(m.lease).UTC()}
	if r, err = m.journal.Create(ctx, r); err != nil {
		return r, err
	}
	return m.hold(ctx, t, r, (*moving).forward)
}

// Resume goes on with a tenant's move, wherever it was interrupted, and returns once
// the tenant lives in its new place.
func (m *Mover) Resume(ctx context.Context, t tenant.Tenant) (Record, error) {
	return m.take(ctx, t, (*moving).forward)
}

// RollBack gives a tenant's move up: the tenant writes where it was, and the copy is
// removed. Past the change of its place the error wraps [ErrFlipped].
func (m *Mover) RollBack(ctx context.Context, t tenant.Tenant) (Record, error) {
	r, err := m.take(ctx, t, (*moving).back)
	if err == nil && r.Step == Done {
		err = fmt.Errorf("%w: tenant %s lives in %s", ErrFlipped, t.ID, r.To)
	}
	return r, err
}

// Finish removes the old home of a tenant that has moved, if the grace is over that its
// move began with; else it does nothing. Call it from time to time for the records that
// the journal has open.
func (m *Mover) Finish(ctx context.Context, t tenant.Tenant) (Record, error) {
	return m.take(ctx, t, func(mv *moving, ctx context.Context) error {
		if r := mv.snapshot(); r.Step == Flipped && m.now().Before(r.Flipped.Add(cmp.Or(r.Grace, m.grace))) {
			return nil
		}
		return mv.finish(ctx)
	})
}

// FinishNow is Finish without waiting for the end of the grace.
func (m *Mover) FinishNow(ctx context.Context, t tenant.Tenant) (Record, error) {
	return m.take(ctx, t, (*moving).finish)
}

// take takes over a move that nobody works on.
func (m *Mover) take(ctx context.Context, t tenant.Tenant, work func(*moving, context.Context) error) (Record, error) {
	r, err := m.journal.Find(ctx, t.ID)
	if err != nil || r.Finished() {
		return r, err
	}
	if m.places[r.From] == nil || m.places[r.To] == nil {
		return r, fmt.Errorf("archive: the mover does not know place %q or %q", r.From, r.To)
	}
	if r.Holder != "" && m.now().Before(r.Until) {
		return r, fmt.Errorf("%w: another process works on the move of tenant %s, and may be taken for dead at %s", ErrConflict, t.ID, r.Until.Format(time.RFC3339))
	}
	r.Holder, r.Until = rand.Text(), m.now().Add(m.lease).UTC()
	if r, err = m.journal.Update(ctx, r); err != nil {
		return r, err
	}
	return m.hold(ctx, t, r, work)
}

// hold runs work on a move, and keeps telling others that it does.
func (m *Mover) hold(ctx context.Context, t tenant.Tenant, r Record, work func(*moving, context.Context) error) (Record, error) {
	mv := &moving{Mover: m, tenant: t, journaled: journaled{record: r}}
	mv.from, mv.to = newEnd(m.places[r.From], t), newEnd(m.places[r.To], t)
	held, cancel := context.WithCancelCause(ctx)
	beat := make(chan struct{})
	go func() {
		defer close(beat)
		mv.beat(held, cancel)
	}()
	m.progress(r)
	err := work(mv, held)
	if err != nil && held.Err() != nil {
		err = errors.Join(err, context.Cause(held))
	}
	cancel(nil)
	<-beat
	if mv.snapshot().Finished() {
		return mv.snapshot(), err
	}
	release, done := context.WithTimeout(context.WithoutCancel(ctx), m.lease)
	defer done()
	if free := mv.save(release, func(r *Record) { r.Holder, r.Until = "", time.Time{} }); err == nil {
		err = free
	}
	return mv.snapshot(), err
}

// moving is a move that this process works on.
type moving struct {
	*Mover
	tenant   tenant.Tenant
	from, to *end
	follower *follower // nil until the copy is there

	journaled // the record, which the heart beat changes too
}

// end is a home at one end of a move.
type end struct {
	*Archiver
	tenant  tenant.Tenant
	home    *home
	dialect dialect
}

func newEnd(a *Archiver, t tenant.Tenant) *end { return &end{Archiver: a, tenant: t} }

// look reads the home's catalog.
func (e *end) look(ctx context.Context) (err error) {
	e.home, e.dialect, err = e.catalog(ctx, e.tenant)
	return err
}

func (e *end) rounding() dialect { return e.Archiver.rounding(e.dialect) }

// filler returns a writer of rows into the home.
func (e *end) filler(tx *sql.Tx, mode loadMode) *filler {
	return &filler{
		archiver: e.Archiver, tenant: e.tenant, home: e.home, dialect: e.dialect, tx: tx, mode: mode,
		config: restoreConfig{replace: true},
	}
}

// administer runs work as the home's owner, with its catalog and its capture.
func (e *end) administer(ctx context.Context, work func(ctx context.Context, conn *sql.Conn, c capture) error) error {
	return e.strategy.Administer(ctx, e.tenant, func(ctx context.Context, conn *sql.Conn, h isolation.Home) error {
		found, err := e.describe(ctx, conn, h)
		if err != nil {
			return err
		}
		e.home, e.dialect = found, dialectOf(h)
		return work(ctx, conn, captureOf(h, e.tenant, found.tables))
	})
}

// forward goes on until the tenant lives in its new place.
func (m *moving) forward(ctx context.Context) error {
	for copies := 0; ; {
		step := m.snapshot().Step
		err := m.advance(ctx, step)
		switch {
		case errors.Is(err, errAnew) && copies < maxCopies:
			copies++
			err = m.step(ctx, Captured)
		case err == nil && step == Flipped || step == Dropping:
			return err
		}
		if err != nil {
			return fmt.Errorf("archive: move tenant %s from %s to %s, %s: %w", m.tenant.ID, m.snapshot().From, m.snapshot().To, step, err)
		}
	}
}

// maxCopies is how often a copy is made anew.
const maxCopies = 3

// advance does what follows a step, and may be done again after a kill at any point.
func (m *moving) advance(ctx context.Context, step Step) error {
	switch step {
	case Planned:
		return m.prepare(ctx)
	case Prepared:
		return m.capture(ctx)
	case Captured:
		return m.copy(ctx)
	case Copied, Frozen, Flipping:
		return m.settle(ctx)
	case Flipped:
		return m.drain(ctx, m.tenant.ID)
	default:
		return nil
	}
}

// prepare makes the home that the tenant goes to, and wants it empty: what is in it is
// not ours to delete.
func (m *moving) prepare(ctx context.Context) error {
	if err := m.from.look(ctx); err != nil {
		return err
	}
	if err := checkKeys(m.from.home.tables); err != nil {
		return err
	}
	keys, err := m.to.strategy.HomeKeys(ctx, []tenant.Tenant{m.tenant})
	if err == nil && keys[0] == "" {
		err = m.save(ctx, func(r *Record) { r.Fresh = true })
	}
	if err == nil {
		err = m.to.strategy.Provision(ctx, m.tenant)
	}
	if err != nil {
		return err
	}
	if err := m.to.administer(ctx, func(ctx context.Context, conn *sql.Conn, c capture) error { return c.reopen(ctx, conn) }); err != nil {
		return err
	}
	err = m.to.update(ctx, m.tenant, m.to.dialect, func(ctx context.Context, tx *sql.Tx) error {
		f := m.to.filler(tx, insertRows)
		f.config.replace = false
		if err := f.plan(m.manifest()); err != nil {
			return err
		}
		return f.clear(ctx)
	})
	if err != nil {
		return err
	}
	return m.step(ctx, Prepared)
}

// manifest is of the original's tables.
func (m *moving) manifest() Manifest {
	return m.from.home.manifest(m.tenant.ID, m.from.dialect.name(), m.now())
}

// capture begins to record changes.
func (m *moving) capture(ctx context.Context) error {
	err := m.from.administer(ctx, func(ctx context.Context, conn *sql.Conn, c capture) error { return c.install(ctx, conn) })
	if err != nil {
		return err
	}
	return m.step(ctx, Captured)
}

// copy brings a snapshot over, in one transaction that ends by reading it back.
func (m *moving) copy(ctx context.Context) error {
	for _, e := range []*end{m.from, m.to} {
		if err := e.look(ctx); err != nil {
			return err
		}
	}
	f := &follower{from: m.from, to: m.to, schema: m.from.home.fingerprint()}
	err := m.from.view(ctx, m.tenant, m.from.dialect, func(ctx context.Context, source *sql.Tx) error {
		return m.to.update(ctx, m.tenant, m.to.dialect, func(ctx context.Context, target *sql.Tx) error {
			in := &copier{m.to.filler(target, insertRows)}
			manifest, err := m.from.exportRows(ctx, m.tenant.ID, source, m.from.dialect, m.from.home, in)
			if err != nil {
				return err
			}
			f.manifest = manifest
			if err := in.end(ctx, manifest); err != nil {
				return err
			}
			for _, t := range in.tables {
				f.tallies = append(f.tallies, t.expected)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	m.follower = f
	return m.step(ctx, Copied)
}

// copier is a filler that leaves the sequences for later. Whether they can be set is
// better known before the tenant is frozen.
type copier struct{ *filler }

func (c *copier) end(ctx context.Context, m Manifest) error {
	if err := c.flush(ctx); err != nil {
		return err
	}
	if err := c.readAllBack(ctx); err != nil {
		return err
	}
	_, err := c.home.advances(ctx, c.tx, m.Sequences)
	return err
}

// resumed returns a follower of a copy that another process made: all of both sides is
// compared once, before anything is frozen.
func (m *moving) resumed(ctx context.Context) (*follower, error) {
	for _, e := range []*end{m.from, m.to} {
		if err := e.look(ctx); err != nil {
			return nil, err
		}
	}
	return &follower{
		from: m.from, to: m.to, schema: m.from.home.fingerprint(), manifest: m.manifest(), wholeFirst: true,
		tallies: make([]tally, len(m.from.home.tables)),
	}, nil
}

// back undoes what was done, in any state before the place was changed.
func (m *moving) back(ctx context.Context) error {
	r := m.snapshot()
	if r.Step == Flipped || r.Step == Dropping {
		return fmt.Errorf("%w: tenant %s lives in %s", ErrFlipped, m.tenant.ID, r.To)
	}
	// A change of the place that is still on its way must not come true later.
	if err := m.placements.Flip(ctx, m.tenant.ID, r.From, r.From); err != nil {
		if at, findErr := m.placements.Placed(ctx, m.tenant.ID); findErr == nil && at == r.To {
			return errors.Join(fmt.Errorf("%w: tenant %s lives in %s", ErrFlipped, m.tenant.ID, r.To), m.flipped(ctx))
		}
		return fmt.Errorf("archive: roll back tenant %s: %w", m.tenant.ID, err)
	}
	err := m.from.administer(ctx, func(ctx context.Context, conn *sql.Conn, c capture) error { return c.remove(ctx, conn) })
	if err != nil {
		return fmt.Errorf("archive: roll back tenant %s: %w", m.tenant.ID, err)
	}
	if r.Fresh || r.Step != Planned { // else it may hold rows that are not ours
		if err := m.to.removeHome(ctx); err != nil {
			return fmt.Errorf("archive: roll back tenant %s: %w", m.tenant.ID, err)
		}
	}
	return m.step(ctx, RolledBack)
}

// removeHome removes the tenant's home with all in it.
func (e *end) removeHome(ctx context.Context) error {
	e.pool.Forget(e.tenant.ID)
	return e.strategy.Deprovision(ctx, e.tenant)
}

// finish removes the old home.
func (m *moving) finish(ctx context.Context) error {
	r := m.snapshot()
	if r.Step != Flipped && r.Step != Dropping {
		return nil
	}
	at, err := m.placements.Placed(ctx, m.tenant.ID)
	if err == nil && at != r.To {
		err = fmt.Errorf("%w: tenant %s lives in %s, not in %s; its old home is kept", ErrConflict, m.tenant.ID, at, r.To)
	}
	if err == nil {
		err = m.step(ctx, Dropping)
	}
	if err == nil {
		err = m.from.administer(ctx, func(ctx context.Context, conn *sql.Conn, c capture) error { return c.leave(ctx, conn) })
		if errors.Is(err, isolation.ErrNotProvisioned) { // removed before a kill
			err = nil
		}
	}
	if err == nil {
		err = errors.Join(m.drain(ctx, m.tenant.ID), m.from.removeHome(ctx))
	}
	if err != nil {
		return fmt.Errorf("archive: remove the old home of tenant %s in %s: %w", m.tenant.ID, r.From, err)
	}
	return m.step(ctx, Done)
}
