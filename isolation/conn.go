package isolation

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// conn is a logical connection. It holds a physical one from the first statement
// after checkout until database/sql takes it back. database/sql never calls it
// from two goroutines at a time.
type conn struct {
	pool *Pool
	ph   *physical // nil while it holds none
	tx   *tx       // the open transaction
	busy int       // open rows, and statements bound to ph, such as COPY

	fresh bool // idle connections failed, so the next is a new one
}

var _ interface {
	driver.Conn
	driver.QueryerContext
	driver.ExecerContext
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.NamedValueChecker
	driver.Pinger
	driver.SessionResetter
	driver.Validator
} = (*conn)(nil)

// errContext means that database/sql, or a host with the raw connection, called
// what has no context, and so no tenant.
var errContext = errors.New("isolation: use the method that takes a context")

// bind returns a physical connection confined to whom ctx acts for, on which query
// may run; an empty one stands for what is no statement.
func (c *conn) bind(ctx context.Context, query string) (*physical, error) {
	o, err := ownerOf(ctx)
	if c.tx != nil {
		return c.bindInTx(ctx, o, err, query)
	}
	if err != nil {
		return nil, fmt.Errorf("isolation: %w in the statement's context; pass on the request's, or use tenant.NewContext", err)
	}
	if c.ph != nil {
		fits, err := c.fits(ctx, o)
		switch {
		case err != nil:
			return nil, err
		case fits && (c.busy > 0 || !c.ph.broken && !c.ph.doomed.Load() && !c.ph.stale()):
			return c.ph, allow(c.ph.via, query, false)
		case c.busy > 0:
			return nil, ErrTenantChanged
		}
		c.giveBack()
	}
	c.ph, err = c.pool.acquire(ctx, o, query, c.fresh)
	return c.ph, err
}

// fits reports whether the connection that c holds is one of o's. Where a router
// stands before several strategies, it is asked again: the system's context tells which
// one it means, and a tenant may have moved, unless work of its is going on.
func (c *conn) fits(ctx context.Context, o owner) (bool, error) {
	working := c.tx != nil || c.busy > 0
	if c.ph.owner != o || c.ph.via == nil || working && !o.system {
		return c.ph.owner == o, nil
	}
	_, place, err := c.pool.place(ctx, o)
	return err == nil && c.ph.key == c.pool.keyOf(place, o), err
}

// bindInTx keeps a transaction with its owner. Only a context that is neither a
// tenant's nor the system's inherits.
func (c *conn) bindInTx(ctx context.Context, o owner, err error, query string) (*physical, error) {
	if err == nil {
		fits, err := c.fits(ctx, o)
		if err != nil {
			return nil, err
		}
		if !fits {
			return nil, ErrTenantChanged
		}
	}
	return c.ph, allow(c.ph.via, query, true)
}

// giveBack returns the physical connection to the pool. One with an open
// transaction or rows is in an unknown state.
func (c *conn) giveBack() {
	if c.ph == nil {
		return
	}
	if c.tx != nil || c.busy > 0 {
		c.ph.broken = true
	}
	ph := c.ph
	c.ph, c.tx, c.busy = nil, nil, 0
	c.pool.release(ph)
}

// IsValid is called whenever database/sql takes the connection back.
func (c *conn) IsValid() bool {
	c.giveBack()
	return true
}

// ResetSession does nothing: the physical connection is reset on its next use.
func (c *conn) ResetSession(context.Context) error { return nil }

// Close gives the physical connection back.
func (c *conn) Close() error {
	c.giveBack()
	return nil
}

// Unwrap returns the driver's own connection, confined to the tenant of the last
// statement, or nil if there was none since checkout. What is done with it is
// out of the pool's sight, so it is closed when it comes back. Prefer [Raw].
func (c *conn) Unwrap() driver.Conn {
	if c.ph == nil {
		return nil
	}
	c.ph.raw = true
	return innermost(c.ph.conn)
}

func (c *conn) rawFor(ctx context.Context) (driver.Conn, error) {
	if _, err := c.bind(ctx, ""); err != nil {
		return nil, err
	}
	return c.Unwrap(), nil
}

// Raw calls do with the driver's own connection behind sc, confined to ctx's
// tenant: for COPY, LISTEN and whatever else database/sql does not offer. The
// connection is closed when sc gives it back, since its state is unknown then.
func Raw(ctx context.Context, sc *sql.Conn, do func(driver.Conn) error) error {
	return sc.Raw(func(logical any) error {
		c, ok := logical.(*conn)
		if !ok {
			return fmt.Errorf("isolation: %T is no connection of a Pool", logical)
		}
		raw, err := c.rawFor(ctx)
		if err != nil {
			return err
		}
		return do(raw)
	})
}

// Ping checks the connection of ctx's tenant.
func (c *conn) Ping(ctx context.Context) error {
	ph, err := c.bind(ctx, "")
	if err != nil {
		return err
	}
	pinger, ok := ph.conn.(driver.Pinger)
	if !ok {
		return nil
	}
	return ph.noted(ctx, pinger.Ping(ctx))
}

// CheckNamedValue lets every value pass: the physical connection, which is not
// known yet, checks it later.
func (c *conn) CheckNamedValue(*driver.NamedValue) error { return nil }

func (c *conn) guard(query string) error { return c.pool.check(query, c.tx != nil) }

// QueryContext runs a query on the connection of ctx's tenant.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return patiently(c, func() (driver.Rows, error) { return c.queryOnce(ctx, query, args) })
}

