package isolation

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// stmt is a prepared statement of a logical connection. The physical connection
// that a run finds prepares it, once, and keeps it for the next.
type stmt struct {
	conn  *conn
	query string

	bound   driver.Stmt // set if the statement cannot move, such as COPY
	boundTo *physical
}

var _ interface {
	driver.Stmt
	driver.StmtQueryContext
	driver.StmtExecContext
	driver.NamedValueChecker
} = (*stmt)(nil)

// PrepareContext prepares query on the connection of ctx's tenant.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return patiently(c, func() (driver.Stmt, error) { return c.prepareOnce(ctx, query) })
}

func (c *conn) prepareOnce(ctx context.Context, query string) (driver.Stmt, error) {
	ph, err := c.ready(ctx, query)
	if err != nil {
		return nil, err
	}
	prepared, movable, err := ph.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	s := &stmt{conn: c, query: query}
	if !movable {
		s.bound, s.boundTo = prepared, ph
		c.busy++
	}
	return s, nil
}

// on returns the statement prepared on the connection of ctx's tenant.
func (s *stmt) on(ctx context.Context) (driver.Stmt, *physical, error) {
	ph, err := s.conn.ready(ctx, s.query)
	if err != nil {
		return nil, nil, err
	}
	if s.bound != nil {
		if s.boundTo != ph {
			return nil, nil, ErrTenantChanged
		}
		return s.bound, ph, nil
	}
	prepared, _, err := ph.prepare(ctx, s.query)
	return prepared, ph, err
}

// Close ends a statement that is bound to its connection. Others stay prepared
// for the next use.
func (s *stmt) Close() error {
	if s.bound == nil {
		return nil
	}
	bound, ph := s.bound, s.boundTo
	s.bound, s.boundTo = nil, nil
	if s.conn.ph != ph {
		return nil // closed with its connection
	}
	s.conn.busy--
	err := bound.Close()
	if err != nil {
		ph.broken = true
	}
	return err
}

// NumInput leaves counting to the physical connection.
func (s *stmt) NumInput() int { return -1 }

// CheckNamedValue lets every value pass, as that of conn does.
func (s *stmt) CheckNamedValue(*driver.NamedValue) error { return nil }

// Exec fails: it has no context.
func (s *stmt) Exec([]driver.Value) (driver.Result, error) { return nil, errContext }

// Query fails: it has no context.
func (s *stmt) Query([]driver.Value) (driver.Rows, error) { return nil, errContext }

// ExecContext runs the statement for ctx's tenant.
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return patiently(s.conn, func() (driver.Result, error) {
		prepared, ph, err := s.on(ctx)
		if err != nil {
			return nil, err
		}
		return run{s.conn, prepared, s.query}.exec(ctx, ph, args)
	})
}

// QueryContext runs the query for ctx's tenant.
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return patiently(s.conn, func() (driver.Rows, error) {
		prepared, ph, err := s.on(ctx)
		if err != nil {
			return nil, err
		}
		return run{s.conn, prepared, s.query}.query(ctx, ph, args)
	})
}

// run is the use of a statement that is prepared on conn's physical connection.
type run struct {
	conn     *conn
	prepared driver.Stmt
	text     string
}

func (r run) exec(ctx context.Context, ph *physical, args []driver.NamedValue) (driver.Result, error) {
	args, err := convertFor(r.prepared, ph.conn, args)
	if err != nil {
		return nil, err
	}
	result, err := execPrepared(ctx, r.prepared, args)
	return result, r.noted(ctx, ph, err)
}

func (r run) query(ctx context.Context, ph *physical, args []driver.NamedValue) (driver.Rows, error) {
	args, err := convertFor(r.prepared, ph.conn, args)
	if err != nil {
		return nil, err
	}
	result, err := queryPrepared(ctx, r.prepared, args)
	if err != nil {
		return nil, r.noted(ctx, ph, err)
	}
	return r.conn.newRows(ctx, ph, result), nil
}

// noted takes down an error, and returns it for whoever ran the statement. One whose
// columns have changed since it was prepared is prepared anew next time.
func (r run) noted(ctx context.Context, ph *physical, err error) error {
	if isStale(err) {
		ph.stmts.forget(r.text)
	}
	return ph.noted(ctx, err)
}

func execPrepared(ctx context.Context, s driver.Stmt, args []driver.NamedValue) (driver.Result, error) {
	if x, ok := s.(driver.StmtExecContext); ok {
		return x.ExecContext(ctx, args)
	}
	values, err := valuesOf(args)
	if err != nil {
		return nil, err
	}
	return s.Exec(values) //nolint:staticcheck // lib/pq's COPY statement has no other method
}

func queryPrepared(ctx context.Context, s driver.Stmt, args []driver.NamedValue) (driver.Rows, error) {
	if x, ok := s.(driver.StmtQueryContext); ok {
		return x.QueryContext(ctx, args)
	}
	values, err := valuesOf(args)
	if err != nil {
		return nil, err
	}
	return s.Query(values) //nolint:staticcheck // for drivers that have no other method
}

func valuesOf(args []driver.NamedValue) ([]driver.Value, error) {
	values := make([]driver.Value, len(args))
	for i, arg := range args {
		if arg.Name != "" {
			return nil, errors.New("isolation: driver does not support named parameters")
		}
		values[i] = arg.Value
	}
	return values, nil
}

// convert makes args what conn's driver takes, as database/sql would.
func convert(conn driver.Conn, args []driver.NamedValue) ([]driver.NamedValue, error) {
	checker, _ := conn.(driver.NamedValueChecker)
	return convertBy(checker, args)
}

func convertFor(s driver.Stmt, conn driver.Conn, args []driver.NamedValue) ([]driver.NamedValue, error) {
	if checker, ok := s.(driver.NamedValueChecker); ok {
		return convertBy(checker, args)
	}
	return convert(conn, args)
}

func convertBy(checker driver.NamedValueChecker, args []driver.NamedValue) ([]driver.NamedValue, error) {
	kept := args[:0]
	for i := range args {
		arg := &args[i]
		err := driver.ErrSkip
		if checker != nil {
			err = checker.CheckNamedValue(arg)
		}
		if errors.Is(err, driver.ErrRemoveArgument) {
			continue
		}
		if errors.Is(err, driver.ErrSkip) {
			arg.Value, err = driver.DefaultParameterConverter.ConvertValue(arg.Value)
		}
		if err != nil {
			return nil, fmt.Errorf("isolation: converting argument %d: %w", arg.Ordinal, err)
		}
		arg.Ordinal = len(kept) + 1
		kept = append(kept, *arg)
	}
	return kept, nil
}
