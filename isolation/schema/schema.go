package schema

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/isolation/internal/pgsession"
	"github.com/tenancy-go/tenancy/tenant"
)

const (
	// tenantsPerConn bounds what a server process keeps for the tables that it ever
	// touched, and never gives back: 18 to 54 MB, at 74 KB (small tables) to 215 KB
	// (every table read by its key) for a schema of ten.
	tenantsPerConn = 250
	// cachedHomes bounds the homes kept in memory, at about 1 KB each.
	cachedHomes = 10_000
	// maxLookups bounds the connections that read the registry at a time.
	maxLookups = 2
)

// Strategy gives each tenant a schema of one database, and a role with rights on
// that schema alone. It is safe for concurrent use.
type Strategy struct {
	config
	key       string
	connector driver.Connector // bare, for the registry
	checked   driver.Connector // for tenants
	homes     *lru.Cache[tenant.ID, *home]
	lookups   chan struct{} // held by whoever reads the registry
	limits    *pgsession.Limits
	installed atomic.Pointer[installation]
}

var (
	_ isolation.Strategy     = (*Strategy)(nil)
	_ isolation.SystemPlacer = (*Strategy)(nil)
	_ isolation.Provisioner  = (*Strategy)(nil)
	_ isolation.Recycler     = (*Strategy)(nil)
	_ isolation.Limiter      = (*Strategy)(nil)
)

// New returns a strategy whose tenants are served by connections of connector, of
// package isolation/postgres. Its login role is one that postgres.EnsureRole
// made: it has no rights but those that the strategy grants it. New does not
// connect.
func New(connector driver.Connector, opts ...Option) (*Strategy, error) {
	if connector == nil {
		return nil, errors.New("isolation/schema: nil connector")
	}
	c := config{name: defaultName}
	for _, opt := range opts {
		opt(&c)
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	homes, err := lru.New[tenant.ID, *home](cachedHomes)
	if err != nil {
		return nil, fmt.Errorf("isolation/schema: %w", err)
	}
	return &Strategy{
		config:    c,
		key:       "schema/" + pghome.Describe(connector),
		connector: connector,
		checked:   pghome.Checked(connector, pghome.Check()),
		homes:     homes,
		lookups:   make(chan struct{}, maxLookups),
		limits:    pgsession.NewLimits(),
	}, nil
}

// Place returns the database that all schemas are in; with [LoginRoles], t's own
// way into it. The first call for a tenant reads the registry.
func (s *Strategy) Place(ctx context.Context, t tenant.Tenant) (isolation.Place, error) {
	h, err := s.home(ctx, t.ID)
	if err != nil {
		return isolation.Place{}, err
	}
	return h.place, nil
}

// PlaceSystem returns the connector given with [System].
func (s *Strategy) PlaceSystem(context.Context) (isolation.Place, error) {
	if s.system == nil {
		return isolation.Place{}, isolation.ErrNoSystem
	}
	return isolation.Place{Key: s.key, Connector: s.system}, nil
}

// TenantsPerConn returns 250: at 74 to 215 KB for each schema of ten tables, a
// server process then holds some 18 to 54 MB for them.
func (s *Strategy) TenantsPerConn() int { return tenantsPerConn }

// Confine clears the session, takes on t's role and makes t's schema the only one
// that names are looked up in, in one round trip; with [TransactionScoped], in none,
// since that happens along with each statement. A home that was removed or replaced
// since it was read from the registry is refused by the server, and read again.
func (s *Strategy) Confine(ctx context.Context, conn driver.Conn, t tenant.Tenant) error {
	return s.ConfineWithin(ctx, conn, t, isolation.Limits{})
}

// CanLimit returns nil.
func (s *Strategy) CanLimit() error { return nil }

// ConfineWithin is Confine with l in the same message.
func (s *Strategy) ConfineWithin(ctx context.Context, conn driver.Conn, t tenant.Tenant, l isolation.Limits) error {
	limits := s.limits.Settings(l)
	h, err := s.home(ctx, t.ID)
	if err != nil {
		return err
	}
	if s.scoped {
		return pgsession.Enter(conn, s.entry(t.ID, h, limits))
	}
	err = pgsession.Confine(ctx, conn, h.confine+limits.Text)
	if err == nil || !isStale(err) {
		return err
	}
	s.forget(t.ID, h)
	fresh, lookupErr := s.home(ctx, t.ID)
	if lookupErr != nil {
		return errors.Join(lookupErr, err)
	}
	if fresh.same(h) {
		return err
	}
	// What failed was one transaction, and this message clears the session again.
	return pgsession.Confine(ctx, conn, fresh.confine+limits.Text)
}

// isStale reports whether err may come from a home that is not what it was.
func isStale(err error) bool {
	switch pghome.State(err) {
	case "42704", // the role does not exist
		"3F000", // the schema does not exist
		"22023", // SET ROLE found no role
		"22P02", // home.confine's own check
		"42501": // the login role may not take the role on
		return true
	default:
		return false
	}
}
