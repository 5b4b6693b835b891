package bandwidth

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// response is a ResponseWriter whose bodies are within the limits. What it does not have
// itself, an http.ResponseController finds through Unwrap.
type response struct {
	http.ResponseWriter
	visit    *visit
	in       *stream // nil if the request has no body
	out      writer
	sent     bool // whether anything was
	head     bool // what is written answers HEAD, and is not sent
	hijacked bool
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		w.sent = true
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	if w.head {
		return w.ResponseWriter.Write(p)
	}
	n, err := w.out.Write(p)
	if n > 0 || err == nil {
		w.sent = true
	}
	return n, err
}

const bufferSize = 32 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// ReadFrom implements io.ReaderFrom, by Write: what sendfile would send in one go cannot
// be shaped.
func (w *response) ReadFrom(r io.Reader) (int64, error) {
	buffer, _ := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buffer)
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, buffer[:])
}

// Flush implements http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError is for http.ResponseController.
func (w *response) FlushError() error {
	w.sent = true
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// SetReadDeadline is for http.ResponseController.
func (w *response) SetReadDeadline(t time.Time) error {
	if err := http.NewResponseController(w.ResponseWriter).SetReadDeadline(t); err != nil {
		return err
	}
	if w.in != nil {
		w.in.deadline.set(t)
	}
	return nil
}

// SetWriteDeadline is for http.ResponseController.
func (w *response) SetWriteDeadline(t time.Time) error {
	if err := http.NewResponseController(w.ResponseWriter).SetWriteDeadline(t); err != nil {
		return err
	}
	w.out.stream.deadline.set(t)
	return nil
}

// Hijack implements http.Hijacker. What the server has read already comes first from the
// connection it returns, and so from the reader, whose Buffered is 0 at first.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	raw, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.hijacked = true
	first, _ := buffered.Reader.Peek(buffered.Reader.Buffered()) // never more than there is
	if err := buffered.Writer.Flush(); err != nil {
		_ = raw.Close()
		return nil, nil, err
	}
	// The server ends the request's context when the handler returns.
	v := *w.visit
	v.ctx = context.WithoutCancel(v.ctx)
	c := v.conn(raw, io.MultiReader(bytes.NewReader(bytes.Clone(first)), raw))
	return c, bufio.NewReadWriter(
		bufio.NewReaderSize(c, buffered.Reader.Size()),
		bufio.NewWriterSize(c, buffered.Writer.Size()),
	), nil
}

// finish makes sure that no client takes a response that was refused for whole.
func (w *response) finish(r *http.Request) {
	switch refused := w.out.refused; {
	case refused == nil || w.hijacked:
	case w.sent:
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to break off a response
	default:
		w.visit.shaper.onError(w.ResponseWriter, r, refused)
	}
}
