package postgres

import (
	"context"
	"database/sql/driver"
	"sync/atomic"
)

// pqConn is what lib/pq's connections offer.
type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// Conn is a connection of lib/pq's that knows whether it may be used again. Like
// every driver connection it is for one goroutine at a time, except for Abort.
type Conn struct {
	pqConn
	state state
	link  *link
	dial  DialFunc
	spent atomic.Bool // aborted, or a statement of it was cancelled
}

// Unwrap returns lib/pq's own connection, for pq.SetNoticeHandler and the like.
func (c *Conn) Unwrap() driver.Conn { return c.pqConn }

// BackendPID returns the process ID of the session at the server, as
// pg_backend_pid() does.
func (c *Conn) BackendPID() int { return c.state.pid }

// IsValid reports whether c may be used again: it is idle, outside a
// transaction, and nothing went wrong on it.
func (c *Conn) IsValid() bool {
	return !c.spent.Load() && c.pqConn.IsValid() && c.state.idle()
}

// ResetSession returns driver.ErrBadConn unless c is valid. It sends nothing.
func (c *Conn) ResetSession(ctx context.Context) error {
	if !c.IsValid() {
		return driver.ErrBadConn
	}
	return c.pqConn.ResetSession(ctx)
}

// Prepare prepares query without a context.
func (c *Conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// PrepareContext prepares query at the server. A query that pq.CopyIn made
// begins a COPY instead.
func (c *Conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.pqConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if inner, ok := s.(pqStmt); ok {
		return &stmt{pqStmt: inner, conn: c}, nil
	}
	return s, nil // a COPY, which takes no context
}

// Abort ends whatever runs on c, at once, and makes c useless. Any goroutine may
// call it while another uses c. It closes the network connection, then asks the
// server to cancel the statement, without waiting longer than abortTimeout.
func (c *Conn) Abort() error {
	if c.spent.Swap(true) && c.link.isClosed() {
		return nil
	}
	c.link.close()
	return c.cancel()
}
