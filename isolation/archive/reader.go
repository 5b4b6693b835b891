package archive

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/tenancy-go/tenancy/tenant"
)

// Verify reads an archive to its end and checks every row of it against the
// manifest, which it returns. cipher is nil for an archive that is not encrypted.
func Verify(ctx context.Context, r io.Reader, cipher Cipher) (Manifest, error) {
	return feed(ctx, r, cipher, discard{})
}

// discard is a sink for those who only want to know whether an archive is whole.
type discard struct{}

func (discard) begin(context.Context, Manifest) error   { return nil }
func (discard) row(context.Context, int, []byte) error  { return nil }
func (discard) link(context.Context, int, []byte) error { return nil }
func (discard) end(context.Context, Manifest) error     { return nil }

// feed reads an archive into a sink. The sink's end is called only if the whole
// archive was as it should be.
func feed(ctx context.Context, r io.Reader, cipher Cipher, to sink) (Manifest, error) {
	body, h, err := openBody(ctx, r, cipher)
	if err != nil {
		return Manifest{}, err
	}
	defer body.Close()
	rd := &reader{frames: newDeframer(body), to: to}
	if err := rd.frames.readJSON(manifestFrame, &rd.head); err != nil {
		return Manifest{}, err
	}
	if err := rd.check(h); err != nil {
		return Manifest{}, err
	}
	if err := to.begin(ctx, rd.head); err != nil {
		return Manifest{}, err
	}
	whole, err := rd.run(ctx)
	if err != nil {
		return Manifest{}, err
	}
	if n, err := io.Copy(io.Discard, body); n > 0 || err != nil {
		return Manifest{}, damaged(errors.Join(errors.New("something follows the end"), err))
	}
	return whole, to.end(ctx, whole)
}

// openBody reads the header and returns what follows, in the clear.
func openBody(ctx context.Context, r io.Reader, cipher Cipher) (io.ReadCloser, header, error) {
	var h header
	begin := make([]byte, len(magic))
	if _, err := io.ReadFull(r, begin); err != nil || string(begin) != magic {
		return nil, h, fmt.Errorf("%w: it does not begin as an archive does", ErrDamaged)
	}
	if err := newDeframer(r).readJSON(headerFrame, &h); err != nil {
		return nil, h, err
	}
	if h.Format != Format || h.Compression != compression {
		return nil, h, fmt.Errorf("%w: format %d, compressed by %q; this version reads format %d and %s",
			ErrUnsupported, h.Format, h.Compression, Format, compression)
	}
	if err := tenant.ID(h.Tenant).Validate(); err != nil {
		return nil, h, damaged(err)
	}
	switch {
	case cipher == nil && h.Cipher != "":
		return nil, h, fmt.Errorf("%w: it is encrypted by %q; give the cipher", ErrUnsupported, h.Cipher)
	case cipher != nil && h.Cipher != cipher.Name():
		return nil, h, fmt.Errorf("%w: it is encrypted by %q, not by %q", ErrUnsupported, h.Cipher, cipher.Name())
	case cipher != nil:
		clear, err := cipher.Decrypt(ctx, tenant.ID(h.Tenant), r)
		if err != nil {
			return nil, h, fmt.Errorf("archive: decrypt: %w", err)
		}
		r = clear
	}
	body, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxFrame), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, h, damaged(err)
	}
	return body.IOReadCloser(), h, nil
}

// maxWindow bounds the memory that a compressed stream asks for.
const maxWindow = 32 << 20

// reader feeds rows and checks them.
type reader struct {
	frames  *deframer
	to      sink
	head    Manifest
	tallies []tally
	at      int  // the table whose rows come
	linking bool // links come
	values  []value
}

