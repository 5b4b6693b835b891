package isolationtest

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
)

var controlClauses = []clause{
	{name: "statements that control the session or transaction are refused", opts: conns(1), check: checkControl},
	{name: "statements that control the session or transaction are refused inside one", opts: conns(1), check: checkControlInTx},
}

// controls are statements that would change a connection behind the pool's back.
func (s *suite) controls() []string {
	both := []string{
		"BEGIN", "begin;", " \n\tBeGiN", ";;; BEGIN", "COMMIT", "end", "ROLLBACK", "-- quiet\nROLLBACK", "/* quiet */ COMMIT",
		"SELECT 1; COMMIT", "SELECT ';'; ROLLBACK", "DELETE FROM tags; COMMIT",
	}
	if s.Dialect == SQLite {
		return append(both, "ATTACH DATABASE ':memory:' AS other", "SELECT 1; ATTACH ':memory:' AS other", "DETACH main",
			"PRAGMA journal_mode = DELETE", "PRAGMA foreign_keys = OFF", "pragma writable_schema(1)")
	}
	return append(both, "START TRANSACTION", "ABORT", "/* /* nested */ */ ROLLBACK", "SELECT $$;$$; ROLLBACK", `SELECT E'\';'; COMMIT`,
		"SET search_path = public", "set session authorization default", "SET LOCAL ROLE none", "SeT/**/ROLE none", "RESET ALL", "RESET ROLE",
		"DISCARD ALL", "discard plans", "LISTEN gossip", "UNLISTEN *", "PREPARE p AS SELECT 1", "DEALLOCATE ALL", "EXECUTE p",
		"DECLARE c CURSOR WITH HOLD FOR SELECT body FROM notes", "SELECT 1; SET work_mem = '1MB'", "COMMIT AND CHAIN", "PREPARE TRANSACTION 'x'")
}

func checkControl(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, query := range s.controls() {
		if err := s.refusesControl(ctx, s.db, a, query); err != nil {
			return err
		}
		if err := s.expect(ctx, s.db, b, seeds, allNotes); err != nil {
			return err
		}
	}
	err = s.prepares(a.in(ctx), s.controls()[0])
	if err := wantErr("preparing "+s.controls()[0], err, isolation.ErrControl); err != nil {
		return err
	}
	return s.intact(ctx, a, b)
}

func checkControlInTx(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, query := range s.controls() {
		err := s.rolledBack(ctx, a, func(tx *sql.Tx) error {
			if err := s.affect(ctx, tx, a, seeds, "DELETE FROM tags"); err != nil {
				return err
			}
			if err := s.refusesControl(ctx, tx, a, query); err != nil {
				return err
			}
			return s.expect(ctx, tx, a, seeds, allNotes)
		})
		if err != nil {
			return err
		}
		if err := s.expect(ctx, s.db, b, seeds, allTags); err != nil {
			return err
		}
	}
	return s.intact(ctx, a, b)
}

// refusesControl wants query to be refused both as a statement and as a query.
func (s *suite) refusesControl(ctx context.Context, db database, g guest, query string) error {
	_, err := db.ExecContext(g.in(ctx), query)
	if err := wantErr(fmt.Sprintf("executing %q", query), err, isolation.ErrControl); err != nil {
		return err
	}
	return wantErr(fmt.Sprintf("querying %q", query), drained(db.QueryContext(g.in(ctx), query)), isolation.ErrControl)
}
