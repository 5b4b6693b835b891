package isolationtest

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tenancy-go/tenancy/isolation"
)

// stormConns is less than the workers of a storm, and far less than its tenants.
const stormConns = 8

// storm is many workers doing at random, but from a fixed seed, what tenants do.
type storm struct {
	*suite
	guests []guest
	stmt   *sql.Stmt // reads a tenant's seeds
}

// worker is one goroutine of a storm.
type worker struct {
	*storm
	number int
	rnd    *rand.Rand
	drawn  int
}

// size returns a storm's numbers of tenants, workers and rounds of each.
func (s *suite) size() (tenants, workers, rounds int) {
	if s.short {
		return 12, 8, 15
	}
	return 50, 32, 30
}

const seedNotes = allNotes + " WHERE id <= ?"

func checkStorm(ctx context.Context, s *suite) error {
	tenants, workers, rounds := s.size()
	return s.storm(ctx, tenants, func(st *storm) error {
		err := parallel(workers, func(i int) error { return st.worker(i).work(ctx, rounds) })
		if err != nil {
			return err
		}
		return s.settles(stormConns)
	})
}

// checkStormOfKills wants no leak while connections die, whatever else fails.
func checkStormOfKills(ctx context.Context, s *suite) error {
	return s.storm(ctx, 6, func(st *storm) error {
		return parallel(8, func(i int) error {
			w := st.worker(i)
			for range 12 {
				if err := onlyLeaks(w.work(ctx, 1)); err != nil {
					return err
				}
				if i > 0 {
					continue
				}
				if err := s.Kill(ctx); err != nil {
					return fmt.Errorf("killing the connections: %w", err)
				}
			}
			return nil
		})
	})
}

// storm invites tenants, lets do loose on them, and wants every tenant's rows to
// be its own afterwards.
func (s *suite) storm(ctx context.Context, tenants int, do func(*storm) error) error {
	guests, err := s.crowd(ctx, tenants)
	if err != nil {
		return err
	}
	err = s.withStmt(ctx, guests[0], seedNotes, func(stmt *sql.Stmt) error {
		return do(&storm{suite: s, guests: guests, stmt: stmt})
	})
	if err != nil {
		return err
	}
	for _, g := range guests {
		err := s.recovers(func() (int, error) { return s.read(ctx, s.db, g, seedNotes, seeds) })
		if err != nil {
			return fmt.Errorf("after the storm: %w", err)
		}
		if _, err := s.read(ctx, s.db, g, allNotes); err != nil { // with what was left by workers that failed
			return fmt.Errorf("after the storm: %w", err)
		}
		if err := s.expect(ctx, s.db, g, seeds, allLabels); err != nil {
			return fmt.Errorf("after the storm: %w", err)
		}
	}
	return nil
}

func (st *storm) worker(number int) *worker {
	return &worker{storm: st, number: number, rnd: rand.New(rand.NewPCG(431, uint64(number)))}
}

// work does rounds deeds as tenants drawn at random.
func (w *worker) work(ctx context.Context, rounds int) error {
	deeds := w.deeds()
	for round := range rounds {
		w.drawn = round
		g := w.guests[w.rnd.IntN(len(w.guests))]
		if err := deeds[w.rnd.IntN(len(deeds))](ctx, g); err != nil {
			return fmt.Errorf("worker %d, round %d, tenant %s: %w", w.number, round, g.ID, err)
		}
	}
	return nil
}

func (w *worker) deeds() []func(context.Context, guest) error {
	deeds := []func(context.Context, guest) error{
		w.reads, w.reads, w.runs, w.runs, w.writes, w.commits, w.rollsBack, w.fails, w.failsFirst, w.failsInTx, w.strays,
		w.isCutOff, w.leavesRows, w.sharesConn, w.hasNoTenant,
	}
	if w.Dialect == Postgres {
		deeds = append(deeds, w.leavesSetting, w.findsSetting, w.leavesTable)
	}
	return deeds
}

func (w *worker) reads(ctx context.Context, g guest) error {
	return w.expect(ctx, w.db, g, seeds, seedNotes, seeds)
}

func (w *worker) runs(ctx context.Context, g guest) error {
	return w.run(ctx, w.stmt, g, seeds, seeds)
}

func (w *worker) writes(ctx context.Context, g guest) error {
	mark := g.mark(fmt.Sprintf("of worker %d, round %d", w.number, w.drawn))
	return w.affect(ctx, w.db, g, 1, "UPDATE notes SET body = ? WHERE id = ?", mark, w.rnd.IntN(seeds)+1)
}

