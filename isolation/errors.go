package isolation

import (
	"errors"
	"fmt"
	"time"
)

// The classes of failure. Whatever fails in the database itself is returned as
// the driver reports it.
var (
	// ErrTenantChanged means that a statement's context belongs to another tenant
	// than the transaction, or the open rows, that it would share a connection with.
	ErrTenantChanged = errors.New("isolation: tenant changed inside a transaction or while rows are open")
	// ErrNoSystem means that a system context was used, and the strategy was
	// given no system connector.
	ErrNoSystem = errors.New("isolation: no system connector was given")
	// ErrControl means that a statement would change the session or the
	// transaction behind the pool's back. Use BeginTx, or a connection of your own.
	ErrControl = errors.New("isolation: statement controls the session or transaction")
	// ErrNotProvisioned means that the tenant has no home yet, or no more.
	ErrNotProvisioned = errors.New("isolation: tenant is not provisioned (Provision makes its home)")
	// ErrUnsafe means that the database or the role is set up so that isolation
	// would not hold. The text says how to mend it.
	ErrUnsafe = errors.New("isolation: unsafe setup")
	// ErrClosed means that the pool is closed.
	ErrClosed = errors.New("isolation: pool is closed")
	// ErrTenantBusy means that the tenant had as many connections in use as it may, by its
	// [Limits] or [MaxConnsPerTenant], until the context ended, whose error is wrapped too.
	ErrTenantBusy = errors.New("isolation: the tenant has as many connections in use as it may")
	// ErrLimit means that a statement, or its transaction, ran into one of the tenant's
	// [Limits] and the server ended it. The error is a [LimitError].
	ErrLimit = errors.New("isolation: ended by a limit of the tenant")
	// ErrNoLimiter means that the tenant's strategy cannot hold it to its [Limits].
	ErrNoLimiter = errors.New("isolation: the strategy cannot limit sessions")
)

// LimitError says which of a tenant's [Limits] a statement ran into. It wraps [ErrLimit]
// and the server's error. PostgreSQL has the same answers for a statement that an
// operator cancelled (pg_cancel_backend), and for a lock that NOWAIT did not wait for:
// under a tenant with these limits, they look the same here.
type LimitError struct {
	Setting string        // statement_timeout, lock_timeout or idle_in_transaction_session_timeout
	Limit   time.Duration // the tenant's
	Err     error         // the server's
}

// Error returns the limit and the server's text.
func (e *LimitError) Error() string {
	return fmt.Sprintf("isolation: %s of %s: %v", e.Setting, e.Limit, e.Err)
}

// Unwrap returns ErrLimit and the server's error.
func (e *LimitError) Unwrap() []error { return []error{ErrLimit, e.Err} }
