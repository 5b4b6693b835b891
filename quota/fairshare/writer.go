package fairshare

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// hijackable reports whether a handler can take w's connection over, by w itself or by
// what it wraps.
func hijackable(w http.ResponseWriter) bool {
	for {
		switch wrapper := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = wrapper.Unwrap()
		default:
			return false
		}
	}
}

// responseWriter sees that the connection is taken over.
type responseWriter struct {
	http.ResponseWriter
	hold     *Hold
	hijacked atomic.Bool
}

// done releases the units, if they do not belong to the connection by now.
func (w *responseWriter) done() {
	if !w.hijacked.Load() {
		w.hold.Release()
	}
}

// Unwrap is for http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack hands the connection over, and the units with it.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	inner, buffer, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return inner, buffer, err
	}
	w.hijacked.Store(true)
	c := &conn{Conn: inner, hold: w.hold}
	if half, ok := inner.(halfCloser); ok {
		return halfConn{c, half}, buffer, nil
	}
	return c, buffer, nil
}

// Flush is for who asserts http.Flusher.
func (w *responseWriter) Flush() { _ = w.FlushError() }

// FlushError is for http.ResponseController.
func (w *responseWriter) FlushError() error {
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// ReadFrom lets the writer below copy from a file by itself.
func (w *responseWriter) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(w.ResponseWriter, r)
}

// WriteString lets the writer below take a string as it is.
func (w *responseWriter) WriteString(s string) (int, error) {
	return io.WriteString(w.ResponseWriter, s)
}

// conn is a connection that a handler took over. It has units until it is closed.
type conn struct {
	net.Conn
	hold *Hold
}

func (c *conn) Close() error {
	defer c.hold.Release()
	return c.Conn.Close()
}

// NetConn returns the connection below, as that of tls.Conn does. Who closes that one
// keeps the units.
func (c *conn) NetConn() net.Conn { return c.Conn }

type halfCloser interface{ CloseWrite() error }

// halfConn is a conn of which one direction can be closed: a TCP or TLS connection.
type halfConn struct {
	*conn
	halfCloser
}
