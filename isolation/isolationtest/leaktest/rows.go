package leaktest

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// digest is a hash of the rows of a table, in whatever order they come.
type digest struct {
	rows int64
	sum  [4]uint64
}

func (d *digest) add(row []byte) {
	h := sha256.Sum256(row)
	for i := range d.sum {
		d.sum[i] += binary.BigEndian.Uint64(h[8*i:])
	}
	d.rows++
}

// snapshot is what a tenant sees, by table.
type snapshot map[string]digest

// changed returns the tables that differ.
func (s snapshot) changed(after snapshot) []string {
	var tables []string
	for table := range after {
		if s[table] != after[table] {
			tables = append(tables, table)
		}
	}
	for table := range s {
		if _, there := after[table]; !there {
			tables = append(tables, table)
		}
	}
	slices.Sort(tables)
	return tables
}

// The tables that a connection can read.
const (
	postgresTables = `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
		AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_%'
		AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1`
	sqliteTables = `SELECT '"' || replace(name, '"', '""') || '"' FROM sqlite_master
		WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY 1`
)

// speaksSQLite asks the database what it is, by a query that both can answer.
func speaksSQLite(ctx context.Context, db *sql.DB) (bool, error) {
	var truth any
	if err := db.QueryRowContext(ctx, "SELECT 1 = 1").Scan(&truth); err != nil {
		return false, fmt.Errorf("leaktest: asking DB: %w", err)
	}
	_, isBool := truth.(bool) // SQLite has none
	return !isBool, nil
}

// tables returns the names of the tables that a tenant can read, as they were at the last
// sweep.
func (k *kit) tables(ctx context.Context, t *actor) ([]string, error) {
	if t.tables != nil {
		return t.tables, nil
	}
	query := postgresTables
	if k.sqlite {
		query = sqliteTables
	}
	rows, err := k.app.DB.QueryContext(t.in(ctx), query)
	if err != nil {
		return nil, fmt.Errorf("leaktest: the tables of %s: %w", t.ID, err)
	}
	defer func() { _ = rows.Close() }() // Err tells
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		tables = append(tables, name)
	}
	t.tables = tables
	return tables, rows.Err()
}

// volatileTable reports whether the host said that a table changes by itself.
func (k *kit) volatileTable(name string) bool {
	_, last, _ := strings.Cut(name, ".")
	for _, v := range k.app.VolatileTables {
		if v == strings.ReplaceAll(name, `"`, "") || v == strings.Trim(last, `"`) {
			return true
		}
	}
	return false
}

// snapshot reads all rows that a tenant sees. With evidence it looks for foreign
// canaries in them.
func (k *kit) snapshot(ctx context.Context, t *actor, e evidence) (snapshot, error) {
	if k.app.DB == nil {
		return nil, nil
	}
	tables, err := k.tables(ctx, t)
	if err != nil {
		return nil, err
	}
	s := make(snapshot)
	for _, table := range tables {
		d, data, err := k.readTable(ctx, t, table)
		if err != nil {
			return nil, fmt.Errorf("leaktest: reading %s as %s: %w", table, t.ID, err)
		}
		if !k.volatileTable(table) {
			s[table] = d
		}
		if e.by != nil && t.looked[table] != d {
			t.looked[table] = d
			k.coverage.rows.Add(d.rows)
			k.look(e, "row of "+table, data)
		}
	}
	return s, nil
}

// maxTable bounds what is read of one table.
const maxTable = 256 << 20

var errHuge = errors.New("more than 256 MB: give the kit a database with less in it")

// readTable returns the digest and all text of a table.
func (k *kit) readTable(ctx context.Context, t *actor, table string) (digest, []byte, error) {
	rows, err := k.app.DB.QueryContext(t.in(ctx), "SELECT * FROM "+table)
	if err != nil {
		return digest{}, nil, err
	}
	defer func() { _ = rows.Close() }() // Err tells
	columns, err := rows.Columns()
	if err != nil {
		return digest{}, nil, err
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	var d digest
	var all []byte
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return d, nil, err
		}
		begin := len(all)
		for _, v := range values {
			all = append(appendText(all, v), 0)
		}
		d.add(all[begin:])
		if len(all) > maxTable {
			return d, nil, errHuge
		}
	}
	return d, all, rows.Err()
}

func appendText(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "NULL"...)
	case []byte:
		return append(b, v...)
	case string:
		return append(b, v...)
	case time.Time:
		return v.AppendFormat(b, time.RFC3339Nano)
	default:
		return fmt.Append(b, v)
	}
}

// plant puts rows and whatever the host wants in place for a tenant.
func (k *kit) plant(ctx context.Context, t *actor) error {
	r := &run{by: t, scenario: &Scenario{Name: "planting"}, vars: t.vars}
	for _, row := range k.app.Rows {
		if err := k.plantRow(ctx, t, r, row); err != nil {
			return fmt.Errorf("leaktest: planting in %s as %s: %w", row.Table, t.ID, err)
		}
	}
	if k.app.Plant == nil {
		return nil
	}
	vars, err := k.app.Plant(t.in(ctx), t.Tenant, func() string { return k.canaries.mint(t.index, "Plant") })
	if err != nil {
		return fmt.Errorf("leaktest: planting as %s: %w", t.ID, err)
	}
	for name, value := range vars {
		t.set(name, value)
	}
	return nil
}

func (k *kit) plantRow(ctx context.Context, t *actor, r *run, row Row) error {
	var args []any
	var marks []string
	columns := slices.Sorted(maps.Keys(row.Values))
	for i, column := range columns {
		value := row.Values[column]
		if template, ok := value.(string); ok {
			text, err := expand(template, "row", verbatim, k.values(r, "row of "+row.Table))
			if err != nil {
				return err
			}
			value = text
		}
		args = append(args, value)
		marks = append(marks, "$"+strconv.Itoa(i+1))
	}
	query := "INSERT INTO " + row.Table + " (" + strings.Join(columns, ", ") + ") VALUES (" + strings.Join(marks, ", ") + ")"
	if len(row.Return) == 0 {
		_, err := k.app.DB.ExecContext(t.in(ctx), query, args...)
		return err
	}
	names := slices.Sorted(maps.Keys(row.Return))
	got, into := make([]string, len(names)), make([]any, len(names))
	returned := make([]string, len(names))
	for i, name := range names {
		into[i], returned[i] = &got[i], row.Return[name]
	}
	query += " RETURNING " + strings.Join(returned, ", ")
	if err := k.app.DB.QueryRowContext(t.in(ctx), query, args...).Scan(into...); err != nil {
		return err
	}
	for i, name := range names {
		t.set(name, got[i])
	}
	return nil
}
