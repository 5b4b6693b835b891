package isolationtest

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/isolation"
)

var cancelClauses = []clause{
	{name: "a context that has ended starts nothing", opts: conns(1), check: checkEndedBefore},
	{name: "a slow statement ends with its context", opts: conns(1), check: checkEndedDuring},
	{name: "open rows end with their context", opts: conns(1), check: checkEndedRows},
	{name: "a context that ends at any moment leaves nothing behind", opts: conns(1), check: checkEndedAnytime},
	{name: "waiting for a connection ends with the context", opts: conns(1), check: checkEndedWaiting},
}

// slow returns a query that takes minutes.
func (s *suite) slow() string {
	if s.Dialect == SQLite {
		return "WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x LIMIT 1000000000) SELECT count(*) FROM x"
	}
	return "SELECT pg_sleep(300)"
}

// slowWithin is how long an ended slow statement may take to come back.
const slowWithin = 30 * time.Second

func checkEndedBefore(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for way, err := range s.uses(a.in(ended)) {
		if err := wantErr(way, err, context.Canceled); err != nil {
			return err
		}
	}
	return s.intact(ctx, b, a)
}

func checkEndedDuring(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, inTx := range []bool{false, true} {
		start := time.Now()
		if err := s.endSlow(ctx, a, inTx); err != nil {
			return err
		}
		if err := s.intact(ctx, b, a); err != nil {
			return err
		}
		if took := time.Since(start); took > slowWithin {
			return fmt.Errorf("a slow statement took %s to end after its context", took)
		}
	}
	return nil
}

// endSlow runs a slow statement as g, after a write in a transaction if inTx, and
// ends its context.
func (s *suite) endSlow(ctx context.Context, g guest, inTx bool) error {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if !inTx {
		_, err := s.exec(ctx, s.db, g, s.slow())
		return wantAnyErr("a slow statement whose context ended", err)
	}
	err := s.inTx(g.in(ctx), func(tx *sql.Tx) error {
		if _, err := s.exec(ctx, tx, g, "DELETE FROM tags"); err != nil {
			return err
		}
		_, err := s.exec(ctx, tx, g, s.slow())
		return err
	})
	return wantAnyErr("a slow statement whose context ended in a transaction", err)
}

func checkEndedRows(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for range 5 {
		if err := s.endRows(ctx, a); err != nil {
			return err
		}
		if err := s.intact(ctx, b, a); err != nil {
			return err
		}
	}
	return nil
}

// endRows ends the context of half-read rows. What is read afterwards is g's own.
func (s *suite) endRows(ctx context.Context, g guest) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rows, err := s.db.QueryContext(g.in(ctx), "SELECT n.body FROM notes n, notes m, notes o, notes p, notes q")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // its context has ended
	if !rows.Next() {
		return fmt.Errorf("no row to begin with: %w", orNone(rows.Err()))
	}
	cancel()
	for rows.Next() {
		var mark string
		if rows.Scan(&mark) != nil { // database/sql closed the rows
			break
		}
		if err := g.owns(mark); err != nil {
			return err
		}
	}
	_ = rows.Err() // of the context
	return nil
}

// checkEndedAnytime ends contexts after times that sweep over a statement's life:
// the switch, BEGIN, the statement and its end.
func checkEndedAnytime(ctx context.Context, s *suite) error {
	guests, err := s.invite(ctx, 3)
	if err != nil {
		return err
	}
	for round := range 40 {
		g, next := guests[round%3], guests[(round+1)%3]
		after := time.Duration(round) * 50 * time.Microsecond
		if err := s.endAfter(ctx, g, after, round%2 == 0); err != nil {
			return err
		}
		if err := s.expect(ctx, s.db, next, seeds, allNotes); err != nil {
			return err
		}
	}
	return s.intact(ctx, guests...)
}

func (s *suite) endAfter(ctx context.Context, g guest, after time.Duration, inTx bool) error {
	ended, cancel := context.WithTimeout(ctx, after)
	defer cancel()
	if !inTx {
		return onlyLeaks(s.expect(ended, s.db, g, seeds, allNotes))
	}
	return onlyLeaks(s.rolledBack(ended, g, func(tx *sql.Tx) error {
		if _, err := s.exec(ended, tx, g, "DELETE FROM tags"); err != nil {
			return err
		}
		return s.expect(ended, tx, g, seeds, allNotes)
	}))
}

func checkEndedWaiting(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	err = s.inTx(a.in(ctx), func(tx *sql.Tx) error { // holds the only connection
		for _, g := range []guest{a, b} {
			waiting, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			_, err := s.read(waiting, s.db, g, allNotes)
			cancel()
			if err := wantErr("a query whose context ended while it waited", err, context.DeadlineExceeded); err != nil {
				return err
			}
		}
		if n := s.Pool.Stats().Waiting; n != 0 {
			return fmt.Errorf("%d statements are still waiting", n)
		}
		return s.intactOn(ctx, tx, a)
	})
	if err != nil {
		return err
	}
	if err := s.intact(ctx, b, a); err != nil {
		return err
	}
	return s.settles(1)
}

// settleTime bounds how long a pool may take to have its connections back:
// database/sql ends a transaction whose context has ended in a goroutine of its own.
const settleTime = 5 * time.Second

// settles wants the pool, which nobody uses, to have all its connections back.
func (s *suite) settles(maxConns int) error {
	err := settled(s.Pool.Stats(), maxConns)
	for deadline := time.Now().Add(settleTime); err != nil && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
		err = settled(s.Pool.Stats(), maxConns)
	}
	return err
}

// settled wants all connections to be idle.
func settled(stats isolation.Stats, maxConns int) error {
	if stats.InUse != 0 || stats.Waiting != 0 || stats.Open > maxConns || stats.Open != stats.Idle {
		return fmt.Errorf("the pool has not settled: %d open (of %d), %d in use, %d idle, %d waiting",
			stats.Open, maxConns, stats.InUse, stats.Idle, stats.Waiting)
	}
	return nil
}
