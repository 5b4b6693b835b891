package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
)

// unprepared is a statement that is not kept at the server, since the next one may
// run on another session of the pooler: it is parsed, bound and executed in one
// flight each time.
type unprepared struct {
	conn  *Conn
	query string
}

var _ interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
} = (*unprepared)(nil)

// Close has nothing to close.
func (*unprepared) Close() error { return nil }

// NumInput leaves counting to the server.
func (*unprepared) NumInput() int { return -1 }

// ExecContext runs the statement.
func (s *unprepared) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.conn.ExecContext(ctx, s.query, args)
}

// QueryContext runs the query.
func (s *unprepared) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.conn.QueryContext(ctx, s.query, args)
}

var errNoContext = errors.New("isolation/postgres: use the method that takes a context")

// Exec fails: it has no context.
func (*unprepared) Exec([]driver.Value) (driver.Result, error) { return nil, errNoContext }

// Query fails: it has no context.
func (*unprepared) Query([]driver.Value) (driver.Rows, error) { return nil, errNoContext }

// isCopy reports whether lib/pq begins to run query when it is prepared, by lib/pq's
// own test.
func isCopy(query string) bool {
	const verb = "COPY"
	return len(query) >= len(verb) && strings.EqualFold(query[:len(verb)], verb)
}
