package isolation

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"reflect"
)

// rows is a result set that tells its connection when it is closed. It answers
// the optional questions about columns as database/sql would for a driver that
// does not.
type rows struct {
	driver.Rows
	conn *conn
	ph   *physical
	ctx  context.Context // of the query, whose end may leave the connection anywhere
	done bool
}

func (c *conn) newRows(ctx context.Context, ph *physical, r driver.Rows) *rows {
	c.busy++
	return &rows{Rows: r, conn: c, ph: ph, ctx: ctx}
}

// Next reads a row.
func (r *rows) Next(dest []driver.Value) error {
	err := r.Rows.Next(dest)
	if errors.Is(err, io.EOF) {
		return err
	}
	return r.ph.noted(r.ctx, err)
}

// Close closes the result set.
func (r *rows) Close() error {
	err := r.Rows.Close()
	if r.done {
		return err
	}
	r.done = true
	if r.conn.ph == r.ph {
		r.conn.busy--
	}
	return r.ph.noted(r.ctx, err)
}

// HasNextResultSet reports whether there is another result set.
func (r *rows) HasNextResultSet() bool {
	n, ok := r.Rows.(driver.RowsNextResultSet)
	return ok && n.HasNextResultSet()
}

// NextResultSet moves to the next result set.
func (r *rows) NextResultSet() error {
	if n, ok := r.Rows.(driver.RowsNextResultSet); ok {
		return n.NextResultSet()
	}
	return io.EOF
}

// ColumnTypeScanType returns the Go type to scan into.
func (r *rows) ColumnTypeScanType(i int) reflect.Type {
	if c, ok := r.Rows.(driver.RowsColumnTypeScanType); ok {
		return c.ColumnTypeScanType(i)
	}
	return reflect.TypeFor[any]()
}

// ColumnTypeDatabaseTypeName returns the database's name of the type.
func (r *rows) ColumnTypeDatabaseTypeName(i int) string {
	if c, ok := r.Rows.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return c.ColumnTypeDatabaseTypeName(i)
	}
	return ""
}

// ColumnTypeLength returns the length of a type that has one.
func (r *rows) ColumnTypeLength(i int) (int64, bool) {
	if c, ok := r.Rows.(driver.RowsColumnTypeLength); ok {
		return c.ColumnTypeLength(i)
	}
	return 0, false
}

// ColumnTypeNullable returns whether the column may be null, if known.
func (r *rows) ColumnTypeNullable(i int) (nullable, ok bool) {
	if c, ok := r.Rows.(driver.RowsColumnTypeNullable); ok {
		return c.ColumnTypeNullable(i)
	}
	return false, false
}

// ColumnTypePrecisionScale returns the precision and scale of a decimal type.
func (r *rows) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	if c, ok := r.Rows.(driver.RowsColumnTypePrecisionScale); ok {
		return c.ColumnTypePrecisionScale(i)
	}
	return 0, 0, false
}
