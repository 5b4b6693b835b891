package bandwidth_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota/bandwidth"
)

func TestReaderIsAReader(t *testing.T) {
	t.Parallel()
	data := bytesOf(5000)
	s := newShaper(t, both(1<<40, 100))
	require.NoError(t, iotest.TestReader(newReader(t, as(t.Context(), "a"), s, bytes.NewReader(data)), data))
	for _, r := range []io.Reader{
		iotest.OneByteReader(bytes.NewReader(data[:1000])),
		iotest.DataErrReader(bytes.NewReader(data[:1000])),
	} {
		got, err := io.ReadAll(newReader(t, as(t.Context(), "a"), s, r))
		assert.NoError(t, err)
		assert.Equal(t, data[:1000], got)
	}
}

// A reader takes no more from below than it may soon pass on.
func TestReaderTakesLittle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		rate, burst int64
		want        []int // sizes of the reads
	}{
		{"unlimited", 0, 0, []int{quantum, quantum}},
		{"limited", 4 * quantum, 4 * quantum, []int{quantum, quantum}},
		{"small burst", 4 * quantum, 1000, []int{1000, 1000}},
		{"slow", 1000, 2500, []int{2500, 1000, 1000}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var sizes []int
				r := newReader(t, as(t.Context(), "a"), newShaper(t, both(tt.rate, tt.burst)), readerFunc(func(p []byte) (int, error) {
					sizes = append(sizes, len(p))
					return len(p), nil
				}))
				for range tt.want {
					_, err := r.Read(make([]byte, 1<<20))
					assert.NoError(t, err)
				}
				assert.Equal(t, tt.want, sizes)
			})
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// What the writer below does not take is paid back.
func TestShortWrites(t *testing.T) {
	t.Parallel()
	full := errors.New("disk full")
	for _, tt := range []struct {
		name  string
		write writerFunc
		n     int // of the first call
		want  error
	}{
		{"short", func(p []byte) (int, error) { return len(p) / 4, nil }, quantum / 4, io.ErrShortWrite},
		{"error", func(p []byte) (int, error) { return len(p) / 2, full }, quantum / 2, full},
		{"error at once", func([]byte) (int, error) { return 0, full }, 0, full},
		{"error at the end", func(p []byte) (int, error) { return len(p), full }, quantum, full},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newShaper(t, both(quantum, 4*quantum), bandwidth.WithRefusal(), bandwidth.WithQuantum(quantum))
				ctx := as(t.Context(), "a")
				n, err := newWriter(t, ctx, s, tt.write).Write(make([]byte, 3*quantum))
				assert.ErrorIs(t, err, tt.want)
				assert.Equal(t, tt.n, n)
				left, err := newWriter(t, ctx, s, &bytes.Buffer{}).Write(make([]byte, 4*quantum-tt.n))
				assert.NoError(t, err)
				assert.Equal(t, 4*quantum-tt.n, left)
				_, err = newWriter(t, ctx, s, io.Discard).Write([]byte("x"))
				assert.ErrorIs(t, err, bandwidth.ErrExceeded)
			})
		})
	}
}

// What is paid back does not come on top of a full bucket.
func TestPaidBackOnlyOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, both(1<<20, 1<<20), bandwidth.WithRefusal())
		ctx := as(t.Context(), "a")
		broken := newWriter(t, ctx, s, writerFunc(func([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }))
		for range 1000 {
			_, err := broken.Write(make([]byte, quantum))
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		}
		time.Sleep(time.Minute)
		n, err := newWriter(t, ctx, s, io.Discard).Write(make([]byte, 2<<20))
		assert.ErrorIs(t, err, bandwidth.ErrExceeded)
		assert.Equal(t, 1<<20, n)
	})
}

func TestInvalidCount(t *testing.T) {
	t.Parallel()
	s := newShaper(t, both(1<<20, 0))
	for _, n := range []int{-1, 101} {
		w := newWriter(t, as(t.Context(), "a"), s, writerFunc(func([]byte) (int, error) { return n, nil }))
		n, err := w.Write(make([]byte, 100))
		assert.Error(t, err)
		assert.Equal(t, 100, n)
	}
}

func TestEmptyCalls(t *testing.T) {
	t.Parallel()
	called := 0
	s := newShaper(t, both(1, 1), bandwidth.WithRefusal())
	w := newWriter(t, as(t.Context(), "a"), s, writerFunc(func(p []byte) (int, error) { called++; return len(p), nil }))
	_, err := w.Write([]byte("x"))
	assert.NoError(t, err)
	n, err := w.Write(nil)
	assert.NoError(t, err)
	assert.Zero(t, n)
	assert.Equal(t, 2, called)
	n, err = newReader(t, as(t.Context(), "a"), s, endless{}).Read(nil)
	assert.NoError(t, err)
	assert.Zero(t, n)
}

