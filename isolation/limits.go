package isolation

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Limits bound what one tenant takes of a database. What is zero stays as the server,
// the database and the role have it. They have the fields of quota.Database, so that
// those of a plan convert: isolation.Limits(account.Plan().Database).
//
// PostgreSQL counts in milliseconds and kilobytes: times are rounded up, to one
// millisecond at least, and memory down, to the 64 kB that it needs at least.
type Limits struct {
	StatementTimeout time.Duration // of one statement; statement_timeout
	LockTimeout      time.Duration // of waiting for one lock; lock_timeout
	IdleTimeout      time.Duration // between two statements of a transaction; idle_in_transaction_session_timeout
	WorkMem          int64         // bytes for each sort or hash of a query; work_mem
	Connections      int64         // in use at once in this pool, beside [MaxConnsPerTenant]: the lower one counts
}

// LimitsBy holds tenants to what limits says of them. The pool calls it with the context
// of each statement that takes a connection, before the statement and once for
// a transaction, so it answers from memory. An error of it refuses the statement.
//
// The limits of the session are set in the message that confines the connection, and
// go when the tenant does. When they have changed, the connection is confined anew for
// the tenant's next statement; a transaction and an *sql.Conn keep those they began
// with, and work that holds more connections than a new limit is not ended. System
// contexts have no limits.
//
// Whoever runs into a limit gets a [LimitError], or [ErrTenantBusy]. [New] refuses
// strategies that are no [Limiter].
func LimitsBy(limits func(ctx context.Context, t tenant.Tenant) (Limits, error)) Option {
	return func(c *config) { c.limits, c.limited = limits, true }
}

// Limiter is a [Strategy] that holds tenants to [Limits] by the session. Those of this
// module on PostgreSQL are. Where a router stands before several strategies, tenants in
// one that is none are refused with [ErrNoLimiter] if their limits have
// more than Connections.
type Limiter interface {
	// CanLimit returns why the strategy cannot limit sessions the way it is set up, as an
	// error wrapping ErrNoLimiter, or nil.
	CanLimit() error

	// ConfineWithin is Confine, and puts l on the session in the same round trip, so that
	// nothing runs without it. What is zero in l is as on a new session, whatever the
	// tenant's limits were before. Connections is always zero: it is the pool's.
	ConfineWithin(ctx context.Context, conn driver.Conn, t tenant.Tenant, l Limits) error
}

// session returns those of the limits that a session has.
func (l Limits) session() Limits {
	l.Connections = 0
	return l
}

func (l Limits) validate() error {
	if min(int64(l.StatementTimeout), int64(l.LockTimeout), int64(l.IdleTimeout), l.WorkMem, l.Connections) >= 0 {
		return nil
	}
	for name, value := range map[string]int64{
		"StatementTimeout": int64(l.StatementTimeout), "LockTimeout": int64(l.LockTimeout),
		"IdleTimeout": int64(l.IdleTimeout), "WorkMem": l.WorkMem, "Connections": l.Connections,
	} {
		if value < 0 {
			return fmt.Errorf("%s: want zero or more, got %d", name, value)
		}
	}
	return nil
}

// canLimit returns why s cannot hold tenants to limits of the session, or nil.
func canLimit(s Strategy) error {
	if l, ok := s.(Limiter); ok {
		return l.CanLimit()
	}
	return fmt.Errorf("%w: %T is no isolation.Limiter", ErrNoLimiter, s)
}

// limitsOf asks what o is held to, whose connections via confines.
func (p *Pool) limitsOf(ctx context.Context, o owner, t tenant.Tenant, via Strategy) (Limits, error) {
	if p.limits == nil || o.system {
		return Limits{}, nil
	}
	l, err := p.limits(ctx, t)
	if err == nil {
		err = l.validate()
	}
	if err == nil && l.session() != (Limits{}) {
		err = canLimit(p.by(via))
	}
	if err != nil {
		return Limits{}, fmt.Errorf("isolation: limits of tenant %s: %w", t.ID, err)
	}
	return l, nil
}

// most returns how many connections an owner with limits l may use at once; 0 means any
// number.
func (p *Pool) most(l Limits) int64 {
	most := int64(p.maxConnsPerTenant)
	if l.Connections > 0 && (most == 0 || l.Connections < most) {
		most = l.Connections
	}
	return most
}

// The SQLSTATEs of what ends because of a limit.
const (
	stateCancelled = "57014" // by statement_timeout, or somebody
	stateLocked    = "55P03" // by lock_timeout, or NOWAIT
	stateIdle      = "25P03"
)

// cancelled reports whether the server ended a statement by a timeout.
func cancelled(err error) bool {
	var state interface{ SQLState() string }
	return errors.As(err, &state) && state.SQLState() == stateCancelled
}

// explained returns err as a [LimitError] if it comes from one of the tenant's limits.
// A statement that ctx ended is the caller's own doing.
func (p *physical) explained(ctx context.Context, err error) error {
	var state interface{ SQLState() string }
	if err == nil || p.limits == (Limits{}) || ctx.Err() != nil || !errors.As(err, &state) || notBegun(err) {
		return err
	}
	e := &LimitError{Err: err}
	switch state.SQLState() {
	case stateCancelled:
		e.Setting, e.Limit = "statement_timeout", p.limits.StatementTimeout
	case stateLocked:
		e.Setting, e.Limit = "lock_timeout", p.limits.LockTimeout
	case stateIdle:
		e.Setting, e.Limit = "idle_in_transaction_session_timeout", p.limits.IdleTimeout
	}
	if e.Limit == 0 {
		return err
	}
	return e
}
