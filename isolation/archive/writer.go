package archive

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/tenancy-go/tenancy/tenant"
)

// sink takes a tenant's rows out of a snapshot: an archive, or another home.
type sink interface {
	begin(ctx context.Context, m Manifest) error
	// row takes a row of table i; rows come table by table.
	row(ctx context.Context, i int, row []byte) error
	// link takes key and links of a row of table i, after all rows.
	link(ctx context.Context, i int, row []byte) error
	end(ctx context.Context, m Manifest) error
}

const compression = "zstd"

// writer writes an archive.
type writer struct {
	out    io.Writer
	cipher Cipher
	id     tenant.ID

	sealed io.WriteCloser // nil without a cipher
	packed *zstd.Encoder
	frames *framer
	kind   frameKind
	table  int
	rows   int
	buf    []byte // the rows of a frame
}

func (w *writer) begin(ctx context.Context, m Manifest) error {
	h := header{Format: Format, Tenant: string(w.id), Compression: compression}
	if w.cipher != nil {
		h.Cipher = w.cipher.Name()
	}
	if _, err := io.WriteString(w.out, magic); err != nil {
		return fmt.Errorf("archive: write: %w", err)
	}
	if err := newFramer(w.out).writeJSON(headerFrame, h); err != nil {
		return err
	}
	if err := w.open(ctx); err != nil {
		return err
	}
	return w.frames.writeJSON(manifestFrame, m)
}

func (w *writer) open(ctx context.Context) (err error) {
	out := w.out
	if w.cipher != nil {
		if w.sealed, err = w.cipher.Encrypt(ctx, w.id, out); err != nil {
			return fmt.Errorf("archive: encrypt: %w", err)
		}
		out = w.sealed
	}
	if w.packed, err = zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedFastest)); err != nil {
		return fmt.Errorf("archive: compress: %w", err)
	}
	w.frames = newFramer(w.packed)
	return nil
}

func (w *writer) row(_ context.Context, i int, row []byte) error { return w.add(rowsFrame, i, row) }

func (w *writer) link(_ context.Context, i int, row []byte) error { return w.add(linksFrame, i, row) }

func (w *writer) add(kind frameKind, i int, row []byte) error {
	if kind != w.kind || i != w.table || len(w.buf) >= fullFrame {
		if err := w.flush(); err != nil {
			return err
		}
		w.kind, w.table = kind, i
		w.buf = binary.AppendUvarint(w.buf, uint64(i)) //nolint:gosec // an index
	}
	w.rows++
	w.buf = append(w.buf, row...)
	return nil
}

func (w *writer) flush() error {
	if w.rows == 0 {
		return nil
	}
	err := w.frames.write(w.kind, w.buf)
	w.rows, w.buf = 0, w.buf[:0]
	return err
}

func (w *writer) end(_ context.Context, m Manifest) error {
	err := w.flush()
	if err == nil {
		err = w.frames.end(m)
	}
	return errors.Join(err, w.close())
}

// close ends the streams, but not what the host gave.
func (w *writer) close() error {
	if w.packed == nil {
		return nil
	}
	err := w.packed.Close()
	w.packed = nil
	if w.sealed != nil {
		err = errors.Join(err, w.sealed.Close())
	}
	if err != nil {
		return fmt.Errorf("archive: write: %w", err)
	}
	return nil
}
