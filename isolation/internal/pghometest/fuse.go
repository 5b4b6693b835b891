// Package pghometest breaks provisioning half-way, for tests.
package pghometest

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
)

// ErrBlown is what a fuse's connections fail with.
var ErrBlown = errors.New("pghometest: fuse blown")

// Fuse opens network connections that send a number of messages between them and
// then break all at once, as when their process is killed.
type Fuse struct {
	limit int64
	sent  atomic.Int64
	blow  func() // called once, before the connections break
}

// NewFuse returns a fuse that lets limit messages pass and calls blow, which may
// be nil, at the next.
func NewFuse(limit int, blow func()) *Fuse {
	if blow == nil {
		blow = func() {}
	}
	return &Fuse{limit: int64(limit), blow: blow}
}

// Sent returns how many messages were sent, or tried.
func (f *Fuse) Sent() int { return int(f.sent.Load()) }

// Blown reports whether the fuse has blown.
func (f *Fuse) Blown() bool { return f.sent.Load() > f.limit }

// Dial is a postgres.DialFunc.
func (f *Fuse) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if f.Blown() {
		return nil, ErrBlown
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &fused{Conn: conn, fuse: f}, nil
}

type fused struct {
	net.Conn
	fuse *Fuse
}

func (c *fused) Write(b []byte) (int, error) {
	n := c.fuse.sent.Add(1)
	if n == c.fuse.limit+1 {
		c.fuse.blow()
	}
	if n > c.fuse.limit {
		return 0, errors.Join(ErrBlown, c.Conn.Close())
	}
	return c.Conn.Write(b)
}
