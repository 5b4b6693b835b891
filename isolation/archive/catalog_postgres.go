package archive

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tenancy-go/tenancy/isolation"
)

// pgTables finds the tables of schemas $1. Partitions go with the table above them;
// what extensions made belongs to them. Where rows are shared, $2 is the column that
// a tenant's table has.
const pgTables = `
SELECT c.oid::pg_catalog.int8, n.nspname::pg_catalog.text, c.relname::pg_catalog.text,
  CASE WHEN c.relkind = 'f' THEN 'is a foreign table'
    WHEN EXISTS (SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
      WHERE i.inhrelid = c.oid AND p.relkind = 'r') THEN 'inherits from another'
    WHEN c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid) THEN 'has tables that inherit from it'
    ELSE '' END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY ($1::pg_catalog.text[]) AND c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition
  AND ($2 = '' OR EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = $2 AND NOT a.attisdropped))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 2, 3`

// pgColumns finds the columns of tables $1 that have values of their own.
const pgColumns = `
SELECT a.attrelid::pg_catalog.int8, a.attname::pg_catalog.text,
  pg_catalog.format('%I.%I', tn.nspname, t.typname), COALESCE(b.typname, t.typname)::pg_catalog.text,
  COALESCE(b.typcategory, t.typcategory)::pg_catalog.text, NOT a.attnotnull, a.atthasdef
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace
  LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY 1, 2`

// pgKeys finds the unique keys of tables $1 that no row can lack, the primary one first.
const pgKeys = `
SELECT i.indrelid::pg_catalog.int8, pg_catalog.to_json(ARRAY(SELECT a.attname::pg_catalog.text
  FROM pg_catalog.unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k (num, pos)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num ORDER BY k.pos))::pg_catalog.text
FROM pg_catalog.pg_index i
WHERE i.indrelid = ANY ($1::pg_catalog.oid[]) AND i.indisunique AND i.indimmediate AND i.indisvalid
  AND i.indpred IS NULL AND i.indexprs IS NULL
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
    AND (NOT a.attnotnull OR a.attgenerated <> ''))
ORDER BY 1, NOT i.indisprimary, i.indexrelid`

// pgReferences finds the foreign keys of tables $1.
const pgReferences = `
SELECT f.conrelid::pg_catalog.int8, f.confrelid::pg_catalog.int8, f.condeferrable,
  pg_catalog.to_json(ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.unnest(f.conkey) WITH ORDINALITY AS k (num, pos)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.num ORDER BY k.pos))::pg_catalog.text
FROM pg_catalog.pg_constraint f
WHERE f.contype = 'f' AND f.conparentid = 0 AND f.conrelid = ANY ($1::pg_catalog.oid[]) ORDER BY f.conname, f.oid`

// pgSequences finds the sequences of schemas $1, with the column whose they are.
const pgSequences = `
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), n.nspname::pg_catalog.text, c.relname::pg_catalog.text,
  s.seqstart, LEAST(s.seqmax, CASE COALESCE(NULLIF(t.typbasetype, 0), t.oid)
    WHEN 'pg_catalog.int2'::pg_catalog.regtype THEN 32767 WHEN 'pg_catalog.int4'::pg_catalog.regtype THEN 2147483647 END),
  s.seqincrement, COALESCE(d.refobjid::pg_catalog.int8, 0), COALESCE(a.attname::pg_catalog.text, '')
FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE n.nspname = ANY ($1::pg_catalog.text[]) ORDER BY 1`

// describePostgres reads a home's catalog. column is the tenant's where a home of a
// tenant's own has it too.
func describePostgres(ctx context.Context, conn *sql.Conn, h isolation.Home, column string) (*home, error) {
	shared := ""
	if h.Shared {
		shared, column = h.Column, h.Column
	}
	d := pgDescriber{conn: conn, home: h, column: column, byOID: map[int64]*table{}}
	steps := []func(context.Context) error{
		func(ctx context.Context) error { return d.readTables(ctx, shared) },
		d.readColumns, d.readKeys, d.readReferences, d.readSequences,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return &home{tables: d.tables, sequences: d.sequences}, nil
}

type pgDescriber struct {
	conn      *sql.Conn
	home      isolation.Home
	column    string
	tables    []*table
	byOID     map[int64]*table
	sequences []*sequence
}

// portable names an object as archives do.
func (d *pgDescriber) portable(schema, name string) string {
	if len(d.home.Schemas) > 0 && schema == d.home.Schemas[0] {
		return name
	}
	return schema + "." + name
}

func (d *pgDescriber) readTables(ctx context.Context, column string) error {
	return each(ctx, d.conn, pgTables, []any{textArray(d.home.Schemas), column}, func(scan func(...any) error) error {
		var oid int64
		var schema, name, obstacle string
		if err := scan(&oid, &schema, &name, &obstacle); err != nil {
			return err
		}
		full := schema + "." + name
		if full == d.home.Versions || name == d.home.Versions || strings.HasPrefix(name, ours) {
			return nil
		}
		t := &table{
			name: d.portable(schema, name), bare: name, full: full,
			ref: quote(schema) + "." + quote(name), obstacle: obstacle,
		}
		d.tables = append(d.tables, t)
		d.byOID[oid] = t
		return nil
	})
}

// oids are the tables, as a parameter.
func (d *pgDescriber) oids() string {
	var b strings.Builder
	b.WriteByte('{')
	for oid := range d.byOID {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, oid)
	}
	b.WriteByte('}')
	return b.String()
}

