package envelope

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
)

// Writer returns a writer that encrypts a stream with the context's tenant's key for
// a purpose, such as "archive" or "files". name says which stream it is: only a
// [Keys.Reader] with the same name opens it. It may be empty.
//
// Close writes the end, without which the stream does not open; it leaves dst to its
// owner. The writer holds one chunk, and is for one goroutine.
func (k *Keys) Writer(ctx context.Context, dst io.Writer, p Purpose, name string) (io.WriteCloser, error) {
	id, err := streamID(ctx, p)
	if err != nil {
		return nil, err
	}
	head := make([]byte, headSize)
	salt := head[versionEnd : versionEnd+saltSize]
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the program instead
	chunks, err := again(ctx, func() (*chunker, error) {
		key, err := k.current(ctx, id)
		if err != nil {
			return nil, err
		}
		chunks, commitment, err := openStream(key, id, name, salt)
		head[0] = kindStream
		binary.BigEndian.PutUint32(head[1:], key.version)
		copy(head[versionEnd+saltSize:], commitment)
		return chunks, err
	})
	if err != nil {
		return nil, err
	}
	if _, err := dst.Write(head); err != nil {
		return nil, err
	}
	return &writer{dst: dst, chunks: chunks, buf: make([]byte, 0, boxSize)}, nil
}

// writer keeps back a full chunk until it knows whether more follows.
type writer struct {
	dst    io.Writer
	chunks *chunker
	buf    []byte
	err    error // of the first failure, or errClosed
}

var errClosed = errors.New("envelope: stream is closed")

func (w *writer) Write(p []byte) (n int, err error) {
	if w.err != nil {
		return 0, w.err
	}
	for len(p) > 0 {
		if len(w.buf) == chunkSize {
			if w.err = w.flush(false); w.err != nil {
				return n, w.err
			}
		}
		part := min(len(p), chunkSize-len(w.buf))
		w.buf = append(w.buf, p[:part]...)
		n, p = n+part, p[part:]
	}
	return n, nil
}

// Close is harmless when called again.
func (w *writer) Close() error {
	if errors.Is(w.err, errClosed) {
		return nil
	}
	if w.err != nil {
		return w.err
	}
	if w.err = w.flush(true); w.err != nil {
		return w.err
	}
	w.err = errClosed
	return nil
}

func (w *writer) flush(last bool) error {
	box := w.chunks.seal(w.buf, last)
	w.buf = w.buf[:0]
	n, err := w.dst.Write(box)
	if err == nil && n < len(box) {
		err = io.ErrShortWrite
	}
	return err
}
