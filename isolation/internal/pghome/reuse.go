package pghome

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"reflect"
	"sync"
)

// maxUses bounds how often a connection is used again: a server process keeps some
// memory for every schema that it ever touched.
const maxUses = 200

// Connections keeps connections between calls of [Reuse]. Opening one costs more
// than most of what is done on it. The zero Connections is ready for use; it must
// not be copied.
type Connections struct {
	mu   sync.Mutex
	idle map[driver.Connector][]*kept // guarded by mu
}

type kept struct {
	db   *sql.DB
	conn *sql.Conn
	uses int
}

type connectionsKey struct{}

// Keep returns a context in which [Reuse] takes connections from c, and gives them
// back. There are never more than are in use at a time.
func (c *Connections) Keep(ctx context.Context) context.Context {
	return context.WithValue(ctx, connectionsKey{}, c)
}

// Close closes what is kept.
func (c *Connections) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	for _, all := range c.idle {
		for _, k := range all {
			err = errors.Join(err, k.close())
		}
	}
	c.idle = nil
	return err
}

func (k *kept) close() error { return errors.Join(closeConn(k.conn), k.db.Close()) }

// Reuse is [With], on a connection of ctx's Connections, if it has any. The next user
// finds the session as it was opened.
func Reuse(ctx context.Context, connector driver.Connector, work func(context.Context, *sql.Conn) error) error {
	return reuse(ctx, connector, work, func(conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, "DISCARD ALL")
		return err
	})
}

// ReuseUncleared is [Reuse] for work that clears the session itself before anything else.
func ReuseUncleared(ctx context.Context, connector driver.Connector, work func(context.Context, *sql.Conn) error) error {
	return reuse(ctx, connector, work, func(*sql.Conn) error { return nil })
}

func reuse(ctx context.Context, connector driver.Connector, work func(context.Context, *sql.Conn) error, clear func(*sql.Conn) error) error {
	c, ok := ctx.Value(connectionsKey{}).(*Connections)
	if !ok || !reflect.ValueOf(connector).Comparable() {
		return With(ctx, connector, work)
	}
	k, err := c.alive(ctx, connector)
	if err != nil {
		return err
	}
	err = work(ctx, k.conn)
	if k.uses++; err != nil || k.uses >= maxUses || ctx.Err() != nil {
		return errors.Join(err, k.close())
	}
	if err := clear(k.conn); err != nil {
		return k.close() // work is done; the session is of no use any more
	}
	c.give(connector, k)
	return nil
}

// alive returns a kept connection that still answers, or a new one.
func (c *Connections) alive(ctx context.Context, connector driver.Connector) (*kept, error) {
	for k := c.take(connector); k != nil; k = c.take(connector) {
		if k.conn.PingContext(ctx) == nil {
			return k, nil
		}
		_ = k.close() // it died while nobody used it
	}
	k := &kept{db: sql.OpenDB(connector)}
	var err error
	if k.conn, err = k.db.Conn(ctx); err != nil {
		return nil, errors.Join(err, k.db.Close())
	}
	return k, nil
}

func (c *Connections) take(connector driver.Connector) *kept {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.idle[connector]
	if len(all) == 0 {
		return nil
	}
	k := all[len(all)-1]
	c.idle[connector] = all[:len(all)-1]
	return k
}

func (c *Connections) give(connector driver.Connector, k *kept) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle == nil {
		c.idle = map[driver.Connector][]*kept{}
	}
	c.idle[connector] = append(c.idle[connector], k)
}
