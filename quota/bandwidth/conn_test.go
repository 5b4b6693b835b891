package bandwidth_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota/bandwidth"
)

// pipe returns one end of a connection whose other end echoes nothing, but reads all.
func pipe(t *testing.T) net.Conn {
	t.Helper()
	near, far := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, far) }()
	t.Cleanup(func() { _ = near.Close() })
	return near
}

func newConn(t *testing.T, s *bandwidth.Shaper, c net.Conn) net.Conn {
	t.Helper()
	limited, err := s.Conn(as(t.Context(), "a"), c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = limited.Close() })
	return limited
}

func TestConnWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, both(quantum, quantum))
		c := newConn(t, s, pipe(t))
		begun := time.Now()
		require.NoError(t, c.SetWriteDeadline(begun.Add(2500*time.Millisecond)))
		n, err := c.Write(make([]byte, 10*quantum))
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		assert.True(t, timeout.Timeout())
		assert.Equal(t, 3*quantum, n)
		assert.Equal(t, 2500*time.Millisecond, time.Since(begun))
		_, err = c.Write([]byte("x"))
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)

		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		n, err = c.Write(make([]byte, 7*quantum))
		assert.NoError(t, err)
		assert.Equal(t, 7*quantum, n)
		assert.InDelta(t, 9, time.Since(begun).Seconds(), 1e-6)
	})
}

// A deadline may be set, moved and taken back while somebody waits.
func TestConnDeadlineMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, both(quantum, quantum))
		c := newConn(t, s, pipe(t))
		begun := time.Now()
		time.AfterFunc(1*time.Second, func() { assert.NoError(t, c.SetDeadline(begun.Add(3*time.Second))) })
		time.AfterFunc(2*time.Second, func() { assert.NoError(t, c.SetDeadline(time.Time{})) })
		time.AfterFunc(4*time.Second, func() { assert.NoError(t, c.SetDeadline(begun.Add(9*time.Second))) })
		time.AfterFunc(5*time.Second, func() { assert.NoError(t, c.SetDeadline(begun.Add(7*time.Second+1))) })
		_, err := c.Write(make([]byte, 100*quantum))
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, 7*time.Second+1, time.Since(begun))
		require.NoError(t, c.SetDeadline(time.Now().Add(time.Hour)))
		time.AfterFunc(time.Second/3, func() { assert.NoError(t, c.SetDeadline(begun)) })
		_, err = c.Write(make([]byte, 100*quantum))
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, 7*time.Second+1+time.Second/3, time.Since(begun))
	})
}

// A Read that waits for bandwidth loses nothing by its deadline.
func TestConnRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		s := newShaper(t, both(quantum, quantum))
		c := newConn(t, s, near)
		data := bytesOf(5*quantum + 3)
		go func() {
			_, err := far.Write(data)
			assert.NoError(t, err)
		}()
		var got []byte
		p := make([]byte, quantum)
		begun := time.Now()
		for len(got) < len(data) {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(300*time.Millisecond)))
			n, err := c.Read(p)
			got = append(got, p[:n]...)
			if err != nil {
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			}
		}
		assert.True(t, bytes.Equal(data, got))
		assert.InDelta(t, 4, time.Since(begun).Seconds(), 0.01)
	})
}

func TestConnClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		l := &ledger{}
		s := newShaper(t, both(quantum, quantum), bandwidth.WithObserver(l.observe))
		c := newConn(t, s, near)
		go func() { _, _ = io.Copy(far, far) }() // an echo
		begun := time.Now()
		var group sync.WaitGroup
		var in, out int64
		group.Go(func() {
			n, err := c.Write(make([]byte, 100*quantum))
			out = int64(n)
			assert.ErrorIs(t, err, net.ErrClosed)
		})
		synctest.Wait()
		group.Go(func() {
			n, err := c.Write(make([]byte, 100*quantum)) // waits for the other
			assert.Zero(t, n)
			assert.ErrorIs(t, err, net.ErrClosed)
		})
		group.Go(func() {
			n, err := io.Copy(io.Discard, c)
			in = n
			if !errors.Is(err, io.ErrClosedPipe) { // it waits for the pipe
				assert.ErrorIs(t, err, net.ErrClosed)
			}
		})
		time.Sleep(3500 * time.Millisecond)
		require.NoError(t, c.Close())
		group.Wait()
		assert.Equal(t, 3500*time.Millisecond, time.Since(begun))
		assert.Positive(t, in)
		l.holds(t, in, out)
		assert.EqualValues(t, 4*quantum, out)
		_, err := c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, net.ErrClosed)
		_ = far.Close()
	})
}

