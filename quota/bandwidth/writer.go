package bandwidth

import (
	"context"
	"errors"
	"io"
)

var errInvalidWrite = errors.New("bandwidth: the writer returned an invalid count")

// Writer returns a writer to w, for ctx's tenant, within the tenant's egress rate. A Write
// passes on a quantum at a time, each when it is paid for; what w did not take is paid
// back. If it returns an error, the count says how much was written.
//
// Waiting ends with ctx or Close. Close ends the stream and reports to the observer what
// it does not know yet; it does not close w.
func (s *Shaper) Writer(ctx context.Context, w io.Writer) (io.WriteCloser, error) {
	if w == nil {
		return nil, errors.New("bandwidth: Writer: want a writer, not nil")
	}
	v, err := s.begin(ctx)
	switch {
	case err != nil:
		return nil, err
	case v == nil:
		return unlimited{w}, nil
	}
	return &writer{stream: v.stream(Egress, io.ErrClosedPipe), inner: w}, nil
}

// unlimited is a writer of the system's.
type unlimited struct{ io.Writer }

func (unlimited) Close() error { return nil }

// writer has no ReadFrom, which would move more than a quantum at a time.
type writer struct {
	stream  *stream
	inner   io.Writer
	refused error // the last one of the stream, not of inner
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	n, err := w.write(p)
	if err != nil {
		w.stream.report()
	}
	return n, err
}

func (w *writer) write(p []byte) (int, error) {
	if len(p) == 0 {
		return w.writeNothing(p)
	}
	written := 0
	for written < len(p) {
		granted, err := w.stream.grant(len(p) - written)
		if err != nil {
			w.refused = err
			return written, err
		}
		n, err := w.pass(p[written : written+granted])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// pass writes p, which was granted.
func (w *writer) pass(p []byte) (int, error) {
	n, err := w.inner.Write(p)
	switch {
	case n < 0 || n > len(p):
		n, err = len(p), errInvalidWrite // charged, since it may have been written
	case n < len(p):
		w.stream.bucket().refund(len(p) - n)
		if err == nil {
			err = io.ErrShortWrite
		}
	}
	w.stream.moved(n)
	return n, err
}

// writeNothing passes an empty Write on, since it may mean something to inner.
func (w *writer) writeNothing(p []byte) (int, error) {
	if err := w.stream.err(); err != nil {
		return 0, err
	}
	return w.inner.Write(p)
}

// Close implements io.Closer.
func (w *writer) Close() error {
	w.stream.end()
	return nil
}
