// Package isolation gives an application one *sql.DB in which every statement
// sees its tenant's data and nothing else.
//
//	strategy, err := row.New(connector)
//	pool, err := isolation.New(strategy, isolation.MaxConns(50))
//	db := sql.OpenDB(pool)
//	rows, err := db.QueryContext(ctx, `SELECT id, total FROM orders`) // ctx's tenant's
//
// # How it holds
//
// A [Pool] is a driver.Connector. The context of each statement decides the
// tenant, the [Strategy] decides where its data lives and how a connection is
// confined to it, and the database enforces the boundary. So raw SQL, bulk
// updates, joins and every ORM over database/sql stay inside the tenant.
//
// # Rules
//
// Outside a transaction, a statement whose context has no tenant fails with
// tenant.ErrNoTenant before anything reaches the database. A transaction
// belongs to the tenant that began it: in it, a context without a tenant
// inherits, and another tenant's is refused with [ErrTenantChanged]. A system
// context (tenant.System) uses the strategy's system connector, or fails with
// [ErrNoSystem]. Transactions and sessions are controlled through database/sql
// alone: BEGIN, SET, RESET, DISCARD, LISTEN and the like sent as text are
// refused with [ErrControl].
//
// # Limits
//
// The pool opens at most [MaxConns] connections over all servers. Limits and
// idle settings of the *sql.DB concern logical connections, which cost nothing;
// leave them alone. Who waits, waits fairly: tenants take turns, however much one
// of them asks for. The context's deadline bounds the wait.
//
// [LimitsBy] holds each tenant to limits of its own, by its plan: how long statements may
// take and wait for locks, how long transactions may idle, memory, and connections at once.
// They are set with the tenant, in the same message, and go with it. Errors tell what was
// run into: [LimitError], [ErrTenantBusy].
package isolation
