package archive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/archive"
	"github.com/tenancy-go/tenancy/tenant"
)

// small is an archive with a few rows, from SQLite.
func small(t testing.TB) []byte {
	t.Helper()
	p := newPlace(t, "sqlite")
	require.NoError(t, p.strategy.Provision(t.Context(), acme))
	p.exec(t, acme, `INSERT INTO customers (email, vip, seen, photo) VALUES ('a', 1, '2026-01-02 03:04:05+00:00', x'00ff'), ('b', NULL, NULL, x'')`)
	p.exec(t, acme, `INSERT INTO nodes (id, parent_id, name) VALUES (1, 2, 'child'), (2, NULL, 'root')`)
	var file bytes.Buffer
	_, err := p.archiver(t).Export(t.Context(), acme, &file)
	require.NoError(t, err)
	return file.Bytes()
}

func TestVerify(t *testing.T) {
	t.Parallel()
	data := small(t)
	m, err := archive.Verify(t.Context(), bytes.NewReader(data), nil)
	require.NoError(t, err)
	assert.Equal(t, tenant.ID("acme"), m.Tenant)
	assert.Equal(t, int64(4), m.Rows())
}

// TestDamage cuts an archive at every byte and changes every byte of it.
func TestDamage(t *testing.T) {
	t.Parallel()
	data := small(t)
	whole, err := archive.Verify(t.Context(), bytes.NewReader(data), nil)
	require.NoError(t, err)
	for n := range data {
		_, err := archive.Verify(t.Context(), bytes.NewReader(data[:n]), nil)
		require.ErrorIs(t, err, archive.ErrDamaged, "cut after %d of %d bytes", n, len(data))
		changed := bytes.Clone(data)
		changed[n] ^= 0x10
		got, err := archive.Verify(t.Context(), bytes.NewReader(changed), nil)
		if err == nil { // such as the memory that unpacking may take, which changes no row
			require.Equal(t, whole, got, "byte %d of %d changed", n, len(data))
		}
	}
	_, err = archive.Verify(t.Context(), io.MultiReader(bytes.NewReader(data), bytes.NewReader(data)), nil)
	assert.ErrorIs(t, err, archive.ErrDamaged, "something follows")
}

// TestDamagedIsNotApplied restores damaged archives over rows that are there.
func TestDamagedIsNotApplied(t *testing.T) {
	t.Parallel()
	data := small(t)
	p := newPlace(t, "sqlite")
	a := p.archiver(t)
	_, err := a.Restore(t.Context(), acme, bytes.NewReader(data))
	require.NoError(t, err)
	want := p.hashes(t, acme)
	for n := 1; n < len(data); n += 7 {
		_, err := a.Restore(t.Context(), acme, bytes.NewReader(data[:n]), archive.Replace())
		require.ErrorIs(t, err, archive.ErrDamaged)
	}
	assert.Equal(t, want, p.hashes(t, acme))
}

// xor is a cipher that hides nothing, but shows how one is used.
type xor struct{ key byte }

func (xor) Name() string { return "xor" }

func (x xor) Encrypt(_ context.Context, _ tenant.ID, w io.Writer) (io.WriteCloser, error) {
	return &xorWriter{x.key, w}, nil
}

func (x xor) Decrypt(_ context.Context, _ tenant.ID, r io.Reader) (io.Reader, error) {
	return xorReader{x.key, r}, nil
}

type xorWriter struct {
	key byte
	w   io.Writer
}

func (x *xorWriter) Write(p []byte) (int, error) {
	q := bytes.Clone(p)
	for i := range q {
		q[i] ^= x.key
	}
	return x.w.Write(q)
}

func (x *xorWriter) Close() error { return nil }

type xorReader struct {
	key byte
	r   io.Reader
}

func (x xorReader) Read(p []byte) (int, error) {
	n, err := x.r.Read(p)
	for i := range p[:n] {
		p[i] ^= x.key
	}
	return n, err
}

func TestCipher(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "sqlite")
	require.NoError(t, p.strategy.Provision(t.Context(), acme))
	a := p.archiver(t, archive.Encrypt(xor{7}))
	var file bytes.Buffer
	_, err := a.Export(t.Context(), acme, &file)
	require.NoError(t, err)

	_, err = archive.Verify(t.Context(), bytes.NewReader(file.Bytes()), nil)
	assert.ErrorIs(t, err, archive.ErrUnsupported, "without the cipher")
	_, err = archive.Verify(t.Context(), bytes.NewReader(file.Bytes()), xor{8})
	assert.ErrorIs(t, err, archive.ErrDamaged, "with another key")
	_, err = a.Restore(t.Context(), acme, bytes.NewReader(small(t)), archive.Replace())
	assert.ErrorIs(t, err, archive.ErrUnsupported, "not encrypted")
	_, err = a.Restore(t.Context(), acme, &file)
	assert.NoError(t, err)
}

// FuzzVerify wants every input to be taken or refused, in little memory.
func FuzzVerify(f *testing.F) {
	data := small(f)
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add([]byte("tenancy archive\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := archive.Verify(t.Context(), bytes.NewReader(data), nil)
		if err == nil && m.Format != archive.Format {
			t.Errorf("an archive of format %d", m.Format)
		}
		if err != nil && !errors.Is(err, archive.ErrDamaged) && !errors.Is(err, archive.ErrUnsupported) && !errors.Is(err, archive.ErrSchema) {
			t.Errorf("no class of its own: %v", err)
		}
	})
}
