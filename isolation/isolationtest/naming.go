package isolationtest

import (
	"context"
	"fmt"
	"strings"
)

var namingClauses = []clause{
	{name: "another tenant's tables cannot be named", needs: hasQualified, check: checkQualified},
	{name: "another tenant's ID in WHERE finds nothing", needs: isShared, check: checkFilter},
	{name: "a row cannot be inserted for another tenant", needs: isShared, check: checkForeignInsert},
	{name: "a row cannot be moved to another tenant", needs: isShared, check: checkForeignUpdate},
	{name: "shared tables cannot be emptied or altered", needs: isShared, check: checkOwnership},
	{name: "tenants may use the same keys", check: checkSameKeys},
	{name: "errors say the same whether or not another tenant has the key", check: checkOracle},
}

func hasQualified(t Target) bool {
	return t.Qualified != nil && t.Qualified(newGuest().Tenant, "notes") != ""
}

func isShared(t Target) bool { return t.Shared }

func checkQualified(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	notes, tags := s.Qualified(b.Tenant, "notes"), s.Qualified(b.Tenant, "tags")
	queries := []string{
		"SELECT body FROM " + notes,
		"SELECT count(*) FROM " + notes + " HAVING count(*) > 0",
		"SELECT t.name FROM notes n JOIN " + tags + " t ON t.note_id = n.id",
		"SELECT body FROM notes UNION ALL SELECT body FROM " + notes + " OFFSET 5",
		"UPDATE " + notes + " SET version = 1 RETURNING body",
		"DELETE FROM " + tags + " RETURNING name",
	}
	for _, query := range queries {
		if err := s.hidden(ctx, s.db, a, query); err != nil {
			return err
		}
	}
	_, _ = s.exec(ctx, s.db, a, "INSERT INTO "+notes+" (id, title, body) VALUES (?, ?, ?)", 100, "stray", a.mark("stray"))
	_, _ = s.exec(ctx, s.db, a, "DROP TABLE "+tags)
	_, _ = s.exec(ctx, s.db, a, "TRUNCATE "+notes+" CASCADE") // each is refused, or B would not be intact
	return s.intact(ctx, b, a)
}

func checkFilter(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	err = inOrder(
		func() error {
			return s.hidden(ctx, s.db, a, "SELECT body FROM notes WHERE tenant_id = ?", string(b.ID))
		},
		func() error {
			return s.hidden(ctx, s.db, a, "SELECT body FROM notes WHERE tenant_id <> ?", string(a.ID))
		},
		func() error {
			return s.expect(ctx, s.db, a, seeds, "SELECT body FROM notes WHERE tenant_id = ?", string(a.ID))
		},
		func() error {
			return s.affect(ctx, s.db, a, 0, "UPDATE notes SET version = 1 WHERE tenant_id = ?", string(b.ID))
		},
		func() error { return s.affect(ctx, s.db, a, 0, "DELETE FROM tags WHERE tenant_id = ?", string(b.ID)) },
	)
	if err != nil {
		return err
	}
	return s.intact(ctx, a, b)
}

func checkForeignInsert(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	insert := "INSERT INTO notes (tenant_id, id, title, body) VALUES (?, ?, ?, ?)"
	_, err = s.exec(ctx, s.db, a, insert, string(b.ID), 100, title(100), a.note(100))
	if err := wantAnyErr("inserting a row for another tenant", err); err != nil {
		return err
	}
	_, err = s.exec(ctx, s.db, a, insert+" ON CONFLICT DO NOTHING", string(b.ID), 1, title(1), a.note(1))
	if err := wantAnyErr("inserting a row with another tenant's key", err); err != nil {
		return err
	}
	_, err = s.exec(ctx, s.db, a, insert+" ON CONFLICT (tenant_id, id) DO UPDATE SET body = excluded.body",
		string(b.ID), 1, title(1), a.note(1))
	if err := wantAnyErr("writing over another tenant's row", err); err != nil {
		return err
	}
	if err := s.intact(ctx, a, b); err != nil {
		return err
	}
	if err := s.affect(ctx, s.db, a, 1, insert, string(a.ID), 100, title(100), a.note(100)); err != nil {
		return fmt.Errorf("naming the tenant itself: %w", err)
	}
	return s.expect(ctx, s.db, a, seeds+1, allNotes)
}

