package isolationtest

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
)

var preparedClauses = []clause{
	{name: "a prepared statement serves each tenant its own rows", opts: conns(1), check: checkPrepared},
	{name: "a prepared statement writes each tenant's own rows", check: checkPreparedWrites},
	{name: "a prepared statement serves many tenants at once", opts: conns(3), check: checkPreparedAtOnce},
	{name: "a prepared statement survives the death of its connection", needs: hasKill, opts: conns(2), check: checkPreparedDeath},
	{name: "a prepared statement in a transaction serves the transaction's tenant", check: checkPreparedInTx},
}

func conns(n int) []isolation.Option { return []isolation.Option{isolation.MaxConns(n)} }

func hasKill(t Target) bool { return t.Kill != nil }

// withStmt prepares query as g for the time of do.
func (s *suite) withStmt(ctx context.Context, g guest, query string, do func(*sql.Stmt) error) error {
	stmt, err := s.db.PrepareContext(g.in(ctx), s.bind(query))
	if err != nil {
		return fmt.Errorf("preparing %s: %w", query, err)
	}
	defer func() { _ = stmt.Close() }() // nothing depends on it
	return do(stmt)
}

// run reads as g by a prepared statement and wants n rows, all of them g's.
func (s *suite) run(ctx context.Context, stmt *sql.Stmt, g guest, n int, args ...any) error {
	got, err := s.tryRun(ctx, stmt, g, args...)
	if err == nil && got != n {
		err = fmt.Errorf("tenant %s read %d rows of its own, want %d", g.ID, got, n)
	}
	return err
}

func (s *suite) tryRun(ctx context.Context, stmt *sql.Stmt, g guest, args ...any) (int, error) {
	rows, err := stmt.QueryContext(g.in(ctx), args...)
	if err != nil {
		return 0, fmt.Errorf("running a prepared statement as tenant %s: %w", g.ID, err)
	}
	defer func() { _ = rows.Close() }() // Err tells
	return s.scan(rows, g)
}

func checkPrepared(ctx context.Context, s *suite) error {
	guests, err := s.invite(ctx, 3)
	if err != nil {
		return err
	}
	return s.withStmt(ctx, guests[0], allNotes, func(stmt *sql.Stmt) error {
		for round := range 12 { // PostgreSQL may turn to a generic plan after five
			if err := s.run(ctx, stmt, guests[round%3], seeds); err != nil {
				return fmt.Errorf("run %d: %w", round+1, err)
			}
		}
		for round := range 14 {
			if err := s.run(ctx, stmt, guests[round/7], seeds); err != nil {
				return fmt.Errorf("run %d in a row: %w", round%7+1, err)
			}
		}
		return nil
	})
}

func checkPreparedWrites(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	err = s.withStmt(ctx, a, "UPDATE notes SET version = version + 1 WHERE id = ?", func(stmt *sql.Stmt) error {
		for range 4 {
			result, err := stmt.ExecContext(b.in(ctx), 1)
			if err != nil {
				return err
			}
			if n, err := result.RowsAffected(); err != nil || n != 1 {
				return fmt.Errorf("a prepared update affected %d rows, want 1: %w", n, orNone(err))
			}
			if err := s.intact(ctx, a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.expect(ctx, s.db, b, 1, oneNote+" AND version = 4", 1)
}

func checkPreparedAtOnce(ctx context.Context, s *suite) error {
	guests, err := s.invite(ctx, 6)
	if err != nil {
		return err
	}
	return s.withStmt(ctx, guests[0], oneNote, func(stmt *sql.Stmt) error {
		return parallel(8, func(worker int) error {
			for round := range 20 {
				g := guests[(worker*5+round*7)%len(guests)]
				if err := s.run(ctx, stmt, g, 1, round%seeds+1); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func checkPreparedDeath(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	return s.withStmt(ctx, a, allNotes, func(stmt *sql.Stmt) error {
		for range 3 {
			if err := s.run(ctx, stmt, a, seeds); err != nil {
				return err
			}
			if err := s.Kill(ctx); err != nil {
				return fmt.Errorf("killing the connections: %w", err)
			}
			err := s.recovers(func() (int, error) { return s.tryRun(ctx, stmt, b) })
			if err != nil {
				return err
			}
			if err := s.run(ctx, stmt, b, seeds); err != nil {
				return err
			}
		}
		return nil
	})
}

func checkPreparedInTx(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	return s.withStmt(ctx, a, allNotes, func(stmt *sql.Stmt) error {
		for _, g := range []guest{b, a, b} {
			err := s.inTx(g.in(ctx), func(tx *sql.Tx) error {
				inTx := tx.StmtContext(g.in(ctx), stmt)
				defer func() { _ = inTx.Close() }() // nothing depends on it
				if err := s.run(ctx, inTx, g, seeds); err != nil {
					return err
				}
				other := a
				if g.ID == a.ID {
					other = b
				}
				_, err := s.tryRun(ctx, inTx, other)
				return wantErr("a prepared statement for another tenant in a transaction", err, isolation.ErrTenantChanged)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
