package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/tenancy-go/tenancy/internal/sqlguard"
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
	spent atomic.Bool // aborted, or a statement of it was cancelled, or it was not given to its tenant

	wire    *wire // nil where lib/pq has TLS to itself
	pooler  bool  // a pooler may stand before the server
	closing bool  // closing the connection is all that cancels
	scoped  bool  // an entry goes before every statement
	keeps   bool  // the entry leaves prepared statements alone
	own     bool  // a statement that is for one tenant only is prepared
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
	if c.scoped && !isCopy(query) {
		return &unprepared{conn: c, query: query}, nil
	}
	s, err := c.pqConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, c.noted(err)
	}
	if inner, ok := s.(pqStmt); ok {
		c.own = c.own || !sqlguard.IsConstant(query) || !sqlguard.IsPlain(query)
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
	if c.closing {
		return nil
	}
	return c.cancel()
}

// QueryContext runs a query.
func (c *Conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.mayRun(query); err != nil {
		return nil, err
	}
	rows, err := c.pqConn.QueryContext(ctx, query, args)
	if err != nil {
		return nil, c.noted(err)
	}
	return rows, nil
}

// ExecContext runs a statement, or several without arguments.
func (c *Conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.mayRun(query); err != nil {
		return nil, err
	}
	result, err := c.pqConn.ExecContext(ctx, query, args)
	return result, c.noted(err)
}

// mayRun refuses what may end the transaction that an entry holds for, and go on: after
// a ROLLBACK, what an earlier tenant left on the session would be back. Within a
// transaction that the host began, PostgreSQL itself refuses that.
func (c *Conn) mayRun(query string) error {
	if c.scoped && c.wire.idle() && sqlguard.IsProcedural(query) {
		return errProcedure
	}
	return nil
}

var errProcedure = errors.New("isolation/postgres: CALL and DO may end their transaction and go on without its tenant; begin one for them, with BeginTx")

// BeginTx begins a transaction.
func (c *Conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := c.pqConn.BeginTx(ctx, opts)
	if err != nil {
		return nil, c.noted(err)
	}
	return pqTx{tx, c}, nil
}

// pqTx is a transaction of lib/pq's.
type pqTx struct {
	driver.Tx
	conn *Conn
}

// Commit commits.
func (t pqTx) Commit() error { return t.conn.noted(t.Tx.Commit()) }

// noted returns reported, as an [*EntryError] if the entry failed, and with the server's
// error where lib/pq finds only that the session is gone.
func (c *Conn) noted(reported error) error {
	err := reported
	if err == nil || c.wire == nil {
		return err
	}
	if c.wire.idled != nil && errors.Is(err, driver.ErrBadConn) {
		return fmt.Errorf("%w: %w", driver.ErrBadConn, c.wire.idled)
	}
	if err = c.wire.entryFailure(err); err == nil {
		if state := c.wire.entry.Lost; state != "" && pq.As(reported, pqerror.Code(state)) != nil {
			c.spent.Store(true)
		}
		return reported
	}
	c.spent.Store(true)
	if failed := c.wire.entry.Failed; failed != nil {
		failed(err)
	}
	return &EntryError{Err: err}
}

// Rides reports whether an entry can go in the flight of the next statement, or
// before each. It cannot where lib/pq has TLS to itself: with sslmode=allow, and with
// a registered configuration.
func (c *Conn) Rides() bool { return c.wire != nil }

// BehindPooler reports whether the connector let a pooler stand before the server.
func (c *Conn) BehindPooler() bool { return c.pooler }

// Enter gives the session to a tenant: e goes in the flight of the next statement, or
// before every one if it is local. So nothing is sent yet, and whether it succeeds
// shows then ([*EntryError]). Only for connections that [Conn.Rides] is true of.
func (c *Conn) Enter(e Entry) error {
	switch {
	case c.wire == nil:
		return unsafe("this sslmode leaves TLS to lib/pq, so a tenant's context cannot travel with its statements; use disable, prefer, require, verify-ca or verify-full")
	case c.pooler && !e.Local:
		return errSessionBehindPooler()
	}
	if !c.wire.idle() {
		return fmt.Errorf("isolation/postgres: the session is in a transaction, or has not answered: %w", driver.ErrBadConn)
	}
	c.scoped, c.keeps = e.Local, e.Keep
	c.wire.entry.set(e, c.keeps && c.own)
	c.own = false
	return nil
}

// KeepsStatements reports whether statements that are prepared stay so when the
// session passes to the next tenant. They do not if one of them has a literal in its
// text, which the next could read in pg_prepared_statements.
func (c *Conn) KeepsStatements() bool { return c.keeps && !c.own }

func errSessionBehindPooler() error {
	return unsafe("the connector is postgres.BehindPooler, where a session is shared with others; give the strategy the option TransactionScoped, or connect to PostgreSQL itself")
}
