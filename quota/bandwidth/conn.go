package bandwidth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Conn returns c with its Reads within the ingress rate and its Writes within the egress
// rate of ctx's tenant. Waiting ends with ctx, with Close (net.ErrClosed), and when the
// deadline passes (os.ErrDeadlineExceeded), which may be set while something waits. Close
// closes c. The result has a CloseWrite method if c has.
//
// Connections that carry packets, such as UDP, are refused, since a packet must not be
// divided.
func (s *Shaper) Conn(ctx context.Context, c net.Conn) (net.Conn, error) {
	if c == nil {
		return nil, errors.New("bandwidth: Conn: want a connection, not nil")
	}
	if addr := c.LocalAddr(); addr != nil && packets(addr.Network()) {
		return nil, fmt.Errorf("bandwidth: Conn: want a stream, got packets (%s)", addr.Network())
	}
	v, err := s.begin(ctx)
	switch {
	case err != nil:
		return nil, err
	case v == nil:
		return c, nil
	}
	return v.conn(c, c), nil
}

// packets reports whether a network's connections keep the bounds of writes.
func packets(network string) bool {
	return strings.HasPrefix(network, "udp") || strings.HasPrefix(network, "ip") ||
		network == "unixgram" || network == "unixpacket"
}

// conn shows nothing of the inner connection but what net.Conn has.
type conn struct {
	net.Conn
	in      reader
	out     writer
	reading chan struct{} // held by the one who reads; a lock that ends with the stream
	writing chan struct{} // so that what several write at a time is not mixed up
}

// conn returns c within the limits. What is read comes from r.
func (v *visit) conn(c net.Conn, r io.Reader) net.Conn {
	limited := &conn{
		Conn:    c,
		in:      reader{stream: v.stream(Ingress, net.ErrClosed), inner: r},
		out:     writer{stream: v.stream(Egress, net.ErrClosed), inner: c},
		reading: make(chan struct{}, 1),
		writing: make(chan struct{}, 1),
	}
	limited.in.stream.deadline = newDeadline()
	limited.out.stream.deadline = newDeadline()
	if half, ok := c.(closeWriter); ok {
		return &halfConn{limited, half}
	}
	return limited
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if err := c.in.stream.lock(c.reading); err != nil {
		return 0, err
	}
	defer func() { <-c.reading }()
	return c.in.Read(p)
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.out.stream.lock(c.writing); err != nil {
		return 0, err
	}
	defer func() { <-c.writing }()
	return c.out.Write(p)
}

func (s *stream) lock(held chan<- struct{}) error {
	select {
	case held <- struct{}{}:
		return nil
	default:
		return s.await(held, nil)
	}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.in.stream.end()
	c.out.stream.end()
	return c.Conn.Close()
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	if err := c.Conn.SetReadDeadline(t); err != nil {
		return err
	}
	c.in.stream.deadline.set(t)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if err := c.Conn.SetWriteDeadline(t); err != nil {
		return err
	}
	c.out.stream.deadline.set(t)
	return nil
}

type closeWriter interface{ CloseWrite() error }

// halfConn is a conn that can be closed for writing alone.
type halfConn struct {
	*conn
	half closeWriter
}

// CloseWrite tells the peer that no more is written. What waits to be written fails.
func (c *halfConn) CloseWrite() error {
	c.out.stream.end()
	return c.half.CloseWrite()
}
