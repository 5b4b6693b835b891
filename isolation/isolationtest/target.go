package isolationtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// ErrLeak means that something of one tenant reached another.
var ErrLeak = errors.New("isolationtest: leak")

// Dialect is the SQL that a strategy's database speaks.
type Dialect int

// The dialects.
const (
	Postgres Dialect = iota
	SQLite
)

// String returns the dialect's name.
func (d Dialect) String() string {
	switch d {
	case Postgres:
		return "PostgreSQL"
	case SQLite:
		return "SQLite"
	default:
		return fmt.Sprintf("Dialect(%d)", int(d))
	}
}

// Target is a pool over the strategy under test, and what the suite must know
// about it.
type Target struct {
	// Pool was made with the options that the suite gave. The suite closes it.
	Pool *isolation.Pool

	// Provision and Deprovision make and remove a tenant's home, with the suite's
	// tables in it. Both must refuse a malformed ID.
	Provision   func(ctx context.Context, t tenant.Tenant) error
	Deprovision func(ctx context.Context, t tenant.Tenant) error

	// Dialect is PostgreSQL unless set.
	Dialect Dialect
	// Shared tells that the tenants share tables, with a column tenant_id.
	Shared bool
	// System tells that the strategy has a system connector. Where tables are
	// shared, it sees the rows of all tenants.
	System bool
	// CopyIn tells that the driver takes COPY … FROM STDIN as a prepared statement
	// inside a transaction, as lib/pq does.
	CopyIn bool
	// Limits tells that the strategy is an isolation.Limiter of PostgreSQL's, and can
	// limit sessions the way it is set up.
	Limits bool

	// Qualified returns SQL text that names t's table from wherever one is, such
	// as schema.table. Nil, or an empty answer, means that there is no such name.
	Qualified func(t tenant.Tenant, table string) string
	// Size returns how many bytes a tenant's data takes, as an isolation.Sizer does. Nil
	// means that nobody knows.
	Size func(ctx context.Context, t tenant.Tenant) (int64, error)
	// Kill ends the server's side of all connections of the pool, and returns
	// once they are gone. Nil means that there is no server.
	Kill func(ctx context.Context) error
}

func (t Target) validate() error {
	if t.Pool == nil || t.Provision == nil || t.Deprovision == nil {
		return errors.New("isolationtest: target lacks Pool, Provision or Deprovision")
	}
	return nil
}

// Finding is a clause that does not hold.
type Finding struct {
	Clause string // what must hold, as a sentence
	Err    error  // what was seen instead; wraps ErrLeak where a tenant saw another's
}

// String returns the clause and what was seen instead.
func (f Finding) String() string { return fmt.Sprintf("%s: %v", f.Clause, f.Err) }
