package envelope

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Reader returns a reader of what [Keys.Writer] wrote for the same tenant, purpose and
// name. It hands out nothing that is not authentic; the end is authentic only when
// it returns io.EOF, so use what was read only then, or undo it after an error.
// Whatever is wrong with the stream, the error wraps [ErrOpen]; errors of src come
// back as they are. The reader holds one chunk, and is for one goroutine.
func (k *Keys) Reader(ctx context.Context, src io.Reader, p Purpose, name string) (io.Reader, error) {
	id, err := streamID(ctx, p)
	if err != nil {
		return nil, err
	}
	var head [headSize]byte
	if _, err := io.ReadFull(src, head[:]); err != nil {
		return nil, ended(err)
	}
	chunks, err := k.openHead(ctx, id, name, head[:])
	if err != nil {
		return nil, err
	}
	return &reader{src: src, chunks: chunks, box: make([]byte, boxSize+1)}, nil
}

// openHead returns the chunker of a stream with that header.
func (k *Keys) openHead(ctx context.Context, id ringID, name string, head []byte) (*chunker, error) {
	version := binary.BigEndian.Uint32(head[1:])
	if head[0] != kindStream || version == 0 {
		return nil, ErrOpen
	}
	salt, commitment := head[versionEnd:versionEnd+saltSize], head[versionEnd+saltSize:]
	return again(ctx, func() (*chunker, error) {
		key, err := k.version(ctx, id, version)
		if err != nil {
			return nil, err
		}
		chunks, want, err := openStream(key, id, name, salt)
		if err == nil && subtle.ConstantTimeCompare(commitment, want) != 1 {
			return nil, ErrOpen
		}
		return chunks, err
	})
}

// ended returns the error of a stream that ended too early, or src's own.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the stream is cut", ErrOpen)
	}
	return err
}

// reader reads one byte beyond each chunk, to know whether it is the last.
type reader struct {
	src    io.Reader
	chunks *chunker
	box    []byte // a chunk and one byte
	ahead  int    // 1 if held is the next chunk's first byte
	held   byte
	plain  []byte // what is not yet handed out, in box
	err    error  // what comes after plain
}

func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.plain) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.fill()
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

func (r *reader) fill() {
	r.box[0] = r.held
	n, err := io.ReadFull(r.src, r.box[r.ahead:])
	n += r.ahead
	last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if err != nil && !last {
		r.err = err
		return
	}
	r.held, r.ahead = r.box[boxSize], 1
	r.plain, r.err = r.chunks.open(r.box[:min(n, boxSize)], last)
	if r.err == nil && last {
		r.err = io.EOF
	}
}
