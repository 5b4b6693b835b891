package isolation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Option changes a setting of [New].
type Option func(*config)

type config struct {
	maxConns          int
	maxConnsPerTenant int  // 0: no limit of its own
	tenantsPerConn    int  // 0: any number
	recycleAtWill     bool // tenantsPerConn is the choice of each place's strategy
	idleTime          time.Duration
	lifetime          time.Duration
	drainTimeout      time.Duration
	stmtCache         int
	limited           bool // by limits
	limits            func(context.Context, tenant.Tenant) (Limits, error)
}

func defaults() config {
	return config{
		maxConns:      20,
		recycleAtWill: true,
		idleTime:      5 * time.Minute,
		drainTimeout:  5 * time.Second,
		stmtCache:     100,
	}
}

// MaxConns bounds the open connections, over all tenants and servers. The
// default is 20.
func MaxConns(n int) Option { return func(c *config) { c.maxConns = n } }

// MaxConnsPerTenant bounds the connections that one tenant uses at a time, and
// those of the system context likewise; [LimitsBy] may set a lower bound for one tenant.
// The default, 0, is no bound but [MaxConns].
func MaxConnsPerTenant(n int) Option { return func(c *config) { c.maxConnsPerTenant = n } }

// MaxTenantsPerConn closes a connection once it has served n different tenants,
// since a server's process keeps memory for each schema that it ever touched. 0
// is any number. The default is the strategy's choice ([Recycler]), or 0.
func MaxTenantsPerConn(n int) Option {
	return func(c *config) { c.tenantsPerConn, c.recycleAtWill = n, false }
}

// ConnMaxIdleTime closes connections that were idle for d. 0 keeps them. The
// default is 5 minutes.
func ConnMaxIdleTime(d time.Duration) Option { return func(c *config) { c.idleTime = d } }

// ConnMaxLifetime closes connections d after they were opened, once they are
// idle. The default, 0, keeps them.
func ConnMaxLifetime(d time.Duration) Option { return func(c *config) { c.lifetime = d } }

// DrainTimeout bounds how long [Pool.Close] waits for connections in use before
// it ends them. The default is 5 seconds.
func DrainTimeout(d time.Duration) Option { return func(c *config) { c.drainTimeout = d } }

// PreparedStatements bounds the prepared statements that the pool keeps on each
// connection: those of *sql.Stmt, and of queries with arguments that a connection
// runs for the second time, which saves parsing and planning from the third on. The
// default is 100. With 0, only *sql.Stmt prepare.
func PreparedStatements(n int) Option { return func(c *config) { c.stmtCache = n } }

func (c config) validate() error {
	settings := []struct {
		name   string
		value  int64
		lowest int64
	}{
		{"MaxConns", int64(c.maxConns), 1},
		{"MaxConnsPerTenant", int64(c.maxConnsPerTenant), 0},
		{"MaxTenantsPerConn", int64(c.tenantsPerConn), 0},
		{"ConnMaxIdleTime", int64(c.idleTime), 0},
		{"ConnMaxLifetime", int64(c.lifetime), 0},
		{"DrainTimeout", int64(c.drainTimeout), 0},
		{"PreparedStatements", int64(c.stmtCache), 0},
	}
	for _, s := range settings {
		if s.value < s.lowest {
			return fmt.Errorf("isolation: %s: want at least %d, got %d", s.name, s.lowest, s.value)
		}
	}
	if c.limited && c.limits == nil {
		return errors.New("isolation: LimitsBy: nil function")
	}
	return nil
}
