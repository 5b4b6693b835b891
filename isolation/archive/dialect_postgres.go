package archive

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"
)

type pgDialect struct{}

func (pgDialect) name() string { return "postgres" }

func (pgDialect) snapshot() sql.TxOptions {
	return sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

// settings decide how PostgreSQL spells values.
const settings = `SELECT pg_catalog.current_setting('TimeZone') IN ('UTC', 'Etc/UTC') AND pg_catalog.current_setting('DateStyle') LIKE 'ISO%'
	AND pg_catalog.current_setting('IntervalStyle') = 'postgres' AND pg_catalog.current_setting('extra_float_digits')::pg_catalog.int4 > 0,
	pg_catalog.has_function_privilege('pg_catalog.set_config(text, text, boolean)', 'EXECUTE')`

const setSettings = `SELECT pg_catalog.set_config('TimeZone', 'UTC', true), pg_catalog.set_config('DateStyle', 'ISO, MDY', true),
	pg_catalog.set_config('IntervalStyle', 'postgres', true), pg_catalog.set_config('extra_float_digits', '1', true)`

func (pgDialect) prepare(ctx context.Context, tx *sql.Tx) error {
	var fine, may bool
	if err := tx.QueryRowContext(ctx, settings).Scan(&fine, &may); err != nil || fine {
		return err
	}
	if !may {
		return fmt.Errorf("%w: TimeZone, DateStyle or IntervalStyle are not the default, and the runtime role may not call set_config; "+
			"ALTER ROLE … SET TimeZone = 'UTC' and the like", ErrUnsupported)
	}
	_, err := tx.ExecContext(ctx, setSettings)
	return err
}

func (pgDialect) deferred() string { return "SET CONSTRAINTS ALL DEFERRED" }

func (pgDialect) expression(c column) string {
	if c.kind == Bytes {
		return quote(c.name)
	}
	return quote(c.name) + "::pg_catalog.text"
}

func (pgDialect) kinds(cols []column, t *table) []column {
	own := make([]column, len(cols))
	for i, c := range cols {
		own[i] = c
		if o := t.column(c.name); o != nil {
			own[i] = *o
		}
	}
	return own
}

func (pgDialect) read(rows *sql.Rows, cols []column, emit func([]byte) error) error {
	raw := make([]sql.RawBytes, len(cols))
	dest := make([]any, len(cols))
	for i := range raw {
		dest[i] = &raw[i]
	}
	var row []byte
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		row = row[:0]
		for i, c := range cols {
			v, err := fromPostgres(c.kind, raw[i])
			if err != nil {
				return fmt.Errorf("column %s: %w", c.name, err)
			}
			row = appendValue(row, v)
		}
		if err := emit(row); err != nil {
			return err
		}
	}
	return nil
}

// castOf returns how parameter n, an array of t's, is unnested as the column's type.
// Arrays of arrays would be flattened, so those travel as text.
func castOf(c column) (param, result string) {
	if c.kind == Array || c.typ == "" {
		return "pg_catalog.text[]", "::" + c.typ
	}
	return c.typ + "[]", ""
}

// unnest returns a FROM item u with columns c0, c1, … of the types of cols, from
// parameters first, first+1, …
func unnest(cols []column, first int) string {
	params, names := make([]string, len(cols)), make([]string, len(cols))
	for i, c := range cols {
		param, _ := castOf(c)
		params[i] = fmt.Sprintf("pg_catalog.unnest($%d::%s)", first+i, param)
		names[i] = fmt.Sprintf("c%d", i)
	}
	return "ROWS FROM (" + strings.Join(params, ", ") + ") AS u (" + strings.Join(names, ", ") + ")"
}

func (pgDialect) matching(t *table, keys [][]value) (string, []any, error) {
	cols := make([]column, len(t.key))
	arrays := make([]arrayText, len(t.key))
	conditions := make([]string, len(t.key))
	for i, name := range t.key {
		cols[i] = *t.column(name)
		_, cast := castOf(cols[i])
		conditions[i] = fmt.Sprintf("u.c%d%s = %s.%s", i, cast, t.ref, quote(name))
	}
	for _, key := range keys {
		for i, v := range key {
			arrays[i].add(cols[i].kind, v)
		}
	}
	args := make([]any, len(arrays))
	for i := range arrays {
		args[i] = arrays[i].text()
	}
	return "EXISTS (SELECT FROM " + unnest(cols, 1) + " WHERE " + strings.Join(conditions, " AND ") + ")", args, nil
}

func (pgDialect) loader(tx *sql.Tx, t *table, cols []column, has []int, mode loadMode, owner string) loader {
	l := &pgLoader{tx: tx, table: t, has: has, from: cols}
	for _, i := range has {
		l.to = append(l.to, *t.column(cols[i].name))
	}
	l.arrays = make([]arrayText, len(has))
	l.expected = make([]value, len(cols))
	l.query = pgStatement(t, l.to, mode, owner)
	return l
}

