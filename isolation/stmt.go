package isolation

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/hashicorp/golang-lru/v2/simplelru"
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
	prepared, ph, err := s.on(ctx)
	if err != nil {
		return nil, err
	}
	if args, err = convertFor(prepared, ph.conn, args); err != nil {
		return nil, err
	}
	result, err := execPrepared(ctx, prepared, args)
	s.noted(ctx, ph, err)
	return result, err
}

// QueryContext runs the query for ctx's tenant.
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	prepared, ph, err := s.on(ctx)
	if err != nil {
		return nil, err
	}
	if args, err = convertFor(prepared, ph.conn, args); err != nil {
		return nil, err
	}
	result, err := queryPrepared(ctx, prepared, args)
	if err != nil {
		s.noted(ctx, ph, err)
		return nil, err
	}
	return s.conn.newRows(ctx, ph, result), nil
}

// noted takes down an error. PostgreSQL refuses with 0A000 a statement whose
// columns have changed since it was prepared: it is prepared anew next time.
func (s *stmt) noted(ctx context.Context, ph *physical, err error) {
	ph.note(ctx, err)
	var state interface{ SQLState() string }
	if errors.As(err, &state) && state.SQLState() == "0A000" {
		ph.stmts.forget(s.query)
	}
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

// statements are those prepared on one physical connection, by query, the last
// used last. PostgreSQL itself analyses one anew when the role or search_path
// that it was prepared under has changed.
type statements struct {
	lru *simplelru.LRU[string, driver.Stmt] // nil until the first
}

func newStatements() *statements { return &statements{} }

// unbounded, since statements in use must not be closed: trim bounds them.
const unbounded = int(^uint(0) >> 1)

// prepare returns query prepared on the connection, and whether it is kept there
// for others. lib/pq begins to run a COPY when it is prepared: such a statement,
// which has no number of parameters and takes no context, belongs to its caller.
func (p *physical) prepare(ctx context.Context, query string) (driver.Stmt, bool, error) {
	if p.stmts.lru != nil {
		if s, ok := p.stmts.lru.Get(query); ok {
			return s, true, nil
		}
	}
	s, err := prepareOn(ctx, p.conn, query)
	if err != nil {
		p.note(ctx, err)
		return nil, false, err
	}
	if _, ordinary := s.(driver.StmtQueryContext); s.NumInput() < 0 && !ordinary {
		return s, false, nil
	}
	p.stmts.add(query, s)
	return s, true, nil
}

func prepareOn(ctx context.Context, conn driver.Conn, query string) (driver.Stmt, error) {
	if c, ok := conn.(driver.ConnPrepareContext); ok {
		return c.PrepareContext(ctx, query)
	}
	return conn.Prepare(query)
}

func (s *statements) add(query string, prepared driver.Stmt) {
	if s.lru == nil {
		s.lru, _ = simplelru.NewLRU[string, driver.Stmt](unbounded, nil) // fails for a size below 1 only
	}
	s.lru.Add(query, prepared)
}

// forget closes the statement of query.
func (s *statements) forget(query string) {
	if s.lru == nil {
		return
	}
	if prepared, ok := s.lru.Peek(query); ok {
		s.lru.Remove(query)
		_ = prepared.Close() // a server that lost it has closed it
	}
}

// trim closes the least recently used statements down to n, at a round trip each.
func (s *statements) trim(n int) {
	for s.lru != nil && s.lru.Len() > n {
		_, prepared, _ := s.lru.RemoveOldest()
		_ = prepared.Close() // the connection's own state tells what it is worth
	}
}