// checkForeignUpdate leaves the tenant one note whose key is free and that no tag
// refers to, so that nothing but the isolation refuses to move it. Without WHERE
// and RETURNING, an UPDATE needs no right to read.
func checkForeignUpdate(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	err = inOrder(
		func() error { return s.affect(ctx, s.db, a, seeds, "DELETE FROM tags") },
		func() error { return s.affect(ctx, s.db, a, seeds, "DELETE FROM notes") },
		func() error { return s.addNote(ctx, s.db, a, seeds+1) },
	)
	if err != nil {
		return err
	}
	for _, query := range []string{
		"UPDATE notes SET tenant_id = ?",
		"UPDATE notes SET tenant_id = ? WHERE id = 6",
		"UPDATE notes SET tenant_id = ? RETURNING body",
	} {
		_, err := s.exec(ctx, s.db, a, query, string(b.ID))
		if err := wantAnyErr(query, err); err != nil {
			return err
		}
	}
	if err := s.expect(ctx, s.db, a, 1, allNotes); err != nil {
		return err
	}
	return s.intact(ctx, b)
}

// checkOwnership tries what needs more than the right to read and write rows.
func checkOwnership(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, query := range []string{
		"TRUNCATE tags", "TRUNCATE notes CASCADE", "DROP TABLE tags", "DROP VIEW labels",
		"ALTER TABLE notes DISABLE ROW LEVEL SECURITY", "ALTER TABLE notes NO FORCE ROW LEVEL SECURITY",
		"CREATE POLICY all_rows ON notes USING (true)", "ALTER TABLE notes OWNER TO CURRENT_USER",
		"CREATE VIEW everyones AS SELECT body FROM notes",
		"CREATE TRIGGER spy AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
	} {
		_, err := s.exec(ctx, s.db, a, query)
		if err := wantAnyErr(query, err); err != nil {
			return err
		}
	}
	return s.intact(ctx, a, b)
}

func checkSameKeys(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, g := range []guest{a, b} {
		if err := s.addNote(ctx, s.db, g, seeds+1); err != nil {
			return fmt.Errorf("a key that another tenant has: %w", err)
		}
		err := s.addNote(ctx, s.db, g, seeds+1)
		if err := wantAnyErr("a key that the tenant itself has", err); err != nil {
			return err
		}
	}
	for _, g := range []guest{a, b} {
		if err := s.expect(ctx, s.db, g, seeds+1, allNotes); err != nil {
			return err
		}
	}
	return nil
}

// checkOracle refers to a note that only the other tenant has, and to one that
// nobody has: the two must be told apart by nothing.
func checkOracle(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	if err := s.affect(ctx, s.db, b, 1, "INSERT INTO notes (id, title, body) VALUES (?, ?, ?)", 1001, "secret", b.mark("secret")); err != nil {
		return err
	}
	insert := "INSERT INTO tags (note_id, name) VALUES (?, ?)"
	_, others := s.exec(ctx, s.db, a, insert, 1001, a.mark("x"))
	_, nobodys := s.exec(ctx, s.db, a, insert, 1002, a.mark("x"))
	if err := wantAnyErr("a reference to a row that another tenant has", others); err != nil {
		return err
	}
	if err := wantAnyErr("a reference to a row that nobody has", nobodys); err != nil {
		return err
	}
	text, want := others.Error(), nobodys.Error()
	if strings.ReplaceAll(text, "1001", "1002") != want {
		return fmt.Errorf("%w: the errors differ: %q and %q", ErrLeak, text, want)
	}
	if strings.Contains(text, string(b.ID)) {
		return fmt.Errorf("%w: the error names another tenant: %q", ErrLeak, text)
	}
	if err := s.intact(ctx, a); err != nil {
		return err
	}
	return s.expect(ctx, s.db, b, seeds+1, allNotes)
}
