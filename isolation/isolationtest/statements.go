package isolationtest

import (
	"context"
	"database/sql"
	"fmt"
)

var statementClauses = []clause{
	{name: "reads see the tenant's rows and no others", check: checkReads},
	{name: "writes reach the tenant's rows and no others", check: checkWrites},
	{name: "update and delete without WHERE stay inside the tenant", check: checkBulk},
	{name: "joins stay inside the tenant", check: checkJoins},
	{name: "sub-selects stay inside the tenant", check: checkSubSelects},
	{name: "common table expressions stay inside the tenant", check: checkCTEs},
	{name: "data-modifying common table expressions stay inside the tenant", needs: onPostgres, check: checkModifyingCTEs},
	{name: "views stay inside the tenant", check: checkViews},
	{name: "an upsert meets the tenant's own keys only", check: checkUpsert},
	{name: "RETURNING returns the tenant's rows and no others", check: checkReturning},
	{name: "INSERT from SELECT copies the tenant's rows and no others", check: checkInsertSelect},
	{name: "several statements in one text stay inside the tenant", needs: onPostgres, check: checkSeveral},
	{name: "COPY FROM is refused or stays inside the tenant", needs: func(t Target) bool { return t.CopyIn }, check: checkCopy},
}

func onPostgres(t Target) bool { return t.Dialect == Postgres }

// upsertNote writes a note, or changes the body of the one with its key.
func (s *suite) upsertNote() string {
	key := "id"
	if s.Shared {
		key = "tenant_id, id"
	}
	return "INSERT INTO notes (id, title, body) VALUES (?, ?, ?) ON CONFLICT (" + key + ") DO UPDATE SET body = excluded.body"
}

func checkReads(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, g := range []guest{a, b, a} {
		err := inOrder(
			func() error { return s.intact(ctx, g) },
			func() error { return s.expect(ctx, s.db, g, 1, oneNote, 3) },
			func() error { return s.expect(ctx, s.db, g, seeds, allNotes+" WHERE id = ? OR 1 = 1", 3) },
			func() error { return s.expect(ctx, s.db, g, 2, allNotes+" ORDER BY body DESC LIMIT 2") },
			func() error { return s.expect(ctx, s.db, g, 1, "SELECT min(body) FROM notes") },
			func() error { return s.expect(ctx, s.db, g, 1, "SELECT max(body) FROM notes") },
			func() error { return s.expect(ctx, s.db, g, 2*seeds, allNotes+" UNION ALL "+allTags) },
			func() error {
				return s.expect(ctx, s.db, g, seeds, "SELECT body FROM notes GROUP BY body HAVING count(*) = 1")
			},
			func() error { return s.counts(ctx, g, seeds, "SELECT count(*) FROM notes") },
		)
		if err != nil {
			return err
		}
	}
	return nil
}

// counts wants query to answer n as g.
func (s *suite) counts(ctx context.Context, g guest, n int64, query string, args ...any) error {
	got, err := s.number(ctx, s.db, g, query, args...)
	switch {
	case err != nil:
		return err
	case got > n:
		return fmt.Errorf("%w: %s: tenant %s got %d, want %d", ErrLeak, query, g.ID, got, n)
	case got < n:
		return fmt.Errorf("%s: tenant %s got %d, want %d", query, g.ID, got, n)
	}
	return nil
}

func checkWrites(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	err = inOrder(
		func() error { return s.addNote(ctx, s.db, a, seeds+1) },
		func() error { return s.intact(ctx, b) },
		func() error { return s.affect(ctx, s.db, b, 0, "DELETE FROM notes WHERE id = ?", seeds+1) },
		func() error {
			return s.affect(ctx, s.db, a, 1, "UPDATE notes SET body = ? WHERE id = ?", a.mark("new"), 1)
		},
		func() error { return s.intact(ctx, b) },
		func() error { return s.expect(ctx, s.db, a, 1, "SELECT body FROM notes WHERE body = ?", a.mark("new")) },
		func() error { return s.affect(ctx, s.db, a, 1, "DELETE FROM notes WHERE id = ?", seeds+1) },
		func() error { return s.affect(ctx, s.db, a, 1, "DELETE FROM tags WHERE note_id = ?", 2) },
		func() error { return s.affect(ctx, s.db, a, 1, "DELETE FROM notes WHERE id = ?", 2) },
		func() error { return s.expect(ctx, s.db, a, seeds-1, allNotes) },
		func() error { return s.expect(ctx, s.db, a, seeds-1, allLabels) },
	)
	if err != nil {
		return err
	}
	return s.intact(ctx, b)
}

