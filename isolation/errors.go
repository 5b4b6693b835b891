package isolation

import "errors"

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
)
