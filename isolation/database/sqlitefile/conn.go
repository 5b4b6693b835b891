package sqlitefile

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"modernc.org/libc"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tenancy-go/tenancy/tenant"
)

// sqliteConn is what the driver's connections offer.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
	sqlite.AuthorizerRegisterer
}

// conn is a connection to one tenant's file. It is for one goroutine at a time,
// except for Abort.
type conn struct {
	sqliteConn
	strategy *Strategy
	id       tenant.ID
	handle   uintptr // SQLite's, for interrupts
	vacuum   bool    // a plain VACUUM runs
	spent    atomic.Bool

	mu     sync.Mutex
	closed bool // guarded by mu; the handle is not to be used any more
}

// confined wraps a connection that has id's file open, and installs the
// authorizer on it. It closes inner if it cannot.
func confined(inner driver.Conn, s *Strategy, id tenant.ID) (driver.Conn, error) {
	sc, ok := inner.(sqliteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("sqlitefile: driver's connection %T has no authorizer", inner), inner.Close())
	}
	handle, err := handleOf(inner)
	if err != nil {
		return nil, errors.Join(err, inner.Close())
	}
	c := &conn{sqliteConn: sc, strategy: s, id: id, handle: handle}
	if err := sc.RegisterAuthorizer(c.authorize); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlitefile: install authorizer: %w", err), inner.Close())
	}
	return c, nil
}

// Unwrap returns the driver's own connection, for backups and the like. What is
// done with it is out of the authorizer's hands.
func (c *conn) Unwrap() driver.Conn { return c.sqliteConn }

// Abort ends whatever runs on c and makes c useless. Any goroutine may call it
// while another uses c.
func (c *conn) Abort() error {
	c.spent.Store(true)
	c.interrupt()
	return nil
}

// interrupt ends the statements that run on c.
func (c *conn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	tls := libc.NewTLS() // the connection's own is its user's
	sqlite3.Xsqlite3_interrupt(tls, c.handle)
	tls.Close()
}

// Close closes the file. The last connection to it writes its log back.
func (c *conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	return c.sqliteConn.Close()
}

// IsValid reports whether c may be used again.
func (c *conn) IsValid() bool { return !c.spent.Load() && c.sqliteConn.IsValid() }

// ResetSession returns driver.ErrBadConn unless c is valid.
func (c *conn) ResetSession(ctx context.Context) error {
	if c.spent.Load() {
		return driver.ErrBadConn
	}
	return c.sqliteConn.ResetSession(ctx)
}

// ExecContext runs a statement.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if c.spent.Load() {
		return nil, driver.ErrBadConn
	}
	c.vacuum = isVacuum(query)
	defer func() { c.vacuum = false }()
	return c.sqliteConn.ExecContext(ctx, query, args)
}

// QueryContext runs a query.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if c.spent.Load() {
		return nil, driver.ErrBadConn
	}
	inner, err := c.sqliteConn.QueryContext(ctx, query, args)
	if err != nil {
		return nil, err
	}
	return c.watched(ctx, inner), nil
}

// Prepare prepares query without a context.
func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// PrepareContext prepares query.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	inner, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s, ok := inner.(sqliteStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("sqlitefile: driver's statement %T takes no context", inner), inner.Close())
	}
	return &stmt{sqliteStmt: s, conn: c, vacuum: isVacuum(query), parameters: parametersOf(inner)}, nil
}