// pgStatement returns the statement that writes a batch of rows.
func pgStatement(t *table, cols []column, mode loadMode, owner string) string {
	names, values := make([]string, len(cols)), make([]string, len(cols))
	for i, c := range cols {
		_, cast := castOf(c)
		names[i], values[i] = quote(c.name), fmt.Sprintf("u.c%d%s", i, cast)
	}
	if mode == linkRows {
		return pgLinks(t, cols, names, values)
	}
	if t.owner != "" && !t.filled {
		names, values = append(names, t.owner), append(values, literal(owner))
	}
	query := "INSERT INTO " + t.ref + " (" + strings.Join(names, ", ") + ") OVERRIDING SYSTEM VALUE SELECT " +
		strings.Join(values, ", ") + " FROM " + unnest(cols, 1)
	if mode == upsertRows {
		query += onConflict(t, cols)
	}
	return query
}

// onConflict lets an INSERT replace the rows that are there.
func onConflict(t *table, cols []column) string {
	var set []string
	for _, c := range cols {
		if !contains(t.key, c.name) {
			set = append(set, quote(c.name)+" = excluded."+quote(c.name))
		}
	}
	if len(set) == 0 {
		return " ON CONFLICT (" + t.conflict() + ") DO NOTHING"
	}
	return " ON CONFLICT (" + t.conflict() + ") DO UPDATE SET " + strings.Join(set, ", ")
}

func pgLinks(t *table, cols []column, names, values []string) string {
	var set, where []string
	for i, c := range cols {
		if contains(t.key, c.name) {
			where = append(where, t.ref+"."+names[i]+" = "+values[i])
		} else {
			set = append(set, names[i]+" = "+values[i])
		}
	}
	return "UPDATE " + t.ref + " SET " + strings.Join(set, ", ") + " FROM " + unnest(cols, 1) + " WHERE " + strings.Join(where, " AND ")
}

const (
	batchRows  = 1000
	batchBytes = 1 << 20
)

// pgLoader writes rows of which each column is one array: COPY is refused under
// row security, and this is as fast.
type pgLoader struct {
	tx       *sql.Tx
	table    *table
	from, to []column
	has      []int
	query    string
	arrays   []arrayText
	rows     int
	expected []value
}

func (l *pgLoader) add(ctx context.Context, row []value) ([]value, error) {
	size := 0
	for i, c := range l.to {
		from := l.from[l.has[i]]
		v, err := toPostgres(from.kind, c.kind, row[l.has[i]])
		if err != nil {
			return nil, fmt.Errorf("%w: table %s, column %s: %w", ErrUnsupported, l.table.name, c.name, err)
		}
		l.expected[l.has[i]] = v
		l.arrays[i].add(c.kind, v)
		size += len(l.arrays[i].buf)
	}
	if l.rows++; l.rows >= batchRows || size >= batchBytes {
		return l.expected, l.flush(ctx)
	}
	return l.expected, nil
}

func (l *pgLoader) flush(ctx context.Context) error {
	if l.rows == 0 {
		return nil
	}
	args := make([]any, len(l.arrays))
	for i := range l.arrays {
		args[i] = l.arrays[i].text()
		l.arrays[i].reset()
	}
	l.rows = 0
	if _, err := l.tx.ExecContext(ctx, l.query, args...); err != nil {
		return fmt.Errorf("archive: write table %s: %w", l.table.name, err)
	}
	return nil
}

// arrayText builds an array as PostgreSQL reads it.
type arrayText struct{ buf []byte }

// add adds an element.
func (a *arrayText) add(k Kind, v value) {
	if len(a.buf) == 0 {
		a.buf = append(a.buf, '{')
	} else {
		a.buf = append(a.buf, ',')
	}
	switch {
	case v.tag == tagNull:
		a.buf = append(a.buf, "NULL"...)
	case k == Bytes:
		a.buf = append(a.buf, `"\\x`...)
		a.buf = hex.AppendEncode(a.buf, v.data)
		a.buf = append(a.buf, '"')
	case isNumber(v.data):
		a.buf = append(a.buf, v.data...)
	default:
		a.addQuoted(v.data)
	}
}

// isNumber reports whether data stands for itself in an array.
func isNumber(data []byte) bool {
	for _, b := range data {
		if (b < '0' || b > '9') && b != '-' && b != '.' {
			return false
		}
	}
	return len(data) > 0
}

func (a *arrayText) addQuoted(data []byte) {
	a.buf = append(a.buf, '"')
	for _, b := range data {
		if b == '"' || b == '\\' {
			a.buf = append(a.buf, '\\')
		}
		a.buf = append(a.buf, b)
	}
	a.buf = append(a.buf, '"')
}

func (a *arrayText) text() string {
	if len(a.buf) == 0 {
		return "{}"
	}
	return string(append(a.buf, '}'))
}

func (a *arrayText) reset() { a.buf = a.buf[:0] }

// textArray returns texts as a parameter of type text[].
func textArray(texts []string) string {
	var a arrayText
	for _, t := range texts {
		a.add(Text, value{tagValue, []byte(t)})
	}
	return a.text()
}
