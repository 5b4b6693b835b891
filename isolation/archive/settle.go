package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/isolation"
)

// settle lets the copy follow until it is close, freezes the tenant, brings the rest
// over, compares, and changes the tenant's place. All the while it is in the original
// home as its owner, so that nobody migrates or removes it.
func (m *moving) settle(ctx context.Context) error {
	for try := 1; ; try++ {
		if at, err := m.placements.Placed(ctx, m.tenant.ID); err != nil || at == m.snapshot().To {
			return errors.Join(err, m.flippedIf(ctx, at))
		}
		err := m.thaw(ctx)
		if err == nil {
			err = m.attempt(ctx)
		}
		if m.snapshot().Step == Flipped {
			return nil // what fails afterwards concerns the old home, which is done with
		}
		if err != nil {
			after, done := context.WithTimeout(context.WithoutCancel(ctx), m.lease)
			err = errors.Join(err, m.thaw(after))
			done()
		}
		if !errors.Is(err, errBusy) || ctx.Err() != nil || try == freezes {
			return err
		}
		select { // a long transaction of the tenant's, or a flood of writes, may be in the way
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * pause):
		}
	}
}

// attempt lets the copy follow, and freezes.
func (m *moving) attempt(ctx context.Context) (err error) {
	if m.follower == nil {
		if m.follower, err = m.resumed(ctx); err != nil {
			return err
		}
	}
	f := m.follower
	// Both homes are entered before anything is frozen, so that little is left to do then.
	return m.to.strategy.Administer(ctx, m.tenant, func(ctx context.Context, there *sql.Conn, _ isolation.Home) error {
		f.there = there
		return m.enter(ctx, f)
	})
}

// enter does so on the side that is left.
func (m *moving) enter(ctx context.Context, f *follower) error {
	return m.from.administer(ctx, func(ctx context.Context, conn *sql.Conn, c capture) error {
		if m.from.home.fingerprint() != f.schema {
			return fmt.Errorf("%w: %w: it changed since the copy was made", errAnew, ErrSchema)
		}
		f.conn, f.record = conn, c
		if err := m.follow(ctx, f); err != nil {
			return err
		}
		return m.freeze(ctx, f)
	})
}

func (m *moving) flippedIf(ctx context.Context, at string) error {
	if at != m.snapshot().To {
		return nil
	}
	return m.flipped(ctx)
}

// freezes is how often freezing is tried.
const freezes = 10

// follow lets the copy catch up until a round is quick.
func (m *moving) follow(ctx context.Context, f *follower) error {
	for range m.rounds {
		start := time.Now()
		n, err := f.round(ctx, nil)
		if err != nil {
			return err
		}
		if err := m.save(ctx, func(r *Record) { r.Rounds++ }); err != nil {
			return err
		}
		if n == 0 || time.Since(start) < quick {
			return nil
		}
	}
	return nil
}

// thaw lets a tenant that is frozen write again, once it is certain that its place is
// and remains the old one. It uses a connection of its own: the one that was used
// while it was frozen may be what failed.
func (m *moving) thaw(ctx context.Context) error {
	r := m.snapshot()
	if r.Step != Frozen && r.Step != Flipping {
		return nil
	}
	if r.Step == Flipping {
		if err := m.placements.Flip(ctx, m.tenant.ID, r.From, r.From); err != nil {
			return fmt.Errorf("whether its place was changed is unknown, so it stays frozen; resume the move: %w", err)
		}
	}
	err := m.from.administer(ctx, func(ctx context.Context, conn *sql.Conn, c capture) error { return c.thaw(ctx, conn) })
	if err != nil {
		return fmt.Errorf("it stays frozen; resume the move or roll it back: %w", err)
	}
	return m.step(ctx, Copied)
}

// freeze keeps the tenant from writing, brings the rest over and changes its place.
func (m *moving) freeze(ctx context.Context, f *follower) error {
	if err := m.step(ctx, Frozen); err != nil {
		return err
	}
	start := time.Now()
	limited, cancel := context.WithTimeout(ctx, m.frozen)
	defer cancel()
	err := f.record.freeze(limited, f.conn)
	if err == nil {
		_, err = f.round(limited, func(ctx context.Context, target *sql.Tx, in *filler) error { return m.finishCopy(ctx, f, target, in) })
	}
	if err != nil && limited.Err() != nil {
		return fmt.Errorf("%w: not done in %s: %w", errBusy, m.frozen, err)
	}
	if err != nil {
		return err
	}
	return m.flip(ctx, start, f)
}

// finishCopy does what is left when all rows are there.
func (m *moving) finishCopy(ctx context.Context, f *follower, target *sql.Tx, in *filler) error {
	var reached []Sequence
	for _, s := range m.from.home.sequences {
		now, err := s.now(ctx, f.conn)
		if err != nil {
			return err
		}
		reached = append(reached, now)
	}
	return setSequences(ctx, target, m.to.dialect, in.home, reached, func(ctx context.Context, work func(context.Context, *sql.Conn) error) error {
		return work(ctx, f.there)
	})
}

// flip changes the tenant's place.
func (m *moving) flip(ctx context.Context, start time.Time, f *follower) error {
	r := m.snapshot()
	if err := m.step(ctx, Flipping); err != nil {
		return err
	}
	if err := m.placements.Flip(ctx, m.tenant.ID, r.From, r.To); err != nil {
		if at, findErr := m.placements.Placed(ctx, m.tenant.ID); findErr != nil || at != r.To {
			return errors.Join(err, findErr)
		}
	}
	took := time.Since(start)
	var rows int64
	for _, t := range f.tallies {
		rows += t.Rows
	}
	return m.save(ctx, func(r *Record) {
		r.Step, r.Flipped, r.Frozen, r.Rows = Flipped, m.now().UTC(), took, rows
	})
}

// flipped records that the place was changed, which a kill kept from being recorded.
func (m *moving) flipped(ctx context.Context) error {
	return m.save(ctx, func(r *Record) { r.Step, r.Flipped = Flipped, m.now().UTC() })
}

// journaled is a record that changes in the journal and here alike.
type journaled struct {
	mu     sync.Mutex
	record Record // guarded by mu
}

func (m *moving) snapshot() Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.record
}

// step records that a step is done.
func (m *moving) step(ctx context.Context, s Step) error {
	return m.save(ctx, func(r *Record) { r.Step = s })
}

// save changes the record.
func (m *moving) save(ctx context.Context, change func(*Record)) error {
	before, after, err := m.write(ctx, change)
	if err == nil && (before.Step != after.Step || before.Rounds != after.Rounds) {
		m.progress(after)
	}
	return err
}

func (m *moving) write(ctx context.Context, change func(*Record)) (before, after Record, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, after = m.record, m.record
	change(&after)
	if after.Finished() { // from now on another move may begin
		after.Holder, after.Until = "", time.Time{}
	}
	if after.Holder != "" {
		after.Until = m.now().Add(m.lease).UTC()
	}
	if after, err = m.journal.Update(ctx, after); err != nil {
		return before, before, err
	}
	m.record = after
	return before, after, nil
}

// beat renews the lease until ctx ends. When that fails for too long, the work is
// ended before another process may take it over.
func (m *moving) beat(ctx context.Context, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(m.lease / 4)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		_, _, err := m.write(ctx, func(*Record) {})
		switch {
		case err == nil:
			last = time.Now()
		case errors.Is(err, ErrConflict) || time.Since(last) > m.lease/2:
			cancel(fmt.Errorf("archive: the move's lease could not be renewed: %w", err))
			return
		}
	}
}