// check looks whether the manifest fits the header, and is one.
func (r *reader) check(h header) error {
	m := r.head
	if m.Format != h.Format || string(m.Tenant) != h.Tenant {
		return fmt.Errorf("%w: the header is another archive's", ErrDamaged)
	}
	names := map[string]bool{}
	for _, t := range m.Tables {
		if t.Name == "" || names[t.Name] || len(t.Columns) == 0 {
			return fmt.Errorf("%w: table %q", ErrDamaged, t.Name)
		}
		names[t.Name] = true
		columns := map[string]bool{}
		for _, c := range t.Columns {
			if c.Name == "" || columns[c.Name] {
				return fmt.Errorf("%w: column %q of table %q", ErrDamaged, c.Name, t.Name)
			}
			columns[c.Name] = true
		}
		if _, err := t.index(slices.Concat(t.Key, t.Links)); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	r.tallies = make([]tally, len(m.Tables))
	return nil
}

// run reads frames up to the last.
func (r *reader) run(ctx context.Context) (Manifest, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Manifest{}, err
		}
		kind, content, err := r.frames.read()
		if err != nil {
			return Manifest{}, err
		}
		switch kind {
		case rowsFrame, linksFrame:
			if err := r.feed(ctx, kind == linksFrame, content); err != nil {
				return Manifest{}, err
			}
		case endFrame:
			return r.finish(content)
		default:
			return Manifest{}, fmt.Errorf("%w: a frame %q", ErrDamaged, kind)
		}
	}
}

// feed takes a frame of rows apart.
func (r *reader) feed(ctx context.Context, links bool, content []byte) error {
	n, used := binary.Uvarint(content)
	if used <= 0 || n >= uint64(len(r.head.Tables)) || len(content) == used {
		return fmt.Errorf("%w: rows of no table", ErrDamaged)
	}
	i := int(n) //nolint:gosec // bounded above
	if links && !r.linking {
		r.linking, r.at = true, 0
	}
	if links != r.linking || i < r.at {
		return fmt.Errorf("%w: tables out of order", ErrDamaged)
	}
	r.at = i
	columns := len(r.head.Tables[i].Columns)
	if links {
		columns = len(r.head.Tables[i].Key) + len(r.head.Tables[i].Links)
	}
	for rest := content[used:]; len(rest) > 0; {
		row := rest
		var err error
		if r.values, rest, err = cutRow(r.values[:0], rest, columns); err != nil {
			return damaged(err)
		}
		row = row[:len(row)-len(rest)]
		if links {
			err = r.to.link(ctx, i, row)
		} else {
			r.tallies[i].add(row)
			err = r.to.row(ctx, i, row)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// cutRow appends a row's values to dst. They share src's bytes.
func cutRow(dst []value, src []byte, columns int) ([]value, []byte, error) {
	if columns == 0 {
		return nil, nil, errRow
	}
	for range columns {
		v, rest, err := cutValue(src)
		if err != nil {
			return nil, nil, err
		}
		dst, src = append(dst, v), rest
	}
	return dst, src, nil
}

// finish checks the last frame against all that was read.
func (r *reader) finish(content []byte) (Manifest, error) {
	var e ending
	if err := json.Unmarshal(content, &e); err != nil {
		return Manifest{}, damaged(err)
	}
	if !bytes.Equal(e.SHA256, r.frames.sum) {
		return Manifest{}, fmt.Errorf("%w: wrong hash of the whole", ErrDamaged)
	}
	if len(e.Manifest.Tables) != len(r.tallies) {
		return Manifest{}, fmt.Errorf("%w: two manifests", ErrDamaged)
	}
	bare := e.Manifest
	bare.Sequences, bare.Tables = r.head.Sequences, slices.Clone(bare.Tables)
	for i, t := range e.Manifest.Tables {
		if t.Rows != r.tallies[i].Rows || t.Hash != r.tallies[i].Sum.String() {
			return Manifest{}, fmt.Errorf("%w: table %s has %d rows, not %d, or others", ErrDamaged, t.Name, r.tallies[i].Rows, t.Rows)
		}
		bare.Tables[i].Rows, bare.Tables[i].Hash = r.head.Tables[i].Rows, r.head.Tables[i].Hash
	}
	if !reflect.DeepEqual(bare, r.head) {
		return Manifest{}, fmt.Errorf("%w: two manifests", ErrDamaged)
	}
	return e.Manifest, nil
}
