package envelope

import (
	"context"
	"io"
	"sync"
)

// ReaderAt returns a reader of any part of what [Keys.Writer] wrote, which takes up
// size bytes of src. It opens the last chunk at once, which proves that the stream
// has that length; every other chunk is checked when it is read. Its errors are
// those of [Keys.Reader]. It is safe for concurrent use if src is.
func (k *Keys) ReaderAt(ctx context.Context, src io.ReaderAt, size int64, p Purpose, name string) (*io.SectionReader, error) {
	id, err := streamID(ctx, p)
	if err != nil {
		return nil, err
	}
	var head [headSize]byte
	if _, err := io.ReadFull(io.NewSectionReader(src, 0, size), head[:]); err != nil {
		return nil, ended(err)
	}
	chunks, err := k.openHead(ctx, id, name, head[:])
	if err != nil {
		return nil, err
	}
	r := &readerAt{src: src, chunks: *chunks, size: size - headSize}
	last, err := r.chunk(r.last())
	if err != nil {
		return nil, err
	}
	return io.NewSectionReader(r, 0, r.last()*chunkSize+int64(len(last))), nil
}

type readerAt struct {
	src    io.ReaderAt
	chunks chunker // copied for each use
	size   int64   // of all chunks with their tags

	mu     sync.Mutex // guards the chunk that was opened last
	recent []byte     // never changed, only replaced
	number int64
}

// last returns the number of the last chunk.
func (r *readerAt) last() int64 { return (max(r.size, 1) - 1) / boxSize }

// chunk returns a chunk, which must not be changed. The last one is kept, since what
// follows it is mostly asked for in small pieces.
func (r *readerAt) chunk(number int64) ([]byte, error) {
	r.mu.Lock()
	recent := r.recent
	if r.number != number {
		recent = nil
	}
	r.mu.Unlock()
	if recent != nil {
		return recent, nil
	}
	plain, err := r.open(number)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recent, r.number = plain, number
	return plain, nil
}

// open reads and opens a chunk.
func (r *readerAt) open(number int64) ([]byte, error) {
	box := make([]byte, min(boxSize, r.size-number*boxSize))
	n, err := r.src.ReadAt(box, headSize+number*boxSize)
	if n < len(box) {
		return nil, ended(err)
	}
	chunks := r.chunks
	chunks.seek(uint64(number), false) //nolint:gosec // never negative
	return chunks.open(box, number == r.last())
}

// ReadAt implements io.ReaderAt. io.SectionReader sees to it that off is within.
func (r *readerAt) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at/chunkSize > r.last() {
			return n, io.EOF
		}
		plain, err := r.chunk(at / chunkSize)
		if err != nil {
			return n, err
		}
		if at%chunkSize >= int64(len(plain)) {
			return n, io.EOF
		}
		n += copy(p[n:], plain[at%chunkSize:])
	}
	return n, nil
}