// commits adds a note of its own and takes it back in another transaction.
func (w *worker) commits(ctx context.Context, g guest) error {
	id := 1000 + w.number
	err := w.inTx(g.in(ctx), func(tx *sql.Tx) error {
		if err := w.addNote(ctx, tx, g, id); err != nil {
			return err
		}
		return w.expect(ctx, tx, g, 1, oneNote, id)
	})
	if err != nil {
		return err
	}
	return w.affect(ctx, w.db, g, 1, "DELETE FROM notes WHERE id = ? AND body = ?", id, g.note(id))
}

func (w *worker) rollsBack(ctx context.Context, g guest) error {
	return w.rolledBack(ctx, g, func(tx *sql.Tx) error {
		if err := w.addNote(ctx, tx, g, 2000+w.number); err != nil {
			return err
		}
		return w.expect(ctx, tx, g, seeds, seedNotes, seeds)
	})
}

func (w *worker) fails(ctx context.Context, g guest) error {
	failures := w.failures()
	query := failures[w.rnd.IntN(len(failures))]
	_, err := w.exec(ctx, w.db, g, query)
	return wantAnyErr(query, err)
}

// failsFirst reads on a connection whose first statement, after which it is g's, failed.
func (w *worker) failsFirst(ctx context.Context, g guest) error {
	return w.withConn(ctx, func(conn *sql.Conn) error {
		if err := w.failsOn(ctx, conn, g); err != nil {
			return err
		}
		return w.expect(ctx, conn, g, seeds, seedNotes, seeds)
	})
}

func (w *worker) failsInTx(ctx context.Context, g guest) error {
	return w.rolledBack(ctx, g, func(tx *sql.Tx) error { return w.failsOn(ctx, tx, g) })
}

func (w *worker) failsOn(ctx context.Context, db database, g guest) error {
	_, err := w.exec(ctx, db, g, wrong)
	return wantAnyErr(wrong, err)
}

// strays uses another tenant's context in g's transaction.
func (w *worker) strays(ctx context.Context, g guest) error {
	other := w.guests[w.rnd.IntN(len(w.guests))]
	if other.ID == g.ID {
		return w.reads(ctx, g)
	}
	return w.rolledBack(ctx, g, func(tx *sql.Tx) error {
		_, err := w.read(ctx, tx, other, seedNotes, seeds)
		if err := wantErr("a query for another tenant in a transaction", err, isolation.ErrTenantChanged); err != nil {
			return err
		}
		return w.expect(ctx, tx, g, seeds, seedNotes, seeds)
	})
}

// isCutOff reads with a context that ends soon.
func (w *worker) isCutOff(ctx context.Context, g guest) error {
	return w.endAfter(ctx, g, time.Duration(w.rnd.IntN(3000))*time.Microsecond, w.rnd.IntN(2) == 0)
}

func (w *worker) leavesRows(ctx context.Context, g guest) error {
	return w.withConn(ctx, func(conn *sql.Conn) error {
		rows, err := conn.QueryContext(g.in(ctx), "SELECT n.body FROM notes n, tags t")
		if err != nil {
			return err
		}
		return abandon(rows)
	})
}

func (w *worker) sharesConn(ctx context.Context, g guest) error {
	other := w.guests[w.rnd.IntN(len(w.guests))]
	return w.withConn(ctx, func(conn *sql.Conn) error {
		for _, g := range []guest{g, other, g} {
			if err := w.expect(ctx, conn, g, seeds, seedNotes, seeds); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *worker) hasNoTenant(ctx context.Context, g guest) error {
	_, err := w.marks(ctx, w.db, g, allNotes)
	return wantErr("a query without tenant", err, errNoTenant)
}

const secret = "isolationtest.secret"

func (w *worker) leavesSetting(ctx context.Context, g guest) error {
	return w.leaveSetting(ctx, g, secret, g.mark("secret"), w.rnd.IntN(2) == 0)
}

// findsSetting wants the setting to be unset or g's own.
func (w *worker) findsSetting(ctx context.Context, g guest) error {
	return w.expect(ctx, w.db, g, 1, "SELECT coalesce(nullif(current_setting(?, true), ''), ?)", secret, g.mark("unset"))
}

// leavesTable leaves a table that would take the next tenant's notes.
func (w *worker) leavesTable(ctx context.Context, g guest) error {
	return w.withConn(ctx, func(conn *sql.Conn) error {
		if _, err := w.exec(ctx, conn, g, "CREATE TEMPORARY TABLE leftover AS SELECT body FROM notes"); err != nil {
			return nil // refused, or g's own is still there
		}
		_, err := w.read(ctx, conn, g, "SELECT body FROM leftover")
		return err
	})
}
