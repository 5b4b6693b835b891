package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/lib/pq"
)

// Connector opens connections to one database. It is safe for concurrent use.
type Connector struct {
	cfg      pq.Config
	dial     DialFunc
	security *security // nil if lib/pq sees to TLS
	pooler   bool
	closing  bool // cancels by closing
}

// DialFunc opens a network connection. network is "tcp" or "unix".
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Option changes a Connector.
type Option func(*Connector)

// Dial opens network connections with dial, for example through a tunnel.
// The default is a net.Dialer.
func Dial(dial DialFunc) Option { return func(c *Connector) { c.dial = dial } }

// BehindPooler lets a pooler such as PgBouncer, in transaction mode, stand between
// the connections and the server. They serve only strategies that leave nothing on
// the session, such as those with row.TransactionScoped or schema.TransactionScoped;
// others refuse them.
func BehindPooler() Option { return func(c *Connector) { c.pooler = true } }

// CloseToCancel ends a statement whose context has ended by closing its connection,
// rather than by a cancel request. What runs at the server then runs on until it is
// done, or PostgreSQL notices (its setting client_connection_check_interval). It is
// for PgBouncer 1.18.0 to 1.20.0, which may crash on a cancel request
// (https://github.com/pgbouncer/pgbouncer/pull/927).
func CloseToCancel() Option { return func(c *Connector) { c.closing = true } }

// NewConnector returns a connector for dsn, a postgres:// URL or a list of
// key=value pairs as lib/pq reads them. The PG* environment variables fill in
// what dsn leaves out. It does not connect.
func NewConnector(dsn string, opts ...Option) (*Connector, error) {
	cfg, err := pq.NewConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("isolation/postgres: read connection string: %w", err)
	}
	var netDialer net.Dialer
	c := &Connector{cfg: cfg, dial: netDialer.DialContext}
	for _, opt := range opts {
		opt(c)
	}
	if c.dial == nil {
		return nil, errors.New("isolation/postgres: nil dial function")
	}
	c.cfg.BinaryParameters = true
	if err := c.takeTLS(); err != nil {
		return nil, err
	}
	return c, nil
}

// takeTLS takes the negotiation of TLS over from lib/pq, where it can be.
func (c *Connector) takeTLS() error {
	s, own, err := securityOf(c.cfg)
	if err != nil {
		return fmt.Errorf("isolation/postgres: TLS: %w", err)
	}
	switch {
	case own:
		c.security, c.cfg.SSLMode, c.cfg.SSLNegotiation = &s, pq.SSLModeDisable, ""
	case c.pooler:
		return fmt.Errorf("isolation/postgres: sslmode=%s is not possible together with BehindPooler; use disable, prefer, require, verify-ca or verify-full", c.cfg.SSLMode)
	}
	return nil
}

// WithDatabase returns a connector that differs from c in the database only.
func (c *Connector) WithDatabase(name string) *Connector {
	other := c.clone()
	other.cfg.Database = name
	return other
}

// WithUser returns a connector that differs from c in the user and password only.
func (c *Connector) WithUser(user, password string) *Connector {
	other := c.clone()
	other.cfg.Database = c.Database() // which the user's name may have stood for
	other.cfg.User, other.cfg.Password = user, password
	return other
}

func (c *Connector) clone() *Connector {
	other := *c
	other.cfg = c.cfg.Clone()
	return &other
}

// User returns the name of the role that c logs in as.
func (c *Connector) User() string { return c.cfg.User }

// Database returns the name of the database that c connects to.
func (c *Connector) Database() string {
	if c.cfg.Database == "" {
		return c.cfg.User // the server's own default
	}
	return c.cfg.Database
}

// String names the server, database and user, without the password.
func (c *Connector) String() string {
	return fmt.Sprintf("%s@%s/%s", c.cfg.User, net.JoinHostPort(c.cfg.Host, strconv.Itoa(int(c.cfg.Port))), c.Database())
}

// Driver returns lib/pq's driver.
func (c *Connector) Driver() driver.Driver { return &pq.Driver{} }

// Connect opens a connection and checks it. It returns a [*Conn], or an error
// that wraps isolation.ErrUnsafe if tenants could not be kept apart on it. Unlike
// lib/pq's, it gives up when ctx ends, at any point.
func (c *Connector) Connect(ctx context.Context) (driver.Conn, error) {
	l := &link{}
	stop := context.AfterFunc(ctx, l.close)
	inner, err := c.open(context.WithValue(ctx, linkKey{}, l))
	if !stop() {
		if err == nil {
			_ = inner.Close()
		}
		return nil, fmt.Errorf("isolation/postgres: connect to %s: %w", c, context.Cause(ctx))
	}
	if err != nil {
		return nil, fmt.Errorf("isolation/postgres: connect to %s: %w", c, err)
	}
	conn, err := c.accept(ctx, inner, l)
	if err != nil {
		_ = inner.Close()
		return nil, err
	}
	return conn, nil
}

// open opens lib/pq's connection.
func (c *Connector) open(ctx context.Context) (driver.Conn, error) {
	connector, err := pq.NewConnectorConfig(c.cfg)
	if err != nil {
		return nil, err
	}
	d := dialer{dial: c.dial, security: c.security}
	if c.closing {
		d.cancels, _ = ctx.Value(linkKey{}).(*link)
	}
	connector.Dialer(d)
	return connector.Connect(ctx)
}

// accept wraps inner, if isolation can hold on it.
func (c *Connector) accept(ctx context.Context, inner driver.Conn, l *link) (*Conn, error) {
	base, ok := inner.(pqConn)
	if !ok {
		return nil, unsafe("this version of lib/pq lacks methods that its connections had; pin the version that go.mod of Tenancy names")
	}
	st, err := inspect(inner)
	if err != nil {
		return nil, err
	}
	if err := checkSession(ctx, base, st.pid, c.pooler); err != nil {
		return nil, fmt.Errorf("%w (connection to %s)", err, c)
	}
	return &Conn{pqConn: base, state: st, link: l, dial: c.dial, wire: l.wire, pooler: c.pooler, closing: c.closing}, nil
}
