package envelope_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
)

const (
	chunk    = 64 << 10
	head     = 69
	boxed    = chunk + 16
	archives = envelope.Purpose("archive")
)

// text returns n bytes that differ from place to place.
func text(n int) []byte {
	r := rand.NewChaCha8([32]byte{})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return b
}

func write(t testing.TB, k *envelope.Keys, id tenant.ID, p envelope.Purpose, name string, plain []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := k.Writer(as(t, id), &buf, p, name)
	require.NoError(t, err)
	n, err := w.Write(plain)
	require.NoError(t, err)
	require.Equal(t, len(plain), n)
	require.NoError(t, w.Close())
	return buf.Bytes()
}

func tryRead(t testing.TB, k *envelope.Keys, id tenant.ID, p envelope.Purpose, name string, stream []byte) ([]byte, error) {
	t.Helper()
	r, err := k.Reader(as(t, id), bytes.NewReader(stream), p, name)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func read(t testing.TB, k *envelope.Keys, id tenant.ID, stream []byte) string {
	t.Helper()
	plain, err := tryRead(t, k, id, archives, "a.tar", stream)
	require.NoError(t, err)
	return string(plain)
}

var sizes = []int{0, 1, chunk - 1, chunk, chunk + 1, 2*chunk - 1, 2 * chunk, 2*chunk + 1, 5*chunk + 12345}

func TestStreams(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	for _, size := range sizes {
		plain := text(size)
		stream := write(t, k, "acme", archives, "a.tar", plain)
		assert.Len(t, stream, head+size+16*max(1, (size+chunk-1)/chunk))
		require.Equal(t, string(plain), read(t, k, "acme", stream), "%d bytes", size)

		for name, slow := range map[string]io.Reader{
			"a byte at a time": iotest.OneByteReader(bytes.NewReader(stream)),
			"EOF with data":    iotest.DataErrReader(bytes.NewReader(stream)),
		} {
			r, err := k.Reader(as(t, "acme"), slow, archives, "a.tar")
			require.NoError(t, err)
			require.NoError(t, iotest.TestReader(r, plain), "%d bytes, %s", size, name)
		}
	}
}

func TestStreamsAreWrittenInAnyPieces(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	plain := text(3*chunk + 7)
	for _, piece := range []int{1000, chunk, chunk + 1, 2 * chunk, len(plain)} {
		var buf bytes.Buffer
		w, err := k.Writer(as(t, "acme"), &buf, archives, "a.tar")
		require.NoError(t, err)
		for at := 0; at < len(plain); at += piece {
			_, err := w.Write(plain[at:min(at+piece, len(plain))])
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		require.NoError(t, w.Close(), "closing again is harmless")
		_, err = w.Write([]byte("late"))
		require.Error(t, err)
		require.Equal(t, string(plain), read(t, k, "acme", buf.Bytes()))
	}
}

func TestStreamsAreBound(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	stream := write(t, k, "acme", archives, "a.tar", []byte("secret"))
	_ = write(t, k, "globex", archives, "a.tar", nil)
	_ = write(t, k, "acme", "files", "a.tar", nil)
	tests := []struct {
		name    string
		tenant  tenant.ID
		purpose envelope.Purpose
		stream  string
	}{
		{"another tenant", "globex", archives, "a.tar"},
		{"a tenant without a key", "initech", archives, "a.tar"},
		{"another purpose", "acme", "files", "a.tar"},
		{"another name", "acme", archives, "b.tar"},
		{"no name", "acme", archives, ""},
	}
	for _, tt := range tests {
		got, err := tryRead(t, k, tt.tenant, tt.purpose, tt.stream, stream)
		require.ErrorIs(t, err, envelope.ErrOpen, tt.name)
		assert.Empty(t, got, tt.name)
		_, err = k.ReaderAt(as(t, tt.tenant), bytes.NewReader(stream), int64(len(stream)), tt.purpose, tt.stream)
		require.ErrorIs(t, err, envelope.ErrOpen, tt.name)
	}
}

// parts cuts a stream into its header and chunks.
func parts(stream []byte) (header []byte, chunks [][]byte) {
	header, stream = stream[:head], stream[head:]
	for len(stream) > boxed {
		chunks, stream = append(chunks, stream[:boxed]), stream[boxed:]
	}
	return header, append(chunks, stream)
}

func joined(header []byte, chunks ...[]byte) []byte {
	return append(bytes.Clone(header), bytes.Join(chunks, nil)...)
}

// What was done to a stream shows, and nothing is handed out that is not authentic.
func TestManipulatedStreams(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	plain := text(3*chunk + 100)
	header, c := parts(write(t, k, "acme", archives, "a.tar", plain))
	otherHeader, other := parts(write(t, k, "acme", archives, "a.tar", plain))
	require.Len(t, c, 4)
	_, whole := parts(write(t, k, "acme", archives, "a.tar", text(2*chunk)))
	require.Len(t, whole, 2)

	tests := []struct {
		name   string
		stream []byte
		good   int // bytes that may be read before the error
	}{
		{"cut after the header", joined(header), 0},
		{"cut within a chunk", joined(header, c[0], c[1][:1000]), chunk},
		{"cut between chunks", joined(header, c[0], c[1]), chunk},
		{"cut before a short last chunk", joined(header, c[0], c[1], c[2]), 2 * chunk},
		{"cut by one byte", joined(header, c[0], c[1], c[2], c[3][:115]), 3 * chunk},
		{"chunks exchanged", joined(header, c[1], c[0], c[2], c[3]), 0},
		{"a chunk repeated", joined(header, c[0], c[0], c[1], c[2], c[3]), chunk},
		{"a chunk left out", joined(header, c[0], c[2], c[3]), chunk},
		{"the last chunk first", joined(header, c[3]), 0},
		{"the last chunk twice", joined(header, c[0], c[1], c[2], c[3], c[3]), 3 * chunk},
		{"a byte too much", joined(header, c[0], c[1], c[2], c[3], []byte{0}), 3 * chunk},
		{"chunks of another stream", joined(header, c[0], other[1], c[2], c[3]), chunk},
		{"the end of another stream", joined(header, c[0], c[1], c[2], other[3]), 3 * chunk},
		{"the header of another stream", joined(otherHeader, c...), 0},
		{"two streams in a row", joined(header, joined(nil, c...), otherHeader, joined(nil, other...)), 3 * chunk},
	}
	for _, tt := range tests {
		got, err := tryRead(t, k, "acme", archives, "a.tar", tt.stream)
		require.ErrorIs(t, err, envelope.ErrOpen, tt.name)
		require.LessOrEqual(t, len(got), tt.good, tt.name)
		require.Equal(t, string(plain[:len(got)]), string(got), "%s: what was handed out is authentic", tt.name)

		at, err := k.ReaderAt(as(t, "acme"), bytes.NewReader(tt.stream), int64(len(tt.stream)), archives, "a.tar")
		if err == nil {
			_, err = io.ReadAll(at)
		}
		require.ErrorIs(t, err, envelope.ErrOpen, "%s, by ReaderAt", tt.name)
	}
}

func TestEveryChangeOfAStreamShows(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	stream := write(t, k, "acme", archives, "a.tar", []byte("some text to keep"))
	for i := range stream {
		for bit := range 8 {
			changed := bytes.Clone(stream)
			changed[i] ^= 1 << bit
			got, err := tryRead(t, k, "acme", archives, "a.tar", changed)
			require.ErrorIs(t, err, envelope.ErrOpen, "byte %d, bit %d", i, bit)
			require.Empty(t, got)
		}
		_, err := tryRead(t, k, "acme", archives, "a.tar", stream[:i])
		require.ErrorIs(t, err, envelope.ErrOpen, "cut to %d", i)
	}
}

// An empty chunk at the end is another way to write the same; there is only one.
func TestStreamsOfOtherWritersAreOne(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	header, _ := parts(write(t, k, "acme", archives, "a.tar", nil))
	_, err := tryRead(t, k, "acme", archives, "a.tar", header)
	require.ErrorIs(t, err, envelope.ErrOpen, "no chunk at all")
}

// limited fails after some bytes.
type limited struct {
	io.Writer
	left int
}

var errFull = errors.New("disk full")

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		return 0, errFull
	}
	l.left -= len(p)
	return l.Writer.Write(p)
}