func checkBulk(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	err = inOrder(
		func() error { return s.affect(ctx, s.db, a, seeds, "UPDATE notes SET version = version + 1") },
		func() error { return s.intact(ctx, b) },
		func() error { return s.expect(ctx, s.db, a, seeds, allNotes+" WHERE version = 1") },
		func() error { return s.affect(ctx, s.db, a, seeds, "DELETE FROM tags") },
		func() error { return s.affect(ctx, s.db, a, seeds, "DELETE FROM notes WHERE 1 = 1") },
		func() error { return s.intact(ctx, b) },
	)
	if err != nil {
		return err
	}
	return s.expect(ctx, s.db, a, 0, allNotes)
}

func checkJoins(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, g := range []guest{a, b} {
		// All tenants have the same keys, so a join by key alone meets every tenant.
		err := inOrder(
			func() error {
				return s.expect(ctx, s.db, g, seeds, "SELECT t.name FROM notes n JOIN tags t ON t.note_id = n.id")
			},
			func() error {
				return s.expect(ctx, s.db, g, seeds*seeds, "SELECT t.name FROM notes n CROSS JOIN tags t")
			},
			func() error {
				return s.expect(ctx, s.db, g, seeds, "SELECT n.body FROM notes n LEFT JOIN tags t ON t.note_id = n.id")
			},
			func() error {
				return s.expect(ctx, s.db, g, seeds, "SELECT n.body FROM notes n JOIN notes m ON n.title = m.title")
			},
		)
		if err != nil {
			return err
		}
	}
	return nil
}

func checkSubSelects(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, g := range []guest{a, b} {
		err := inOrder(
			func() error {
				return s.expect(ctx, s.db, g, seeds, "SELECT body FROM notes WHERE id IN (SELECT note_id FROM tags)")
			},
			func() error {
				return s.expect(ctx, s.db, g, seeds, "SELECT (SELECT min(name) FROM tags WHERE note_id = n.id) FROM notes n")
			},
			func() error { return s.expect(ctx, s.db, g, seeds, "SELECT x.body FROM (SELECT body FROM notes) x") },
			func() error {
				return s.expect(ctx, s.db, g, seeds, allNotes+" n WHERE EXISTS (SELECT 1 FROM tags WHERE note_id = n.id)")
			},
		)
		if err != nil {
			return err
		}
	}
	err = s.affect(ctx, s.db, a, seeds, "UPDATE notes SET version = 1 WHERE id IN (SELECT note_id FROM tags)")
	if err != nil {
		return err
	}
	return s.intact(ctx, b)
}

func checkCTEs(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, g := range []guest{a, b} {
		err := inOrder(
			func() error {
				return s.expect(ctx, s.db, g, seeds, "WITH x AS (SELECT body FROM notes) SELECT body FROM x")
			},
			func() error {
				return s.expect(ctx, s.db, g, seeds, "WITH RECURSIVE x(id, body) AS (SELECT id, body FROM notes WHERE id = 1"+
					" UNION ALL SELECT n.id, n.body FROM notes n JOIN x ON n.id = x.id + 1) SELECT body FROM x")
			},
		)
		if err != nil {
			return err
		}
	}
	return nil
}

func checkModifyingCTEs(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	err = inOrder(
		func() error {
			return s.expect(ctx, s.db, a, seeds, "WITH x AS (UPDATE notes SET version = 1 RETURNING body) SELECT body FROM x")
		},
		func() error {
			return s.expect(ctx, s.db, a, seeds, "WITH x AS (DELETE FROM tags RETURNING name) SELECT name FROM x")
		},
		func() error {
			return s.expect(ctx, s.db, a, seeds, "WITH x AS (DELETE FROM notes RETURNING body) SELECT body FROM x")
		},
		func() error { return s.intact(ctx, b) },
	)
	if err != nil {
		return err
	}
	return s.expect(ctx, s.db, a, 0, allNotes)
}

