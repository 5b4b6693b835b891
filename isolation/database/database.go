package database

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
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/tenant"
)

// cachedPlaces bounds the places kept in memory, at about 1 KB each.
const cachedPlaces = 10_000

// Strategy gives each tenant a database of its own. It is safe for concurrent
// use.
type Strategy struct {
	config
	key       string
	connector *postgres.Connector
	places    *lru.Cache[tenant.ID, isolation.Place]
	login     atomic.Pointer[string] // whom connector logs in as, once known
	limits    *pgsession.Limits
}

var (
	_ isolation.Strategy     = (*Strategy)(nil)
	_ isolation.SystemPlacer = (*Strategy)(nil)
	_ isolation.Provisioner  = (*Strategy)(nil)
	_ isolation.Limiter      = (*Strategy)(nil)
)

// New returns a strategy whose tenants are served by connector's server and login
// role, which postgres.EnsureRole made; its database is replaced by each
// tenant's. Provision and Verify connect to the original one to learn the role's
// name. New does not connect.
func New(connector *postgres.Connector, opts ...Option) (*Strategy, error) {
	if connector == nil {
		return nil, errors.New("isolation/database: nil connector")
	}
	c := config{prefix: "tenant_"}
	for _, opt := range opts {
		opt(&c)
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	places, err := lru.New[tenant.ID, isolation.Place](cachedPlaces)
	if err != nil {
		return nil, fmt.Errorf("isolation/database: %w", err)
	}
	return &Strategy{
		config:    c,
		key:       "database/" + pghome.Describe(connector) + "/",
		connector: connector,
		places:    places,
		limits:    pgsession.NewLimits(),
	}, nil
}

// Place returns t's database, from memory alone. That it does not exist shows when
// a connection is opened: the error wraps isolation.ErrNotProvisioned.
func (s *Strategy) Place(_ context.Context, t tenant.Tenant) (isolation.Place, error) {
	if place, ok := s.places.Get(t.ID); ok {
		return place, nil
	}
	if err := t.ID.Validate(); err != nil {
		return isolation.Place{}, err
	}
	name := s.homeName(t.ID)
	place := isolation.Place{Key: s.key + name, Connector: newHomeConnector(s.connector, name, t.ID)}
	s.places.Add(t.ID, place)
	return place, nil
}

// PlaceSystem returns the connector given with [System].
func (s *Strategy) PlaceSystem(context.Context) (isolation.Place, error) {
	if s.system == nil {
		return isolation.Place{}, isolation.ErrNoSystem
	}
	return isolation.Place{Key: s.key, Connector: s.system}, nil
}

// Confine refuses conn, with an error wrapping isolation.ErrUnsafe, unless t's
// place opened it. It asks the server nothing and clears nothing, since conn
// served no other tenant.
func (s *Strategy) Confine(_ context.Context, conn driver.Conn, t tenant.Tenant) error {
	_, err := s.homeConn(conn, t)
	return err
}

// CanLimit returns nil.
func (s *Strategy) CanLimit() error { return nil }

// ConfineWithin is Confine, and puts l on the session in the flight of the next statement,
// or in a round trip of its own where lib/pq has TLS to itself ([postgres.Conn.Rides]).
func (s *Strategy) ConfineWithin(ctx context.Context, conn driver.Conn, t tenant.Tenant, l isolation.Limits) error {
	c, err := s.homeConn(conn, t)
	if err != nil || c.limits == l {
		return err
	}
	if err := s.limits.Settings(l).Set(ctx, c.Conn); err != nil {
		return err
	}
	c.limits = l
	return nil
}

// homeConn returns the connection of t's place that conn is or wraps.
func (s *Strategy) homeConn(conn driver.Conn, t tenant.Tenant) (*homeConn, error) {
	if err := t.ID.Validate(); err != nil {
		return nil, err
	}
	for {
		if c, ok := conn.(*homeConn); ok {
			return c, c.checkHome(t.ID, s.homeName(t.ID))
		}
		wrapper, ok := conn.(interface{ Unwrap() driver.Conn })
		if !ok {
			return nil, fmt.Errorf("%w: connection of type %T was not opened by tenant %s's place", isolation.ErrUnsafe, conn, t.ID)
		}
		conn = wrapper.Unwrap()
	}
}
