package archive

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
)

// Load inserts rows into a table in few statements, and returns how many they were. It
// is for the transactions of a host over a pool: under row security PostgreSQL
// refuses COPY, and this is as fast. The tenant's column is left to its default.
//
//	n, err := archive.Load(ctx, tx, "orders", []string{"id", "title"}, rows)
//
// The table is named as in SQL without quotes, with its schema if it has one. Values
// are those that drivers take: numbers, strings, bool, []byte, time.Time, nil, and
// driver.Valuer. After an error some rows may have been inserted: roll back.
func Load(ctx context.Context, tx *sql.Tx, table string, columns []string, rows iter.Seq[[]any]) (int64, error) {
	if len(columns) == 0 {
		return 0, fmt.Errorf("archive: load %s: no columns", table)
	}
	l, err := newHostLoader(ctx, tx, table, columns)
	if err != nil {
		return 0, fmt.Errorf("archive: load %s: %w", table, err)
	}
	var n int64
	for row := range rows {
		if len(row) != len(columns) {
			return n, fmt.Errorf("archive: load %s: row %d has %d values for %d columns", table, n+1, len(row), len(columns))
		}
		values, err := l.values(row)
		if err != nil {
			return n, fmt.Errorf("archive: load %s: row %d: %w", table, n+1, err)
		}
		if _, err := l.add(ctx, values); err != nil {
			return n, err
		}
		n++
	}
	return n, l.flush(ctx)
}

// hostColumns asks PostgreSQL for the types of a table's columns.
const hostColumns = `SELECT a.attname::pg_catalog.text, pg_catalog.format('%I.%I', n.nspname, t.typname), t.typname::pg_catalog.text, t.typcategory::pg_catalog.text
	FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
	WHERE a.attrelid = $1::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped`

// hostLoader is a loader of values as hosts have them.
type hostLoader struct {
	loader
	kinds []Kind // of PostgreSQL's columns; nil for SQLite
}

func newHostLoader(ctx context.Context, tx *sql.Tx, name string, columns []string) (*hostLoader, error) {
	parts := strings.Split(name, ".")
	for i, p := range parts {
		parts[i] = quote(p)
	}
	t := &table{name: name, ref: strings.Join(parts, ".")}
	has := make([]int, len(columns))
	for i := range has {
		has[i] = i
	}
	sqlite, err := isSQLite(ctx, tx)
	if err != nil {
		return nil, err
	}
	if sqlite {
		cols := make([]column, len(columns))
		for i, c := range columns {
			cols[i] = column{name: c, kind: Other}
		}
		t.columns = cols
		return &hostLoader{loader: sqliteDialect{}.loader(tx, t, cols, has, insertRows, "")}, nil
	}
	err = each(ctx, tx, hostColumns, []any{t.ref}, func(scan func(...any) error) error {
		var c column
		var base, category string
		err := scan(&c.name, &c.typ, &base, &category)
		c.kind = postgresKind(base, category)
		t.columns = append(t.columns, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	cols, kinds := make([]column, len(columns)), make([]Kind, len(columns))
	for i, name := range columns {
		c := t.column(name)
		if c == nil {
			return nil, fmt.Errorf("%w: there is no column %s", ErrSchema, name)
		}
		cols[i], kinds[i] = *c, c.kind
	}
	return &hostLoader{pgDialect{}.loader(tx, t, cols, has, insertRows, ""), kinds}, nil
}

// isSQLite asks tx's database by a comparison that fails on neither: to PostgreSQL '1'
// is a number here, to SQLite a text, which equals no number.
func isSQLite(ctx context.Context, tx *sql.Tx) (sqlite bool, err error) {
	err = tx.QueryRowContext(ctx, `SELECT NOT (1 = '1')`).Scan(&sqlite)
	return sqlite, err
}

// values returns a host's values as loaders take them.
func (l *hostLoader) values(row []any) ([]value, error) {
	values := make([]value, len(row))
	for i, x := range row {
		v, err := driver.DefaultParameterConverter.ConvertValue(x)
		if err != nil {
			return nil, err
		}
		if l.kinds == nil {
			values[i] = hostValue(v)
			continue
		}
		if t, ok := v.(time.Time); ok {
			v = t.Round(time.Microsecond) // as PostgreSQL does
		}
		values[i] = hostValue(v)
		if values[i].tag == tagBlob && l.kinds[i] != Bytes { // JSON, for one, often comes as bytes
			values[i].tag = tagText
		}
	}
	return values, nil
}

func hostValue(v driver.Value) value {
	switch x := v.(type) {
	case int64:
		return value{tagInt, strconv.AppendInt(nil, x, 10)}
	case float64:
		return value{tagReal, appendFloat(nil, x)}
	case bool:
		return value{tagInt, strconv.AppendInt(nil, int64(btoi(x)), 10)}
	case []byte:
		return value{tagBlob, x}
	case string:
		return value{tagText, []byte(x)}
	case time.Time:
		return value{tagText, []byte(x.UTC().Format("2006-01-02 15:04:05.999999999-07:00"))}
	default:
		return value{} // nil
	}
}
