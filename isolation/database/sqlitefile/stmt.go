package sqlitefile

import (
	"context"
	"database/sql/driver"
)

// sqliteStmt is what the driver's statements offer.
type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type stmt struct {
	sqliteStmt
	conn       *conn
	vacuum     bool
	parameters int
}

// NumInput returns how many parameters s has, or -1 if it is several statements.
func (s *stmt) NumInput() int { return s.parameters }

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if s.conn.spent.Load() {
		return nil, driver.ErrBadConn
	}
	s.conn.vacuum = s.vacuum
	defer func() { s.conn.vacuum = false }()
	return s.sqliteStmt.ExecContext(ctx, args)
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if s.conn.spent.Load() {
		return nil, driver.ErrBadConn
	}
	inner, err := s.sqliteStmt.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	return s.conn.watched(ctx, inner), nil
}
