package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// abortTimeout bounds the time in which the server takes a cancellation.
const abortTimeout = 2 * time.Second

// link is the network connection under a Conn. lib/pq may dial several times
// before one is accepted; the last is the one in use.
type link struct {
	mu               sync.Mutex
	conn             net.Conn // guarded by mu, like all that follows
	network, address string
	closed           bool

	wire *wire // below the last connection; nil if lib/pq has TLS to itself; not guarded
}

// linkKey is the context key under which dialer finds the *link to fill in.
type linkKey struct{}

// set makes conn the one in use, unless l is closed already.
func (l *link) set(conn net.Conn, network, address string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = conn.Close()
		return net.ErrClosed
	}
	l.conn, l.network, l.address = conn, network, address
	return nil
}

// close ends all reading and writing. TLS, if any, gets no farewell.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

func (l *link) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

func (l *link) target() (network, address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.network, l.address
}

// farewellTimeout bounds the time in which the server ends a session.
const farewellTimeout = time.Second

// farewell is a network connection that is closed once the server has ended the
// session, so that whoever counts connections never finds more at the server than
// are open here.
type farewell struct {
	net.Conn
	link *link
}

func (f farewell) Close() error {
	half, ok := f.Conn.(interface{ CloseWrite() error })
	if ok && !f.link.isClosed() && half.CloseWrite() == nil && f.SetReadDeadline(time.Now().Add(farewellTimeout)) == nil {
		_, _ = io.Copy(io.Discard, f.Conn) // ends when the server closes its side, or in time
	}
	return f.Conn.Close()
}

// dialer dials for lib/pq and remembers what it dialled.
type dialer struct {
	dial     DialFunc
	security *security // nil if lib/pq sees to it
	cancels  *link     // to be closed where lib/pq dials to cancel; nil if it may dial
}

func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	l, connecting := ctx.Value(linkKey{}).(*link) // not when lib/pq dials to cancel
	if !connecting && d.cancels != nil {
		d.cancels.close()
		return nil, net.ErrClosed
	}
	conn, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if connecting {
		if err := l.set(conn, network, address); err != nil {
			return nil, err
		}
		return d.finish(ctx, farewell{conn, l}, l, network, address)
	}
	return conn, nil
}

// finish makes conn what lib/pq speaks through.
func (d dialer) finish(ctx context.Context, conn net.Conn, l *link, network, address string) (net.Conn, error) {
	if d.security == nil {
		return conn, nil
	}
	secured, err := d.security.secure(ctx, conn, network, address)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	l.wire = newWire(secured)
	return l.wire, nil
}

func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// cancel asks the server to stop what runs on c's session. As libpq's PQcancel
// does, it sends the request in the clear: it can stop this session's statement
// and do nothing else, and the session is over.
func (c *Conn) cancel() error {
	ctx, stop := context.WithTimeout(context.Background(), abortTimeout)
	defer stop()
	network, address := c.link.target()
	conn, err := c.dial(ctx, network, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(abortTimeout)); err != nil {
		return err
	}
	if _, err := conn.Write(cancelRequest(c.state.pid, c.state.secret)); err != nil {
		return err
	}
	// The server closes the connection once it has passed the request on.
	if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// cancelRequest is the protocol's CancelRequest message.
func cancelRequest(pid int, secret []byte) []byte {
	const code = 80877102
	msg := make([]byte, 12, 12+len(secret))
	binary.BigEndian.PutUint32(msg[0:], uint32(12+len(secret)))
	binary.BigEndian.PutUint32(msg[4:], code)
	binary.BigEndian.PutUint32(msg[8:], uint32(pid))
	return append(msg, secret...)
}
