package quota

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
)

// holder is the ResponseWriter of a request that holds something: if the handler
// takes the connection over, it is held until that is closed.
type holder struct {
	http.ResponseWriter
	grant    *Grant
	hijacked bool
}

// Unwrap lets [http.ResponseController] reach what the server's own can do.
func (h *holder) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// Flush sends what was written, for handlers that ask for an [http.Flusher].
func (h *holder) Flush() { _ = http.NewResponseController(h.ResponseWriter).Flush() }

// Hijack hands the connection over, with what is held.
func (h *holder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.hijacked = true
	held := &heldConn{Conn: conn, grant: h.grant}
	runtime.AddCleanup(held, (*Grant).Done, h.grant) // of whoever forgot to close it
	if err := buffered.Flush(); err != nil {
		return nil, nil, errors.Join(err, held.Close())
	}
	buffered.Writer.Reset(held) // whoever has only the buffers has the connection, too
	return held, buffered, nil
}

// ReadFrom lets the server copy files without the detour through memory.
func (h *holder) ReadFrom(r io.Reader) (int64, error) { return io.Copy(h.ResponseWriter, r) }

// done releases what is held, unless the connection has it now.
func (h *holder) done() {
	if !h.hijacked {
		h.grant.Done()
	}
}

// heldConn releases a grant when it is closed.
type heldConn struct {
	net.Conn
	grant *Grant
	once  sync.Once
}

func (c *heldConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.grant.Done)
	return err
}

// NetConn returns the connection itself, as that of crypto/tls does.
func (c *heldConn) NetConn() net.Conn { return c.Conn }