func checkViews(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, g := range []guest{a, b} {
		err := inOrder(
			func() error { return s.expect(ctx, s.db, g, seeds, allLabels) },
			func() error { return s.expect(ctx, s.db, g, seeds, "SELECT body FROM labels") },
			func() error {
				return s.expect(ctx, s.db, g, seeds, "SELECT l.name FROM labels l JOIN notes n ON n.id = l.id")
			},
		)
		if err != nil {
			return err
		}
	}
	if err := s.affect(ctx, s.db, a, 1, "DELETE FROM tags WHERE note_id = ?", 1); err != nil {
		return err
	}
	if err := s.expect(ctx, s.db, a, seeds-1, allLabels); err != nil {
		return err
	}
	return s.intact(ctx, b)
}

func checkUpsert(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	err = inOrder(
		func() error { return s.addNote(ctx, s.db, b, seeds+1) },
		func() error { return s.affect(ctx, s.db, a, 1, s.upsertNote(), 1, title(1), a.mark("changed")) },
		func() error {
			return s.affect(ctx, s.db, a, 1, s.upsertNote(), seeds+1, title(seeds+1), a.note(seeds+1))
		},
		func() error { return s.expect(ctx, s.db, a, 1, oneNote+" AND body = ?", 1, a.mark("changed")) },
		func() error { return s.expect(ctx, s.db, a, seeds+1, allNotes) },
		func() error {
			return s.affect(ctx, s.db, b, 1, "DELETE FROM notes WHERE id = ? AND body = ?", seeds+1, b.note(seeds+1))
		},
	)
	if err != nil {
		return err
	}
	return s.intact(ctx, b)
}

func checkReturning(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	insert := "INSERT INTO notes (id, title, body) VALUES (?, ?, ?) RETURNING body"
	err = inOrder(
		func() error { return s.expect(ctx, s.db, a, 1, insert, seeds+1, title(seeds+1), a.note(seeds+1)) },
		func() error { return s.expect(ctx, s.db, a, seeds+1, "UPDATE notes SET version = 1 RETURNING body") },
		func() error { return s.expect(ctx, s.db, a, seeds, "DELETE FROM tags RETURNING name") },
		func() error { return s.expect(ctx, s.db, a, seeds+1, "DELETE FROM notes RETURNING body") },
	)
	if err != nil {
		return err
	}
	return s.intact(ctx, b)
}

func checkInsertSelect(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	err = s.affect(ctx, s.db, a, seeds, "INSERT INTO notes (id, title, body) SELECT id + 100, 'copy ' || title, body FROM notes")
	if err != nil {
		return err
	}
	if err := s.expect(ctx, s.db, a, 2*seeds, allNotes); err != nil {
		return err
	}
	return s.intact(ctx, b)
}

func checkSeveral(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for _, g := range []guest{a, b, a} {
		rows, err := s.db.QueryContext(g.in(ctx), allNotes+"; "+allTags+"; UPDATE notes SET version = 0 RETURNING body")
		if err != nil {
			return err
		}
		n, err := s.scanAll(rows, g)
		if err != nil {
			return err
		}
		if n != 3*seeds {
			return fmt.Errorf("tenant %s read %d rows of its own by three statements, want %d", g.ID, n, 3*seeds)
		}
	}
	return s.intact(ctx, a, b)
}

// scanAll is scan for rows of several statements.
func (s *suite) scanAll(rows *sql.Rows, g guest) (int, error) {
	defer func() { _ = rows.Close() }() // Err tells
	total := 0
	for {
		n, err := s.scan(rows, g)
		total += n
		if err != nil || !rows.NextResultSet() {
			return total, err
		}
	}
}

func checkCopy(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	want := seeds
	if s.copyNote(ctx, a, 100) == nil {
		want++
	}
	if err := s.expect(ctx, s.db, a, want, allNotes); err != nil {
		return err
	}
	return s.intact(ctx, b)
}

// copyNote writes a note by COPY. An error means that it was refused.
func (s *suite) copyNote(ctx context.Context, g guest, id int) error {
	tx, err := s.db.BeginTx(g.in(ctx), nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // an error after Commit
	stmt, err := tx.PrepareContext(ctx, `COPY "notes" ("id", "title", "body") FROM STDIN`)
	if err != nil {
		return err
	}
	defer func() { _ = stmt.Close() }() // closed below already, unless it failed
	if _, err := stmt.ExecContext(ctx, id, title(id), g.note(id)); err != nil {
		return err
	}
	if _, err := stmt.ExecContext(ctx); err != nil { // the end of the rows
		return err
	}
	if err := stmt.Close(); err != nil {
		return err
	}
	return tx.Commit()
}
