package sqlitefile

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/internal/sqlguard"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// Strategy gives each tenant a SQLite file in one directory. It is an
// isolation.Strategy and an isolation.Provisioner, and safe for concurrent use.
type Strategy struct {
	config
	dir      *directory
	lock     *sql.DB // one connection to the lock file
	template template
	query    string // of every home's DSN
}

var _ interface {
	isolation.Strategy
	isolation.StatementChecker
	isolation.Provisioner
} = (*Strategy)(nil)

// New returns a strategy over dir, and makes dir with mode 0700 unless it
// exists. A directory that others may write to is refused with
// isolation.ErrUnsafe. Close the strategy after the pools over it.
func New(dir string, opts ...Option) (*Strategy, error) {
	c := defaults()
	for _, opt := range opts {
		opt(&c)
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	d, err := openDirectory(dir)
	if err != nil {
		return nil, fmt.Errorf("sqlitefile: %w", err)
	}
	s := &Strategy{config: c, dir: d, query: homeQuery(c)}
	s.lock = openLock(d)
	return s, nil
}

// Close gives back the directory and the lock. Pools over s can open nothing
// more.
func (s *Strategy) Close() error { return errors.Join(s.lock.Close(), s.dir.Close()) }

// Place returns t's file. It does not look whether there is one: connecting
// does.
func (s *Strategy) Place(_ context.Context, t tenant.Tenant) (isolation.Place, error) {
	if err := t.ID.Validate(); err != nil {
		return isolation.Place{}, err
	}
	path := s.dir.path(homeName(t.ID))
	return isolation.Place{Key: path, Connector: &connector{strategy: s, id: t.ID, path: path}}, nil
}

// Confine checks that conn has t's file open. It sends nothing.
func (s *Strategy) Confine(_ context.Context, dc driver.Conn, t tenant.Tenant) error {
	c, ok := dc.(*conn)
	if !ok {
		return fmt.Errorf("%w: sqlitefile: %T is no connection of this strategy", isolation.ErrUnsafe, dc)
	}
	if c.strategy != s || c.id != t.ID {
		return fmt.Errorf("%w: sqlitefile: the connection is tenant %s's; open one through Place", isolation.ErrUnsafe, c.id)
	}
	return nil
}

// CheckStatement refuses statements that control the session or transaction.
func (s *Strategy) CheckStatement(query string, inTx bool) error {
	if err := sqlguard.SQLite(query, inTx); err != nil {
		return fmt.Errorf("%w: %w", isolation.ErrControl, err)
	}
	return nil
}
