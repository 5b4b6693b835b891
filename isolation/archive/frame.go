package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// magic begins every archive. After it, in the clear, comes the frame of a header,
// and then, encrypted if the header says so and compressed, the other frames.
const magic = "tenancy archive\n"

// frameKind is the first byte of a frame. Its length in four bytes follows, its
// content, and a checksum of all this.
type frameKind byte

const (
	headerFrame   frameKind = 'H'
	manifestFrame frameKind = 'M' // the manifest, without rows and hashes
	rowsFrame     frameKind = 'R' // rows of one table
	linksFrame    frameKind = 'L' // keys and links of rows of one table, after all rows
	endFrame      frameKind = 'E' // the whole manifest, and the hash of all frames before
)

const (
	frameHead = 5
	frameSum  = 4
	// maxFrame bounds a frame, and with it a row.
	maxFrame = 256 << 20
	// fullFrame is from where on a frame of rows is written.
	fullFrame = 64 << 10
)

// header is what stands in the clear.
type header struct {
	Format      int    `json:"format"`
	Tenant      string `json:"tenant"` // whose key opens it
	Cipher      string `json:"cipher,omitempty"`
	Compression string `json:"compression"`
}

// ending is the content of the last frame.
type ending struct {
	Manifest Manifest `json:"manifest"`
	SHA256   []byte   `json:"sha256"`
}

// framer writes frames.
type framer struct {
	w    io.Writer
	hash hash.Hash
}

func newFramer(w io.Writer) *framer { return &framer{w: w, hash: sha256.New()} }

func checksum(head, content []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(head, table), table, content)
}

func (f *framer) write(kind frameKind, content []byte) error {
	if len(content) > maxFrame {
		return fmt.Errorf("%w: a row of %d bytes; want at most %d", ErrUnsupported, len(content), maxFrame)
	}
	head := binary.BigEndian.AppendUint32([]byte{byte(kind)}, uint32(len(content))) //nolint:gosec // bounded above
	foot := binary.BigEndian.AppendUint32(nil, checksum(head, content))
	for _, part := range [][]byte{head, content, foot} {
		f.hash.Write(part)
		if _, err := f.w.Write(part); err != nil {
			return fmt.Errorf("archive: write: %w", err)
		}
	}
	return nil
}

func (f *framer) writeJSON(kind frameKind, v any) error {
	content, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("archive: write: %w", err)
	}
	return f.write(kind, content)
}

// end writes the last frame.
func (f *framer) end(m Manifest) error {
	return f.writeJSON(endFrame, ending{Manifest: m, SHA256: f.hash.Sum(nil)})
}

// deframer reads frames.
type deframer struct {
	r    io.Reader
	hash hash.Hash
	sum  []byte // of all frames before the one read last
	buf  bytes.Buffer
}

func newDeframer(r io.Reader) *deframer { return &deframer{r: r, hash: sha256.New()} }

// damaged wraps err, which a reader below may have returned for bytes that were
// changed, as [ErrDamaged].
func damaged(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// read returns the next frame. Its content is good until the next call.
func (d *deframer) read() (frameKind, []byte, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(d.r, head[:]); err != nil {
		return 0, nil, damaged(err)
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, nil, fmt.Errorf("%w: a frame of %d bytes", ErrDamaged, n)
	}
	d.buf.Reset()
	// The buffer grows with what comes, not with what the length promises.
	if _, err := io.CopyN(&d.buf, d.r, int64(n)+frameSum); err != nil {
		return 0, nil, damaged(err)
	}
	content, foot := d.buf.Bytes()[:n], d.buf.Bytes()[n:]
	if binary.BigEndian.Uint32(foot) != checksum(head[:], content) {
		return 0, nil, fmt.Errorf("%w: wrong checksum", ErrDamaged)
	}
	d.sum = d.hash.Sum(d.sum[:0])
	d.hash.Write(head[:])
	d.hash.Write(d.buf.Bytes())
	return frameKind(head[0]), content, nil
}

// readJSON reads a frame that must be of a kind.
func (d *deframer) readJSON(kind frameKind, v any) error {
	got, content, err := d.read()
	if err != nil {
		return err
	}
	if got != kind {
		return fmt.Errorf("%w: a frame %q where %q should be", ErrDamaged, got, kind)
	}
	if err := json.Unmarshal(content, v); err != nil {
		return damaged(err)
	}
	return nil
}