func TestErrorsOfTheDestinationComeBack(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	_, err := k.Writer(as(t, "acme"), &limited{io.Discard, 10}, archives, "")
	require.ErrorIs(t, err, errFull)
	w, err := k.Writer(as(t, "acme"), &limited{io.Discard, head + boxed}, archives, "")
	require.NoError(t, err)
	_, err = w.Write(text(2 * chunk))
	require.NoError(t, err)
	n, err := w.Write(text(2 * chunk))
	require.ErrorIs(t, err, errFull)
	assert.Zero(t, n)
	_, err = w.Write([]byte("more"))
	require.ErrorIs(t, err, errFull)
	require.ErrorIs(t, w.Close(), errFull, "it is not closed as if it were whole")
}

// once fails one write, as a network may.
type once struct {
	bytes.Buffer
	at int // number of the write that fails
}

func (o *once) Write(p []byte) (int, error) {
	if o.at--; o.at == 0 {
		return 0, errFull
	}
	return o.Buffer.Write(p)
}

// After a failure nothing is written that would make a whole of what is not.
func TestAFailedStreamStaysOpenEnded(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	dst := &once{at: 3}
	w, err := k.Writer(as(t, "acme"), dst, archives, "a.tar")
	require.NoError(t, err)
	_, err = w.Write(text(3 * chunk))
	require.ErrorIs(t, err, errFull)
	_, err = w.Write(text(10))
	require.ErrorIs(t, err, errFull)
	require.ErrorIs(t, w.Close(), errFull)
	_, err = tryRead(t, k, "acme", archives, "a.tar", dst.Bytes())
	require.ErrorIs(t, err, envelope.ErrOpen)
}