// What several write at the same time arrives in one piece each, as net.Conn has it.
func TestConnWritesAreWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		s := newShaper(t, both(100<<10, 10<<10), bandwidth.WithQuantum(100))
		c := newConn(t, s, near)
		var group sync.WaitGroup
		for i := range 10 {
			group.Go(func() {
				_, err := c.Write(bytes.Repeat([]byte{byte(i)}, 1000))
				assert.NoError(t, err)
			})
		}
		p := make([]byte, 1000)
		for range 10 {
			_, err := io.ReadFull(far, p)
			require.NoError(t, err)
			assert.Equal(t, bytes.Repeat(p[:1], 1000), p)
		}
		group.Wait()
	})
}

func TestConnRefusesPackets(t *testing.T) {
	t.Parallel()
	c, err := net.ListenPacket("udp", "127.0.0.1:0") //nolint:noctx // nothing to wait for
	require.NoError(t, err)
	defer c.Close()
	udp, ok := c.(net.Conn)
	require.True(t, ok)
	_, err = newShaper(t, both(1, 1)).Conn(as(t.Context(), "a"), udp)
	assert.ErrorContains(t, err, "packets")
}

// connected returns both ends of a connection over loopback.
func connected(t *testing.T) (near, far net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to wait for
	require.NoError(t, err)
	defer listener.Close()
	far, err = net.Dial("tcp", listener.Addr().String()) //nolint:noctx // nothing to wait for
	require.NoError(t, err)
	t.Cleanup(func() { _ = far.Close() })
	near, err = listener.Accept()
	require.NoError(t, err)
	return near, far
}

// Over TCP, in real time: an echo at 1 MiB a second each way.
func TestConnOverTCP(t *testing.T) {
	t.Parallel()
	near, far := connected(t)
	l := &ledger{}
	s := newShaper(t, both(1<<20, 64<<10), bandwidth.WithObserver(l.observe))
	c := newConn(t, s, near)
	data := bytesOf(320 << 10)
	var group sync.WaitGroup
	group.Go(func() {
		n, err := io.Copy(c, c)
		assert.NoError(t, err)
		assert.EqualValues(t, len(data), n)
		half, ok := c.(interface{ CloseWrite() error })
		if assert.True(t, ok, "a TCP connection can be closed by half") {
			assert.NoError(t, half.CloseWrite())
		}
		_, err = c.Write([]byte("x"))
		assert.ErrorIs(t, err, net.ErrClosed)
	})
	begun := time.Now()
	group.Go(func() {
		_, err := far.Write(data)
		assert.NoError(t, err)
		tcp, _ := far.(*net.TCPConn)
		assert.NoError(t, tcp.CloseWrite())
	})
	got, err := io.ReadAll(far)
	assert.NoError(t, err)
	group.Wait()
	took := time.Since(begun)
	assert.True(t, bytes.Equal(data, got))
	assert.GreaterOrEqual(t, took, 250*time.Millisecond, "256 KiB beyond the burst")
	assert.Less(t, took, time.Minute)
	require.NoError(t, c.Close())
	l.holds(t, int64(len(data)), int64(len(data)))
}

func TestConnWithoutHalves(t *testing.T) {
	t.Parallel()
	_, ok := newConn(t, newShaper(t, both(1, 1)), pipe(t)).(interface{ CloseWrite() error })
	assert.False(t, ok)
}
