package isolationtest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
)

// The clauses about residue use one connection, so that a strategy which lets
// connections pass between tenants passes this one.
var residueClauses = []clause{
	{name: "temporary tables do not reach the next tenant", needs: onPostgres, opts: conns(1), check: checkTempTable},
	{name: "a temporary table does not stand in for the next tenant's table", needs: onPostgres, opts: conns(1), check: checkShadow},
	{name: "session settings do not reach the next tenant", needs: onPostgres, opts: conns(1), check: checkSettings},
	{name: "advisory locks do not outlive the tenant's turn", needs: onPostgres, opts: conns(1), check: checkAdvisoryLocks},
	{name: "sequence values do not reach the next tenant", needs: onPostgres, opts: conns(1), check: checkSequences},
	{name: "what was done to the raw connection does not reach the next tenant", needs: onPostgres, opts: conns(1), check: checkRaw},
	{name: "row IDs and counts of changes do not reach the next tenant", needs: onSQLite, opts: conns(1), check: checkLastInsert},
}

func onSQLite(t Target) bool { return t.Dialect == SQLite }

func checkTempTable(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	// A strategy may refuse it, which is as good.
	_, _ = s.exec(ctx, s.db, a, "CREATE TEMPORARY TABLE scratch AS SELECT body FROM notes")
	if err := s.hidden(ctx, s.db, b, "SELECT body FROM scratch"); err != nil {
		return err
	}
	if err := s.hidden(ctx, s.db, b, "SELECT body FROM pg_temp.scratch"); err != nil {
		return err
	}
	return s.intact(ctx, b, a)
}

func checkShadow(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	_, _ = s.exec(ctx, s.db, a, "CREATE TEMPORARY TABLE notes (id bigint, title text, body text, version int DEFAULT 0)")
	_, _ = s.exec(ctx, s.db, a, "CREATE TEMPORARY VIEW tags AS SELECT 1 AS note_id, 'nothing' AS name")
	err = inOrder(
		func() error { return s.intact(ctx, b) },
		func() error { return s.addNote(ctx, s.db, b, seeds+1) },
		func() error { return s.intact(ctx, a) },
		func() error { return s.expect(ctx, s.db, b, seeds+1, allNotes) },
	)
	if err != nil {
		return fmt.Errorf("after a tenant made temporary tables: %w", err)
	}
	return nil
}

// settings are what one tenant may leave on a session to the harm of the next.
var settings = []struct{ name, value string }{
	{"work_mem", "4321kB"},
	{"application_name", "left behind"},
	{"isolationtest.secret", "left behind"},
	{"search_path", "pg_catalog"},
	{"role", "none"},
	{"row_security", "off"},
	{"default_transaction_read_only", "on"},
	{"statement_timeout", "4321ms"},
	{"client_min_messages", "error"},
}

func checkSettings(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, setting := range settings {
		for _, inTx := range []bool{false, true} {
			if err := s.leaveSetting(ctx, a, setting.name, setting.value, inTx); err != nil {
				return err
			}
			check := s.cleanSetting
			if inTx { // the statement that comes next may be one that writes
				check = s.writesOn
			}
			if err := check(ctx, b, setting.name, setting.value); err != nil {
				return err
			}
			if err := s.intact(ctx, a); err != nil {
				return fmt.Errorf("after %s was left behind: %w", setting.name, err)
			}
		}
	}
	return nil
}

// leaveSetting changes a setting as g, which a strategy may refuse.
func (s *suite) leaveSetting(ctx context.Context, g guest, name, value string, inTx bool) error {
	query := "SELECT set_config(?, ?, false)"
	if !inTx {
		_, _ = s.exec(ctx, s.db, g, query, name, value)
		return nil
	}
	tx, err := s.db.BeginTx(g.in(ctx), nil)
	if err != nil {
		return err
	}
	if _, err := s.exec(ctx, tx, g, query, name, value); err != nil {
		return tx.Rollback()
	}
	return tx.Commit()
}

