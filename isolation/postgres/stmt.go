package postgres

import (
	"context"
	"database/sql/driver"
)

// pqStmt and pqRows are what lib/pq's statements and rows offer.
type (
	pqStmt interface {
		driver.Stmt
		driver.StmtExecContext
		driver.StmtQueryContext
	}
	pqRows interface {
		driver.Rows
		driver.RowsNextResultSet
		driver.RowsColumnTypeScanType
		driver.RowsColumnTypeDatabaseTypeName
		driver.RowsColumnTypeLength
		driver.RowsColumnTypePrecisionScale
	}
)

// stmt is a prepared statement. When one is cancelled, lib/pq believes that its
// connection is as good as before, though the cancellation may reach the next
// statement instead.
type stmt struct {
	pqStmt
	conn *Conn
}

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	res, err := s.pqStmt.ExecContext(ctx, args)
	s.conn.settle(ctx)
	return res, s.conn.noted(err)
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	inner, err := s.pqStmt.QueryContext(ctx, args)
	if err != nil {
		s.conn.settle(ctx)
		return nil, s.conn.noted(err)
	}
	if r, ok := inner.(pqRows); ok && ctx.Done() != nil {
		return &rows{pqRows: r, conn: s.conn, ctx: ctx}, nil
	}
	return inner, nil
}

// settle is called when lib/pq has stopped watching ctx. If ctx has ended by
// then, a cancellation may be on its way to the server.
func (c *Conn) settle(ctx context.Context) {
	if ctx.Err() != nil {
		c.spent.Store(true)
	}
}

// rows are watched by lib/pq for the end of their context until they are closed.
type rows struct {
	pqRows
	conn *Conn
	ctx  context.Context //nolint:containedctx // lives as long as the query does
}

func (r *rows) Close() error {
	err := r.pqRows.Close()
	r.conn.settle(r.ctx)
	return err
}
