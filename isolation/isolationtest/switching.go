package isolationtest

import (
	"context"
	"database/sql"
)

var switchClauses = []clause{
	{name: "a statement that fails right after a switch does not undo it", opts: conns(1), check: checkFailAfterSwitch},
	{name: "a transaction that fails right after a switch does not undo it", opts: conns(1), check: checkTxFailAfterSwitch},
	{name: "a transaction rolled back right after a switch does not undo it", opts: conns(1), check: checkRollbackAfterSwitch},
	{name: "tenants that alternate on one connection stay apart", opts: conns(1), check: checkAlternate},
}

// failures are statements that fail while they are parsed, planned or run.
func (s *suite) failures() []string {
	queries := []string{wrong, "SELECT nonsense(", "INSERT INTO notes (id, title, body) VALUES (1, 'title 1', 'a key that exists')"}
	if s.Dialect == Postgres {
		queries = append(queries, "SELECT 1/0", "SELECT 1/(count(*) - 5) FROM notes WHERE id <= 5", "SELECT 1; SELECT 1/0", "DO 'BEGIN RAISE EXCEPTION $$no$$; END'")
	}
	return queries
}

func checkFailAfterSwitch(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, query := range s.failures() {
		if err := s.intact(ctx, a); err != nil {
			return err
		}
		_, err := s.exec(ctx, s.db, b, query)
		if err := wantAnyErr(query, err); err != nil {
			return err
		}
		if err := s.intact(ctx, b); err != nil {
			return err
		}
		_, err = s.read(ctx, s.db, a, query)
		if err := wantAnyErr(query, err); err != nil {
			return err
		}
	}
	return s.intact(ctx, a, b)
}

func checkTxFailAfterSwitch(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, query := range s.failures() {
		if err := s.intact(ctx, a); err != nil {
			return err
		}
		err := s.rolledBack(ctx, b, func(tx *sql.Tx) error {
			_, err := s.exec(ctx, tx, b, query)
			return wantAnyErr(query, err)
		})
		if err != nil {
			return err
		}
		if err := s.intact(ctx, b); err != nil {
			return err
		}
	}
	return s.intact(ctx, a, b)
}

func checkRollbackAfterSwitch(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, statements := range []int{0, 1, 2} {
		if err := s.intact(ctx, a); err != nil {
			return err
		}
		err := s.rolledBack(ctx, b, func(tx *sql.Tx) error {
			for range statements {
				if err := s.expect(ctx, tx, b, seeds, allNotes); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := s.intact(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

func checkAlternate(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	// More rounds than a strategy that errs now and then gets through.
	for range 60 {
		for _, g := range []guest{a, b} {
			if err := s.expect(ctx, s.db, g, seeds, allNotes); err != nil {
				return err
			}
		}
	}
	return s.intact(ctx, a, b)
}
