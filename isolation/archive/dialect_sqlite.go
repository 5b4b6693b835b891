package archive

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// sqliteDialect rounds times to microseconds if round is set.
type sqliteDialect struct{ round bool }

func (sqliteDialect) name() string { return "sqlite" }

// snapshot needs no isolation level: a transaction of SQLite sees one state.
func (sqliteDialect) snapshot() sql.TxOptions { return sql.TxOptions{ReadOnly: true} }

func (sqliteDialect) prepare(context.Context, *sql.Tx) error { return nil }

func (sqliteDialect) deferred() string { return "" }

// expression has a plus, which changes nothing but keeps the driver from turning
// what is stored into something else by the column's declared type.
func (sqliteDialect) expression(c column) string { return "+" + quote(c.name) }

func (sqliteDialect) kinds(cols []column, _ *table) []column { return cols }

func (d sqliteDialect) read(rows *sql.Rows, cols []column, emit func([]byte) error) error {
	raw := make([]any, len(cols))
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
			v, err := fromSQLite(c.kind, raw[i])
			if err != nil {
				return fmt.Errorf("column %s: %w", c.name, err)
			}
			if d.round {
				v = rounded(c.kind, v)
			}
			row = appendValue(row, v)
		}
		if err := emit(row); err != nil {
			return err
		}
	}
	return nil
}

// matching compares with IS, by which a column that SQLite lets be null in a key is
// found as well.
func (sqliteDialect) matching(t *table, keys [][]value) (string, []any, error) {
	var b strings.Builder
	var args []any
	for i, key := range keys {
		if i > 0 {
			b.WriteString(" OR ")
		}
		for j, v := range key {
			if j > 0 {
				b.WriteString(" AND ")
			}
			arg, err := toSQLite(t.column(t.key[j]).kind, v)
			if err != nil {
				return "", nil, err
			}
			b.WriteString(quote(t.key[j]) + " IS ?")
			args = append(args, arg)
		}
	}
	return b.String(), args, nil
}

func (sqliteDialect) loader(tx *sql.Tx, t *table, cols []column, has []int, mode loadMode, owner string) loader {
	l := &sqliteLoader{tx: tx, table: t, cols: cols, has: has, mode: mode}
	if t.owner != "" && mode != linkRows {
		l.owner = owner
	}
	if mode == linkRows { // keys come last, in the condition
		l.has = slices.Clone(has)
		slices.SortStableFunc(l.has, func(a, b int) int {
			return btoi(contains(t.key, cols[a].name)) - btoi(contains(t.key, cols[b].name))
		})
	}
	return l
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// sqliteLoader writes many rows with one statement.
type sqliteLoader struct {
	tx    *sql.Tx
	table *table
	cols  []column
	has   []int
	mode  loadMode
	owner string
	args  []any
	rows  int
	bytes int
}

// sqliteParams bounds the parameters of one statement, far below what SQLite takes.
const sqliteParams = 2000

func (l *sqliteLoader) add(ctx context.Context, row []value) ([]value, error) {
	for _, i := range l.has {
		arg, err := toSQLite(l.cols[i].kind, row[i])
		if err != nil {
			return nil, fmt.Errorf("%w: table %s, column %s: %w", ErrUnsupported, l.table.name, l.cols[i].name, err)
		}
		l.args = append(l.args, arg)
		l.bytes += len(row[i].data)
	}
	if l.owner != "" {
		l.args = append(l.args, l.owner)
	}
	l.rows++
	if l.mode == linkRows || len(l.args)+len(l.has) >= sqliteParams || l.bytes >= batchBytes {
		return row, l.flush(ctx)
	}
	return row, nil
}

func (l *sqliteLoader) flush(ctx context.Context) error {
	if l.rows == 0 {
		return nil
	}
	query, args := l.query(), l.args
	l.rows, l.bytes, l.args = 0, 0, l.args[:0]
	if _, err := l.tx.ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("archive: write table %s: %w", l.table.name, err)
	}
	return nil
}

func (l *sqliteLoader) query() string {
	names := make([]string, len(l.has))
	cols := make([]column, len(l.has))
	for i, n := range l.has {
		cols[i], names[i] = l.cols[n], quote(l.cols[n].name)
	}
	if l.mode == linkRows {
		keys := len(l.table.key)
		return "UPDATE " + l.table.ref + " SET " + strings.Join(names[:len(names)-keys], " = ?, ") + " = ? WHERE " +
			strings.Join(names[len(names)-keys:], " IS ? AND ") + " IS ?"
	}
	if l.owner != "" {
		names = append(names, l.table.owner)
	}
	row := "(?" + strings.Repeat(", ?", len(names)-1) + ")"
	query := "INSERT INTO " + l.table.ref + " (" + strings.Join(names, ", ") + ") VALUES " + row + strings.Repeat(", "+row, l.rows-1)
	if l.mode == upsertRows {
		query += onConflict(l.table, cols)
	}
	return query
}

func contains(names []string, name string) bool { return slices.Contains(names, name) }
