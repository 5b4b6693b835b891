package row

import (
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pgsession"
)

// Strategy keeps the tenants' rows apart in shared tables. It is an
// isolation.Strategy and an isolation.Provisioner, and safe for concurrent use.
type Strategy struct {
	config
	runtime driver.Connector // as given, unchecked
	place   isolation.Place
	mode    mode
	keys    *keyring // nil if the mode has none
	limits  *pgsession.Limits
}

// New returns a strategy whose statements run on connector's connections, which
// come from package isolation/postgres. The role that connector logs in as is the
// runtime role: it must own nothing and bypass nothing (postgres.EnsureRole makes
// such a role), and New's caller runs Install or Migrate once before it serves.
func New(connector driver.Connector, opts ...Option) (*Strategy, error) {
	if connector == nil {
		return nil, errors.New("isolation/row: nil connector")
	}
	s := &Strategy{config: defaults(), runtime: connector, limits: pgsession.NewLimits()}
	for _, opt := range opts {
		opt(&s.config)
	}
	if err := s.config.check(); err != nil {
		return nil, err
	}
	var err error
	if s.mode, s.keys, err = s.config.mode(); err != nil {
		return nil, err
	}
	s.place = isolation.Place{Key: key(connector), Connector: guarded{inner: connector, strategy: s}}
	return s, nil
}

// key names connector's server and database.
func key(connector driver.Connector) string {
	if named, ok := connector.(fmt.Stringer); ok {
		return "row " + named.String()
	}
	return fmt.Sprintf("row %p", connector)
}