func TestErrorsOfTheSourceComeBack(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	stream := write(t, k, "acme", archives, "", text(2*chunk))
	for _, at := range []int{10, head, head + boxed, head + boxed + 5} {
		src := io.MultiReader(bytes.NewReader(stream[:at]), iotest.ErrReader(errDown))
		r, err := k.Reader(as(t, "acme"), src, archives, "")
		if err == nil {
			_, err = io.ReadAll(r)
		}
		require.ErrorIs(t, err, errDown, "after %d bytes", at)
		require.NotErrorIs(t, err, envelope.ErrOpen)
	}
}

func TestReaderAt(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	for _, size := range sizes {
		plain := text(size)
		stream := write(t, k, "acme", archives, "a.tar", plain)
		at, err := k.ReaderAt(as(t, "acme"), bytes.NewReader(stream), int64(len(stream)), archives, "a.tar")
		require.NoError(t, err)
		require.EqualValues(t, size, at.Size())
		if size <= chunk+1 { // it reads at every byte
			require.NoError(t, iotest.TestReader(at, plain), "%d bytes", size)
		}
		for range 20 {
			from := rand.IntN(size + 1)
			to := from + rand.IntN(size-from+1)
			got := make([]byte, to-from)
			_, err := at.ReadAt(got, int64(from))
			if to < size {
				require.NoError(t, err)
			}
			require.Equal(t, string(plain[from:to]), string(got))
		}
	}
}

// Streams keep opening after rotation, and after the wrapping key changed.
func TestStreamsSurviveRotation(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	old := write(t, k, "acme", archives, "a.tar", []byte("old"))
	version, err := k.Rotate(as(t, "acme"), archives)
	require.NoError(t, err)
	require.EqualValues(t, 2, version)
	assert.Equal(t, "old", read(t, k, "acme", old))
	assert.EqualValues(t, 2, write(t, k, "acme", archives, "a.tar", nil)[4])
}

// A stream of a gigabyte takes no more memory than one of a megabyte.
func TestStreamsTakeConstantMemory(t *testing.T) {
	k := fresh(t)
	ctx := as(t, "acme")
	copyThrough := func(size int64) float64 {
		return testing.AllocsPerRun(1, func() {
			pipe, out := io.Pipe()
			done := make(chan error, 1)
			go func() {
				w, err := k.Writer(ctx, out, archives, "")
				if err == nil {
					_, err = io.CopyN(w, zeros{}, size)
				}
				if err == nil {
					err = w.Close()
				}
				done <- errors.Join(err, out.Close())
			}()
			r, err := k.Reader(ctx, pipe, archives, "")
			require.NoError(t, err)
			n, err := io.Copy(io.Discard, r)
			require.NoError(t, err)
			require.Equal(t, size, n)
			require.NoError(t, <-done)
		})
	}
	small, large := copyThrough(1<<20), copyThrough(64<<20)
	t.Logf("allocations: %.0f for 1 MiB, %.0f for 64 MiB", small, large)
	assert.LessOrEqual(t, large, small+20)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func BenchmarkStream(b *testing.B) {
	k := fresh(b)
	ctx := as(b, "acme")
	plain := text(1 << 20)
	stream := write(b, k, "acme", archives, "", plain)
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(len(plain)))
		b.ReportAllocs()
		for b.Loop() {
			w, _ := k.Writer(ctx, io.Discard, archives, "")
			_, _ = w.Write(plain)
			_ = w.Close()
		}
	})
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(plain)))
		b.ReportAllocs()
		for b.Loop() {
			r, _ := k.Reader(ctx, bytes.NewReader(stream), archives, "")
			_, _ = io.Copy(io.Discard, r)
		}
	})
}

func FuzzReader(f *testing.F) {
	k := fresh(f)
	f.Add(write(f, k, "acme", archives, "", []byte("text")))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, stream []byte) {
		good := write(t, k, "acme", archives, "", []byte("text"))
		for _, s := range [][]byte{stream, append(good[:head:head], stream...), append(good[:len(good):len(good)], stream...)} {
			plain, err := tryRead(t, k, "acme", archives, "", s)
			if err == nil && string(plain) != "text" && len(plain) > 0 {
				t.Errorf("a stream of %d bytes opens as %q", len(s), plain)
			}
			if err != nil && !errors.Is(err, envelope.ErrOpen) {
				t.Error(fmt.Errorf("another error: %w", err))
			}
			at, err := k.ReaderAt(as(t, "acme"), bytes.NewReader(s), int64(len(s)), archives, "")
			if err == nil {
				_, err = io.ReadAll(at)
			}
			if err != nil && !errors.Is(err, envelope.ErrOpen) {
				t.Error(fmt.Errorf("another error by ReaderAt: %w", err))
			}
		}
	})
}
