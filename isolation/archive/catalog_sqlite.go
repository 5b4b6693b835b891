package archive

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/tenancy-go/tenancy/isolation"
)

// describeSQLite reads a file's catalog.
func describeSQLite(ctx context.Context, q queryer, h isolation.Home, owner string) (*home, error) {
	found := &home{}
	definitions := map[string]string{}
	err := each(ctx, q, `SELECT l.name, l.type, coalesce(s.sql, '') FROM pragma_table_list AS l LEFT JOIN sqlite_schema AS s ON s.name = l.name AND s.type = 'table'
		WHERE l.schema = 'main' AND l.type IN ('table', 'virtual') AND l.name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY l.name`, nil,
		func(scan func(...any) error) error {
			var name, kind, definition string
			if err := scan(&name, &kind, &definition); err != nil {
				return err
			}
			if name == h.Versions || strings.HasPrefix(name, ours) {
				return nil
			}
			t := &table{name: name, bare: name, full: "main." + name, ref: quote(name)}
			if kind == "virtual" {
				t.obstacle = "is virtual"
			}
			definitions[name] = strings.ToUpper(definition)
			found.tables = append(found.tables, t)
			return nil
		})
	if err != nil {
		return nil, err
	}
	for _, t := range found.tables {
		if err := describeSQLiteTable(ctx, q, t, owner, definitions[t.name]); err != nil {
			return nil, err
		}
		if err := found.addSQLiteSequence(ctx, q, t, definitions[t.name]); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func describeSQLiteTable(ctx context.Context, q queryer, t *table, owner, definition string) error {
	key := map[int]string{}
	err := each(ctx, q, `SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?)`, []any{t.name}, func(scan func(...any) error) error {
		var c column
		var required bool
		var position, hidden int
		if err := scan(&c.name, &c.typ, &required, &position, &hidden); err != nil {
			return err
		}
		switch {
		case hidden != 0: // generated
			return nil
		case c.name == owner:
			t.owner = quote(owner)
			if position > 0 {
				key[position] = owner
			}
			return nil
		}
		if position > 0 {
			key[position] = c.name
		}
		c.kind, c.null = sqliteKind(c.typ), !required && position == 0
		t.columns = append(t.columns, c)
		return nil
	})
	if err != nil {
		return err
	}
	for i := range len(key) {
		name := key[i+1]
		t.unique = append(t.unique, name)
		if name != owner {
			t.key = append(t.key, name)
		}
	}
	slices.SortFunc(t.columns, func(a, b column) int { return strings.Compare(a.name, b.name) })
	return t.addSQLiteReferences(ctx, q, owner, strings.Contains(definition, "INITIALLY DEFERRED"))
}

func (t *table) addSQLiteReferences(ctx context.Context, q queryer, owner string, deferred bool) error {
	byID := map[int]int{}
	err := each(ctx, q, `SELECT id, "table", "from" FROM pragma_foreign_key_list(?) ORDER BY id, seq`, []any{t.name}, func(scan func(...any) error) error {
		var id int
		var to, from string
		if err := scan(&id, &to, &from); err != nil {
			return err
		}
		i, ok := byID[id]
		if !ok {
			i = len(t.references)
			byID[id] = i
			t.references = append(t.references, reference{to: quote(to), deferrable: deferred})
		}
		if from != owner {
			t.references[i].columns = append(t.references[i].columns, from)
		}
		return nil
	})
	for i, r := range t.references {
		t.references[i].null = t.allNull(r.columns)
	}
	return err
}

// addSQLiteSequence adds what AUTOINCREMENT counts. Without that word, SQLite
// numbers on from the largest row that is there, and there is nothing to keep.
func (h *home) addSQLiteSequence(ctx context.Context, q queryer, t *table, definition string) error {
	if !strings.Contains(definition, "AUTOINCREMENT") || len(t.key) != 1 {
		return nil
	}
	s := &sequence{
		name: t.name + "." + t.key[0], table: t, column: t.key[0], ref: t.name, first: 1,
		max: "SELECT max(" + quote(t.key[0]) + ") FROM " + t.ref,
	}
	s.state = "SELECT seq, 1 FROM sqlite_sequence WHERE name = " + literal(t.name)
	h.sequences = append(h.sequences, s)
	return each(ctx, q, s.state, nil, func(scan func(...any) error) error { return scan(&s.last, &s.used) })
}

var _ queryer = (*sql.Tx)(nil)
