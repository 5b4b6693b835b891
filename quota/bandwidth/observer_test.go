package bandwidth_test

import (
	"context"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota/bandwidth"
	"github.com/tenancy-go/tenancy/tenant"
)

// ledger is what an observer was told.
type ledger struct {
	mu    sync.Mutex
	in    int64
	out   int64
	calls int
}

func (l *ledger) observe(ctx context.Context, id tenant.ID, d bandwidth.Direction, n int64) {
	if at, err := tenant.IDFromContext(ctx); err != nil || at != id || ctx.Err() != nil || n <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if d == bandwidth.Ingress {
		l.in += n
	} else {
		l.out += n
	}
}

func (l *ledger) holds(t *testing.T, in, out int64) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	assert.Equal(t, [2]int64{in, out}, [2]int64{l.in, l.out})
}

func TestObserver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		s := newShaper(t, always(bandwidth.Limits{}), bandwidth.WithObserver(l.observe))
		ctx, cancel := context.WithCancel(as(t.Context(), "a"))
		w, r := newWriter(t, ctx, s, io.Discard), newReader(t, ctx, s, io.LimitReader(endless{}, 100))

		for range 10 {
			_, err := w.Write(make([]byte, 10))
			require.NoError(t, err)
		}
		l.holds(t, 0, 0)
		time.Sleep(time.Second)
		_, err := w.Write(make([]byte, 10))
		require.NoError(t, err)
		l.holds(t, 0, 110) // a second has passed

		_, err = w.Write(make([]byte, 1<<20+5))
		require.NoError(t, err)
		l.holds(t, 0, 110+1<<20) // a mebibyte
		assert.Equal(t, 2, l.calls)
		require.NoError(t, w.Close())
		l.holds(t, 0, 115+1<<20)

		_, err = io.Copy(io.Discard, r)
		require.NoError(t, err)
		l.holds(t, 100, 115+1<<20) // the end

		w = newWriter(t, ctx, s, writerFunc(func([]byte) (int, error) { return 3, io.ErrUnexpectedEOF }))
		_, err = w.Write(make([]byte, 10))
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
		l.holds(t, 100, 118+1<<20) // an error, and what was moved before

		w = newWriter(t, ctx, s, io.Discard)
		_, err = w.Write(make([]byte, 10))
		require.NoError(t, err)
		cancel()
		require.NoError(t, w.Close())
		l.holds(t, 100, 128+1<<20) // also when the context has ended
	})
}

// What is under way when the stream is closed is reported when it is over.
func TestObserverAfterClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		s := newShaper(t, both(1<<20, 1<<20), bandwidth.WithObserver(l.observe))
		w := newWriter(t, as(t.Context(), "a"), s, writerFunc(func(p []byte) (int, error) {
			time.Sleep(time.Second / 4)
			return len(p), nil
		}))
		go func() { _, _ = w.Write(make([]byte, 10)) }()
		synctest.Wait()
		require.NoError(t, w.Close())
		l.holds(t, 0, 0)
		time.Sleep(time.Second)
		l.holds(t, 0, 10)
	})
}
