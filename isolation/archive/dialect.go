package archive

import (
	"context"
	"database/sql"
	"strings"

	"github.com/tenancy-go/tenancy/isolation"
)

// dialect is what differs between databases.
type dialect interface {
	name() string
	// snapshot returns the options of a transaction that reads one state.
	snapshot() sql.TxOptions
	// prepare makes values be spelt alike in tx.
	prepare(ctx context.Context, tx *sql.Tx) error
	// expression selects a column.
	expression(c column) string
	// read calls emit with each row of rows, which have the columns cols. The row's
	// bytes are good until emit returns.
	read(rows *sql.Rows, cols []column, emit func(row []byte) error) error
	// kinds returns the kinds that rows of an archive have in table t: the archive's,
	// or those of t's own columns.
	kinds(cols []column, t *table) []column
	// loader returns a writer of rows into t. cols are the archive's columns, has
	// the indexes of those to write.
	loader(tx *sql.Tx, t *table, cols []column, has []int, mode loadMode, owner string) loader
	// matching returns a condition that holds for the rows with keys, of t's key
	// columns in archives' spelling, and its parameters.
	matching(t *table, keys [][]value) (condition string, args []any, err error)
	// deferred returns the statement that lets deferrable references wait, or "".
	deferred() string
}

// loadMode says what becomes of rows that are there.
type loadMode int

const (
	insertRows loadMode = iota
	upsertRows
	linkRows // set columns of rows that are there
)

// loader writes rows in batches.
type loader interface {
	// add takes a row, and writes those that it took when they are many. It returns
	// what the row will be read as.
	add(ctx context.Context, row []value) ([]value, error)
	// flush writes the rows that are left.
	flush(ctx context.Context) error
}

func dialectOf(h isolation.Home) dialect {
	if h.Dialect == "sqlite" {
		return sqliteDialect{}
	}
	return pgDialect{}
}

// scan reads t's rows, those for which the condition holds, or all if it is empty.
func scan(ctx context.Context, d dialect, tx *sql.Tx, t *table, cols []column, condition string, args []any, emit func(row []byte) error) error {
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = d.expression(c)
	}
	query := "SELECT " + strings.Join(names, ", ") + " FROM " + t.ref
	if condition != "" {
		query += " WHERE " + condition
	}
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close() // rows.Err tells
	if err := d.read(rows, cols, emit); err != nil {
		return err
	}
	return rows.Err()
}

// count returns how many rows t has.
func count(ctx context.Context, tx *sql.Tx, t *table) (n int64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT count(*) FROM "+t.ref).Scan(&n)
	return n, err
}
