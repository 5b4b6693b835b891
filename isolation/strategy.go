package isolation

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Strategy isolates tenants from each other. It answers two questions: where
// does a tenant's data live, and how is a connection confined to it. It must be
// safe for concurrent use. isolationtest.TestStrategy checks one.
type Strategy interface {
	// Place returns where t's data lives. The pool calls it whenever it needs a
	// connection for t, so it answers from memory where it can.
	// An error wrapping ErrNotProvisioned means that t has no home.
	Place(ctx context.Context, t tenant.Tenant) (Place, error)

	// Confine makes conn, opened by t's place, see t's data and nothing else, and
	// leaves nothing of an earlier tenant on it: temporary tables, cursors,
	// settings, locks, prepared statements, which the pool takes for gone, unless conn has
	// a method KeepsStatements() bool that returned true just before. The pool calls it on every new connection and when a
	// connection passes from one tenant to another, never inside a transaction.
	// It costs at most one round trip. After an error the pool closes conn.
	Confine(ctx context.Context, conn driver.Conn, t tenant.Tenant) error
}

// Place is where a tenant's data lives.
type Place struct {
	// Key names the server and database. A connection may pass from one tenant to
	// another of the same key. Strategies that share nothing use a key per tenant.
	Key string
	// Connector opens connections there. It checks each of them, and refuses
	// (ErrUnsafe) one on which isolation would not hold.
	Connector driver.Connector
	// Via confines the connections opened there, checks their statements
	// ([StatementChecker]) and recycles them ([Recycler]), where the strategy that
	// returned the place only chose between others, as package route does. Places
	// with the same Key and another Via share nothing. There are few, each the same at
	// every call, and comparable, as a pointer is. Nil is the strategy that returned
	// the place.
	Via Strategy
}

// Mover is a [Strategy] under which a tenant's place may change while it is served.
type Mover interface {
	// OnMove has moved called with a tenant's ID whenever Place answers otherwise for
	// it than before, once it does, until stop is called. [New] gives it the pool's
	// [Pool.Forget].
	OnMove(moved func(tenant.ID)) (stop func())
}

// SystemPlacer is a [Strategy] that lets the platform itself in: statements of a
// system context use the place it returns, unconfined.
type SystemPlacer interface {
	// PlaceSystem returns the system's place, or ErrNoSystem.
	PlaceSystem(ctx context.Context) (Place, error)
}

// StatementChecker is a [Strategy] whose database speaks another dialect than
// PostgreSQL.
type StatementChecker interface {
	// CheckStatement returns an error wrapping ErrControl if query, or one of the
	// statements in it, controls the session or the transaction. inTx tells that
	// it runs in a transaction, where savepoints are fine.
	CheckStatement(query string, inTx bool) error
}

// Recycler is a [Strategy] whose connections grow with each tenant they served.
type Recycler interface {
	// TenantsPerConn returns how many different tenants a connection serves
	// before it is closed; 0 means any number. [MaxTenantsPerConn] overrides it.
	TenantsPerConn() int
}

// Renewer is a [Strategy] whose confinement runs out, as that by a signed token does.
type Renewer interface {
	// RenewAfter returns how long after Confine a connection is confined anew before
	// its next statement outside a transaction; 0 means never.
	RenewAfter() time.Duration
}

// Provisioner makes, migrates and removes the homes of tenants. Every strategy of
// this module is one. Its methods are idempotent, and may be called again after
// they failed or were killed half-way. They use the strategy's administrative
// connector, never the pool's.
type Provisioner interface {
	// Prepare makes what all tenants share, at the current schema: tables, roles,
	// functions, a template. Call it at start and after each release. Where tables
	// are shared, Provision fails without it; elsewhere Provision makes up for it.
	Prepare(ctx context.Context) error
	// Provision makes t's home, at the current schema.
	Provision(ctx context.Context, t tenant.Tenant) error
	// Migrate brings t's home to the current schema, in a transaction where the
	// database allows it. Without a home the error wraps ErrNotProvisioned.
	Migrate(ctx context.Context, t tenant.Tenant) error
	// Deprovision removes t's home with all data in it. Close t's idle connections
	// first ([Pool.Forget]; [Pool.Provisioner] does so). A tenant without a home is
	// no error.
	Deprovision(ctx context.Context, t tenant.Tenant) error
}

// Home is where a tenant's tables are, as their owner finds them.
type Home struct {
	// Key is equal for tenants that share their tables, and differs otherwise. A
	// home that was removed and made again has another. It holds no password.
	Key string
	// Shared tells that rows of other tenants are in the same tables. Column is
	// the one that tells them apart.
	Shared bool
	Column string
	// Schemas are the PostgreSQL schemas in which the tables lie; nil for SQLite.
	// Names are looked up, and new tables made, in the first.
	Schemas []string
	// Dialect is "postgres" or "sqlite".
	Dialect string
	// Versions is the table, laid out as github.com/pressly/goose does, in which
	// the migrations of this home are recorded, by the strategy's Migrate too. It
	// is there once a migration was recorded.
	Versions string
}

// Administrator is a [Strategy] that lets the platform into tenants' homes as
// their owner, to migrate, copy or compare them. It uses the strategy's
// administrative connector. Every strategy of this module is one.
type Administrator interface {
	// HomeKeys returns the Key of each tenant's home as it is now, in the order of
	// ts, and "" for a tenant without one. It asks each server once, however many
	// tenants there are.
	HomeKeys(ctx context.Context, ts []tenant.Tenant) ([]string, error)
	// Administer runs work on a connection on which t's tables are found without
	// a schema before their names, with the rights of the role that owns them: as
	// the strategy's own migrations run. While work runs, a home of t's own is not
	// migrated, removed or made by the strategy. work begins outside a
	// transaction, does not close conn, and does not keep it.
	//
	// Where tables are shared, statements have to name the tenant's column
	// themselves: only row security that is forced binds an owner, unless it is a
	// superuser, and it lets an owner without a tenant see nothing. What work
	// changes in shared tables is brought under the policies before Administer
	// returns.
	//
	// Without a home the error wraps ErrNotProvisioned.
	Administer(ctx context.Context, t tenant.Tenant, work func(ctx context.Context, conn *sql.Conn, home Home) error) error
}

// Managed is a [Strategy] that makes the homes of its tenants itself, as those of
// this module do.
type Managed interface {
	Strategy
	Provisioner
}
