package bandwidth

import (
	"context"
	"errors"
	"io"
	"slices"
)

// Reader returns a reader of what r reads, for ctx's tenant, within the tenant's ingress
// rate. A Read reads a quantum at most and returns when it is paid for. What was read but
// could not be paid for is kept for the next Read, so no error loses bytes.
//
// Waiting ends with ctx or Close. Close ends the stream and reports to the observer what
// it does not know yet, as any error, such as io.EOF, does, too; it does not close r.
func (s *Shaper) Reader(ctx context.Context, r io.Reader) (io.ReadCloser, error) {
	if r == nil {
		return nil, errors.New("bandwidth: Reader: want a reader, not nil")
	}
	v, err := s.begin(ctx)
	switch {
	case err != nil:
		return nil, err
	case v == nil:
		return io.NopCloser(r), nil
	}
	return &reader{stream: v.stream(Ingress, io.ErrClosedPipe), inner: r}, nil
}

// reader has no WriteTo, which would move more than a quantum at a time.
type reader struct {
	stream *stream
	inner  io.Reader
	held   []byte // read, but not granted yet
	err    error  // that inner returned with held
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.read(p)
	r.stream.moved(n)
	if err != nil {
		r.stream.report()
	}
	return n, err
}

func (r *reader) read(p []byte) (int, error) {
	size, err := r.stream.size()
	if err != nil {
		return 0, err
	}
	p = p[:min(len(p), size)]
	if len(r.held) > 0 {
		return r.readHeld(p)
	}
	if r.err != nil {
		err, r.err = r.err, nil
		return 0, err
	}
	n, err := r.inner.Read(p)
	if n <= 0 {
		return 0, err
	}
	granted, refused := r.stream.grant(n)
	if granted == n {
		return n, err
	}
	r.held, r.err = slices.Clone(p[granted:n]), err
	return granted, refused
}

func (r *reader) readHeld(p []byte) (int, error) {
	n := min(len(p), len(r.held))
	if n == 0 {
		return 0, nil
	}
	n, err := r.stream.grant(n)
	copy(p, r.held[:n])
	if r.held = r.held[n:]; len(r.held) == 0 {
		r.held = nil
	}
	return n, err
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.stream.end()
	return nil
}
