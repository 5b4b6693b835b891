package quota

import (
	"net"
	"net/netip"
	"sync"

	"github.com/tenancy-go/tenancy/internal/clientaddr"
)

// Listener returns a listener that closes connections of an address that has too
// many open ones, before a byte is read: clients that open connections and send
// nothing, or next to it, cannot take them all. Set the server's ReadHeaderTimeout
// as well.
func (g *Guard) Listener(l net.Listener) net.Listener { return &guardedListener{Listener: l, guard: g} }

type guardedListener struct {
	net.Listener
	guard *Guard
}

func (l *guardedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if guarded, ok := l.guard.admit(conn); ok {
			return guarded, nil
		}
		_ = conn.Close() // nobody is told: that would cost more than it is worth
	}
}

// admit counts a connection until it is closed.
func (g *Guard) admit(conn net.Conn) (net.Conn, bool) {
	addr, err := clientaddr.Parse(conn.RemoteAddr().String())
	if err != nil || g.config.proxies.Trusts(addr) {
		return conn, true
	}
	network := clientaddr.Network(addr)
	if _, _, ok := g.held.take(network.String(), 1, g.config.conns, g.config.conns); !ok {
		return nil, false
	}
	return &guardedConn{Conn: conn, guard: g, network: network}, true
}

// guardedConn is a connection that counts until it is closed.
type guardedConn struct {
	net.Conn
	guard   *Guard
	network netip.Prefix
	once    sync.Once
}

func (c *guardedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.guard.held.release(c.network.String(), 1) })
	return err
}

// NetConn returns the connection itself, as that of crypto/tls does.
func (c *guardedConn) NetConn() net.Conn { return c.Conn }