func (d *pgDescriber) readColumns(ctx context.Context) error {
	return each(ctx, d.conn, pgColumns, []any{d.oids()}, func(scan func(...any) error) error {
		var oid int64
		var name, typ, base, category string
		var null, filled bool
		if err := scan(&oid, &name, &typ, &base, &category, &null, &filled); err != nil {
			return err
		}
		t := d.byOID[oid]
		if name == d.column {
			t.owner, t.filled = quote(name), d.home.Shared
			return nil
		}
		t.columns = append(t.columns, column{name: name, kind: postgresKind(base, category), typ: typ, null: null})
		return nil
	})
}

func (d *pgDescriber) readKeys(ctx context.Context) error {
	return each(ctx, d.conn, pgKeys, []any{d.oids()}, func(scan func(...any) error) error {
		var oid int64
		var names stringList
		if err := scan(&oid, &names); err != nil {
			return err
		}
		t := d.byOID[oid]
		if t.key == nil {
			t.unique = slices.Clone(names)
			t.key = d.own(names)
		}
		return nil
	})
}

// own returns names without the tenant's column.
func (d *pgDescriber) own(names []string) []string {
	return slices.DeleteFunc(names, func(n string) bool { return n == d.column })
}

func (d *pgDescriber) readReferences(ctx context.Context) error {
	return each(ctx, d.conn, pgReferences, []any{d.oids()}, func(scan func(...any) error) error {
		var from, to int64
		var r reference
		var names stringList
		if err := scan(&from, &to, &r.deferrable, &names); err != nil {
			return err
		}
		t, other := d.byOID[from], d.byOID[to]
		if other == nil {
			return nil
		}
		r.to, r.columns = other.ref, d.own(names)
		r.null = t.allNull(r.columns)
		t.references = append(t.references, r)
		return nil
	})
}

// allNull reports whether names are columns that may be null: with one of them null,
// a reference is not checked.
func (t *table) allNull(names []string) bool {
	for _, n := range names {
		if c := t.column(n); c == nil || !c.null {
			return false
		}
	}
	return len(names) > 0
}

func (d *pgDescriber) readSequences(ctx context.Context) error {
	err := each(ctx, d.conn, pgSequences, []any{textArray(d.home.Schemas)}, func(scan func(...any) error) error {
		var schema, name, column string
		var step, oid int64
		s := &sequence{shared: d.home.Shared}
		if err := scan(&s.ref, &schema, &name, &s.first, &s.limit, &step, &oid, &column); err != nil {
			return err
		}
		if oid == 0 {
			if !d.home.Shared && !strings.HasPrefix(name, ours) { // among shared tables it is no tenant's
				s.name = d.portable(schema, name)
				d.sequences = append(d.sequences, s)
			}
			return nil
		}
		if s.table = d.byOID[oid]; s.table == nil || step < 0 {
			return nil
		}
		s.column, s.name = column, s.table.name+"."+column
		s.max = "SELECT pg_catalog.max(" + quote(column) + ") FROM " + s.table.ref
		d.sequences = append(d.sequences, s)
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range d.sequences {
		s.state = "SELECT last_value, is_called FROM " + s.ref
		if err := d.conn.QueryRowContext(ctx, s.state).Scan(&s.last, &s.used); err != nil {
			return err
		}
	}
	return nil
}

// each calls read for every row of a query.
func each(ctx context.Context, q queryer, query string, args []any, read func(scan func(...any) error) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close() // rows.Err tells
	for rows.Next() {
		if err := read(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// queryer is a *sql.DB, *sql.Conn or *sql.Tx.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// stringList scans a JSON array of strings.
type stringList []string

func (l *stringList) Scan(src any) error {
	switch text := src.(type) {
	case string:
		return json.Unmarshal([]byte(text), l)
	case []byte:
		return json.Unmarshal(text, l)
	default:
		return fmt.Errorf("list of names: want text, got %T", src)
	}
}