// An error of the reader below comes after the bytes that it came with, also if those
// were refused at first.
func TestReaderError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("connection lost")
		s := newShaper(t, both(10, 10), bandwidth.WithRefusal(), bandwidth.WithQuantum(10))
		r := newReader(t, as(t.Context(), "a"), s, &script{{"0123456789", nil}, {"abcdefghij", lost}})
		read := func() (string, error) {
			p := make([]byte, 100)
			n, err := r.Read(p)
			return string(p[:n]), err
		}
		got, err := read()
		assert.NoError(t, err)
		assert.Equal(t, "0123456789", got)
		got, err = read()
		assert.ErrorIs(t, err, bandwidth.ErrExceeded)
		assert.Empty(t, got)
		time.Sleep(time.Second)
		got, err = read()
		assert.NoError(t, err)
		assert.Equal(t, "abcdefghij", got)
		_, err = read()
		assert.ErrorIs(t, err, lost)
		_, err = read()
		assert.ErrorIs(t, err, io.EOF)
	})
}

// script is a reader of what each call returns.
type script []struct {
	data string
	err  error
}

func (s *script) Read(p []byte) (int, error) {
	if len(*s) == 0 {
		return 0, io.EOF
	}
	call := (*s)[0]
	*s = (*s)[1:]
	return copy(p, call.data), call.err
}

// io.Copy finds no way around the limit.
func TestFastPaths(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		data := bytesOf(10 * quantum)
		s := newShaper(t, both(quantum, quantum))
		ctx := as(t.Context(), "a")
		var out bytes.Buffer // has ReadFrom
		m := &meter{rate: quantum}
		begun := time.Now()
		_, err := io.Copy(io.MultiWriter(&out, m), newReader(t, ctx, s, bytes.NewReader(data))) // has WriteTo
		require.NoError(t, err)
		_, err = out.ReadFrom(newReader(t, ctx, s, bytes.NewReader(data)))
		require.NoError(t, err)
		assert.InDelta(t, 19, time.Since(begun).Seconds(), 1e-6)

		begun = time.Now()
		_, err = io.Copy(newWriter(t, ctx, s, &out), bytes.NewReader(data))
		require.NoError(t, err)
		assert.InDelta(t, 9, time.Since(begun).Seconds(), 1e-6)
		assert.True(t, bytes.Equal(bytes.Repeat(data, 3), out.Bytes()))
		assert.LessOrEqual(t, m.highest, float64(quantum+1))
	})
}

// Whatever the sizes and whatever goes wrong: nothing is lost, doubled or changed.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("some bytes, and then some more"), uint8(3), uint8(5), uint8(7), uint64(1))
	f.Add(bytesOf(5000), uint8(255), uint8(10), uint8(200), uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, quantum, burst, size uint8, seed uint64) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			data = data[:min(len(data), 1000)]
			s := newShaper(t, both(8+int64(burst), 1+int64(burst)), bandwidth.WithQuantum(1+int(quantum)))
			var out bytes.Buffer
			r := faultyReader{random, newReader(t, as(t.Context(), "a"), s, bytes.NewReader(data)), 1 + int(size)}
			w := faultyWriter{random, &out}
			copied := copyAll(t, newWriter(t, as(t.Context(), "a"), s, w), r)
			if copied != len(data) || !bytes.Equal(data, out.Bytes()) {
				t.Errorf("%d bytes copied of %d, same: %v", copied, len(data), bytes.Equal(data, out.Bytes()))
			}
		})
	})
}

var errFault = errors.New("fault")

// faultyReader reads calls of random sizes.
type faultyReader struct {
	random *rand.Rand
	io.Reader
	size int
}

func (r faultyReader) Read(p []byte) (int, error) {
	return r.Reader.Read(p[:min(len(p), r.random.IntN(r.size+1))])
}

// faultyWriter sometimes writes a part only.
type faultyWriter struct {
	random *rand.Rand
	io.Writer
}

func (w faultyWriter) Write(p []byte) (int, error) {
	if w.random.IntN(3) > 0 {
		return w.Writer.Write(p)
	}
	n, _ := w.Writer.Write(p[:w.random.IntN(len(p)+1)])
	return n, errFault
}

// copyAll goes on after faults.
func copyAll(t *testing.T, w io.Writer, r io.Reader) (copied int) {
	p := make([]byte, 300)
	for {
		n, readErr := r.Read(p)
		for rest := p[:n]; len(rest) > 0; {
			written, err := w.Write(rest)
			if err != nil {
				require.ErrorIs(t, err, errFault)
			}
			copied += written
			rest = rest[written:]
		}
		if readErr != nil {
			require.ErrorIs(t, readErr, io.EOF)
			return copied
		}
	}
}
