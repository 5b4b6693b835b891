package sqlitefile

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"sync"
)

// sqliteRows is what the driver's rows offer.
type sqliteRows interface {
	driver.Rows
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeLength
	driver.RowsColumnTypeNullable
	driver.RowsColumnTypePrecisionScale
	driver.RowsColumnTypeScanType
}

// rows end with their context, however long the next row takes.
type rows struct {
	sqliteRows
	conn *conn
	ctx  context.Context //nolint:containedctx // lives as long as the query does
	stop func() bool

	mu     sync.Mutex
	closed bool // guarded by mu; an interrupt would hit another statement
}

// watched returns rows that are interrupted when ctx ends.
func (c *conn) watched(ctx context.Context, inner driver.Rows) driver.Rows {
	r, ok := inner.(sqliteRows)
	if !ok || ctx.Done() == nil {
		return inner
	}
	w := &rows{sqliteRows: r, conn: c, ctx: ctx}
	w.stop = context.AfterFunc(ctx, w.interrupt)
	return w
}

func (r *rows) interrupt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.conn.interrupt()
	}
}

// Next reads a row. Once the context has ended, its error is the context's.
func (r *rows) Next(dest []driver.Value) error {
	err := r.sqliteRows.Next(dest)
	if err != nil && !errors.Is(err, io.EOF) && r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	return err
}

// Close ends the query.
func (r *rows) Close() error {
	r.stop()
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	return r.sqliteRows.Close()
}