// cleanSetting wants g not to find the setting that another tenant left, nor to
// suffer from it.
func (s *suite) cleanSetting(ctx context.Context, g guest, name, value string) error {
	var got sql.NullString
	err := s.db.QueryRowContext(g.in(ctx), "SELECT current_setting($1, true)", name).Scan(&got)
	if err != nil {
		return fmt.Errorf("reading the setting %s: %w", name, err)
	}
	// The role that a strategy confines to may well be none.
	if got.String == value && name != "role" {
		return fmt.Errorf("%w: tenant %s found %s set to %q by another", ErrLeak, g.ID, name, value)
	}
	if err := s.intact(ctx, g); err != nil {
		return fmt.Errorf("after another tenant set %s to %q: %w", name, value, err)
	}
	return s.writesOn(ctx, g, name, value)
}

// writesOn wants g to write as if no other tenant had left a setting.
func (s *suite) writesOn(ctx context.Context, g guest, name, value string) error {
	if err := s.affect(ctx, s.db, g, 1, "UPDATE notes SET version = 0 WHERE id = 1"); err != nil {
		return fmt.Errorf("after another tenant set %s to %q: %w", name, value, err)
	}
	return nil
}

func checkAdvisoryLocks(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	_, _ = s.exec(ctx, s.db, a, "SELECT pg_try_advisory_lock(431)")
	_, _ = s.exec(ctx, s.db, a, "SELECT pg_try_advisory_lock_shared(432)")
	if err := s.intact(ctx, b); err != nil {
		return err
	}
	locks := "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid IN (431, 432)" +
		" AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
	if err := s.counts(ctx, b, 0, locks); err != nil {
		return fmt.Errorf("another tenant's advisory locks: %w", err)
	}
	return s.intact(ctx, a)
}

func checkSequences(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	if err := s.addNote(ctx, s.db, a, seeds+1); err != nil { // draws a number
		return err
	}
	for _, query := range []string{"SELECT lastval()", "SELECT currval(pg_get_serial_sequence('notes', 'number'))"} {
		if err := s.hidden(ctx, s.db, b, query); err != nil {
			return err
		}
	}
	if err := s.intact(ctx, b); err != nil {
		return err
	}
	return s.expect(ctx, s.db, a, seeds+1, allNotes)
}

// checkRaw does to the driver's own connection what the pool would refuse.
func checkRaw(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	err = s.withConn(ctx, func(conn *sql.Conn) error {
		return isolation.Raw(a.in(ctx), conn, func(raw driver.Conn) error {
			execer, ok := raw.(driver.ExecerContext)
			if !ok {
				return fmt.Errorf("%T is no driver.ExecerContext", raw)
			}
			_, err := execer.ExecContext(a.in(ctx), "PREPARE held AS SELECT body FROM notes; LISTEN gossip; SET work_mem = '4321kB';"+
				" BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT body FROM notes; COMMIT", nil)
			return err
		})
	})
	if err != nil {
		return err
	}
	err = inOrder(
		func() error { return s.hidden(ctx, s.db, b, "FETCH ALL FROM held") },
		func() error { return s.counts(ctx, b, 0, "SELECT count(*) FROM pg_cursors") },
		func() error { return s.counts(ctx, b, 0, "SELECT count(*) FROM pg_listening_channels()") },
		func() error {
			return s.counts(ctx, b, 0, "SELECT count(*) FROM pg_prepared_statements WHERE name = 'held'")
		},
		func() error { return s.cleanSetting(ctx, b, "work_mem", "4321kB") },
	)
	if err != nil {
		return err
	}
	return s.intact(ctx, a, b)
}

func checkLastInsert(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	result, err := s.db.ExecContext(a.in(ctx), "INSERT INTO notes (title, body) VALUES (?, ?)", "new", a.mark("new"))
	if err != nil {
		return err
	}
	if id, err := result.LastInsertId(); err != nil || id != seeds+1 {
		return errors.Join(fmt.Errorf("LastInsertId is %d, want %d", id, seeds+1), err)
	}
	for _, query := range []string{"SELECT last_insert_rowid()", "SELECT changes()", "SELECT total_changes()"} {
		n, err := s.number(ctx, s.db, b, query)
		if err != nil {
			return err
		}
		if n > seeds { // of B's own seeds, or of nothing
			return fmt.Errorf("%w: %s: tenant %s got %d", ErrLeak, query, b.ID, n)
		}
	}
	if err := s.intact(ctx, b); err != nil {
		return err
	}
	return s.expect(ctx, s.db, a, seeds+1, allNotes)
}