func (c *conn) queryOnce(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	ph, err := c.ready(ctx, query)
	if err != nil {
		return nil, err
	}
	prepared, err := c.repeated(ctx, ph, query, args)
	if err != nil {
		return nil, err
	}
	if prepared != nil {
		result, err := run{c, prepared, query}.query(ctx, ph, args)
		if !c.mayRunAgain(err) {
			return result, err
		}
	}
	q, ok := ph.conn.(driver.QueryerContext)
	if !ok {
		return nil, driver.ErrSkip // database/sql prepares it instead
	}
	if args, err = convert(ph.conn, args); err != nil {
		return nil, err
	}
	result, err := q.QueryContext(ctx, query, args)
	if err != nil {
		return nil, ph.noted(ctx, err)
	}
	return c.newRows(ctx, ph, result), nil
}

// ExecContext runs a statement on the connection of ctx's tenant.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return patiently(c, func() (driver.Result, error) { return c.execOnce(ctx, query, args) })
}

func (c *conn) execOnce(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	ph, err := c.ready(ctx, query)
	if err != nil {
		return nil, err
	}
	prepared, err := c.repeated(ctx, ph, query, args)
	if err != nil {
		return nil, err
	}
	if prepared != nil {
		result, err := run{c, prepared, query}.exec(ctx, ph, args)
		if !c.mayRunAgain(err) {
			return result, err
		}
	}
	e, ok := ph.conn.(driver.ExecerContext)
	if !ok {
		return nil, driver.ErrSkip // database/sql prepares it instead
	}
	if args, err = convert(ph.conn, args); err != nil {
		return nil, err
	}
	result, err := e.ExecContext(ctx, query, args)
	return result, ph.noted(ctx, err)
}

// patiently runs attempt again if it failed before the host's statement began: the
// connection could not be given to the tenant along with it. Another attempt takes
// another connection, and asks the strategy again where the tenant's data lives. A
// tenant may have spoilt all that are idle, so the third attempt opens one; and where it
// is this tenant whose connections fail, others keep theirs.
func patiently[T any](c *conn, attempt func() (T, error)) (T, error) {
	defer func() { c.fresh = false }()
	for n := 1; ; n++ {
		result, err := attempt()
		if err == nil || !c.unbegun(err) || n > 1 && !c.ph.reused {
			return result, err
		}
		c.fresh = n > 1
	}
}

// unbegun reports whether err is one of a driver that says so itself, outside a
// transaction, which the failure has ended otherwise. The connection is lost.
func (c *conn) unbegun(err error) bool {
	if c.ph == nil || !notBegun(err) {
		return false
	}
	c.ph.broken = true
	return c.tx == nil && c.busy == 0
}

// notBegun reports whether err says that the statement did not begin.
func notBegun(err error) bool {
	var says interface{ NotBegun() bool }
	return errors.As(err, &says) && says.NotBegun()
}

// repeated returns query prepared if it has arguments and ran on ph before, unless
// the host turned that off or the connection is busy; else nil.
func (c *conn) repeated(ctx context.Context, ph *physical, query string, args []driver.NamedValue) (driver.Stmt, error) {
	if len(args) == 0 || c.busy > 0 || c.pool.stmtCache == 0 {
		return nil, nil
	}
	return ph.repeated(ctx, query, c.pool.stmtCache)
}

// mayRunAgain reports whether a statement that failed with err never began, and is
// in no transaction that the failure has aborted.
func (c *conn) mayRunAgain(err error) bool { return err != nil && c.tx == nil && neverRan(err) }

// ready returns the connection that may run query for ctx.
func (c *conn) ready(ctx context.Context, query string) (*physical, error) {
	if err := c.guard(query); err != nil {
		return nil, err
	}
	return c.bind(ctx, query)
}

// BeginTx begins a transaction on the connection of ctx's tenant, which is
// confined before: a rollback must not undo that.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	return patiently(c, func() (driver.Tx, error) { return c.beginOnce(ctx, opts) })
}

func (c *conn) beginOnce(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	ph, err := c.bind(ctx, "")
	if err != nil {
		return nil, err
	}
	if c.busy > 0 {
		return nil, errors.New("isolation: rows are open on this connection")
	}
	b, ok := ph.conn.(driver.ConnBeginTx)
	if !ok {
		return nil, fmt.Errorf("isolation: %T does not support BeginTx", ph.conn)
	}
	begun, err := b.BeginTx(ctx, opts)
	if err != nil {
		return nil, ph.noted(ctx, err)
	}
	c.tx = &tx{conn: c, ctx: ctx, tx: begun}
	return c.tx, nil
}

// Begin fails: it has no context.
func (c *conn) Begin() (driver.Tx, error) { return nil, errContext }

// Prepare fails: it has no context.
func (c *conn) Prepare(string) (driver.Stmt, error) { return nil, errContext }

// tx is a transaction of conn's owner.
type tx struct {
	conn *conn
	ctx  context.Context // of BeginTx, whose end may leave the connection anywhere
	tx   driver.Tx
}

// Commit commits.
func (t *tx) Commit() error { return t.end(t.tx.Commit) }

// Rollback rolls back.
func (t *tx) Rollback() error { return t.end(t.tx.Rollback) }

func (t *tx) end(how func() error) error {
	c := t.conn
	if c.tx != t {
		return sql.ErrTxDone
	}
	err := how()
	c.tx = nil
	err = c.ph.noted(t.ctx, err)
	if _, tells := c.ph.conn.(driver.Validator); err != nil && !tells {
		c.ph.broken = true
	}
	return err
}
