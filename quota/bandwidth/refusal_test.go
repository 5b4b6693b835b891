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
)

func TestRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, both(quantum, 4*quantum), bandwidth.WithRefusal())
		ctx := as(t.Context(), "a")
		w := newWriter(t, ctx, s, io.Discard)
		begun := time.Now()
		n, err := w.Write(make([]byte, 10*quantum))
		assert.Equal(t, 4*quantum, n)
		assert.Zero(t, time.Since(begun))
		var exceeded *bandwidth.ExceededError
		require.ErrorAs(t, err, &exceeded)
		assert.ErrorIs(t, err, bandwidth.ErrExceeded)
		assert.Equal(t, bandwidth.ExceededError{Tenant: "a", Direction: bandwidth.Egress, RetryAfter: time.Second}, *exceeded)
		assert.EqualError(t, err, "bandwidth: exceeded: egress of tenant a, room in 1s")

		time.Sleep(exceeded.RetryAfter - time.Nanosecond)
		n, err = w.Write(make([]byte, quantum))
		assert.ErrorIs(t, err, bandwidth.ErrExceeded)
		assert.Zero(t, n)
		n, err = w.Write(make([]byte, quantum/2))
		assert.NoError(t, err)
		assert.Equal(t, quantum/2, n)

		_, err = io.Copy(io.Discard, newReader(t, ctx, s, io.LimitReader(endless{}, 4*quantum)))
		assert.NoError(t, err, "the other direction has a rate of its own")
		_, err = newWriter(t, as(t.Context(), "b"), s, io.Discard).Write(make([]byte, 4*quantum))
		assert.NoError(t, err, "and so has the other tenant")
	})
}

// What a reader had read when it was refused comes next.
func TestRefusedReaderLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, both(quantum, quantum), bandwidth.WithRefusal())
		data := bytesOf(10*quantum + 17)
		source := &chunks{data: data, size: 20_000}
		r := newReader(t, as(t.Context(), "a"), s, source)
		var got []byte
		p := make([]byte, 7000)
		for refusals := 0; ; {
			n, err := r.Read(p)
			got = append(got, p[:n]...)
			if err == io.EOF {
				assert.Positive(t, refusals)
				break
			}
			var exceeded *bandwidth.ExceededError
			if err != nil {
				require.ErrorAs(t, err, &exceeded)
				refusals++
				time.Sleep(exceeded.RetryAfter)
			}
		}
		assert.Equal(t, data, got)
	})
}

// chunks is a reader that returns io.EOF together with the last bytes.
type chunks struct {
	data []byte
	size int
}

func (c *chunks) Read(p []byte) (int, error) {
	n := copy(p, c.data[:min(len(c.data), c.size)])
	if c.data = c.data[n:]; len(c.data) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// Who would have to wait too long is told so at once; who would not, waits.
func TestMaxWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, both(quantum, quantum), bandwidth.WithMaxWait(3*time.Second))
		ctx := as(t.Context(), "a")
		_, err := newWriter(t, ctx, s, io.Discard).Write(make([]byte, quantum))
		require.NoError(t, err)
		begun := time.Now()
		var group sync.WaitGroup
		for i := range 3 { // their quanta are there in 1, 2 and 3 seconds
			w := newWriter(t, ctx, s, io.Discard)
			group.Go(func() {
				_, err := w.Write(make([]byte, quantum))
				assert.NoError(t, err)
				assert.Equal(t, time.Duration(i+1)*time.Second, time.Since(begun))
			})
			synctest.Wait()
		}
		_, err = newWriter(t, ctx, s, io.Discard).Write(make([]byte, quantum))
		var exceeded *bandwidth.ExceededError
		require.ErrorAs(t, err, &exceeded)
		assert.Equal(t, 4*time.Second, exceeded.RetryAfter)
		assert.Zero(t, time.Since(begun))
		group.Wait()

		n, err := newWriter(t, ctx, s, io.Discard).Write(make([]byte, 10*quantum))
		assert.NoError(t, err, "a long write waits for each quantum anew")
		assert.Equal(t, 10*quantum, n)
	})
}

// Limits that sink while one waits can make the wait too long.
func TestMaxWaitAndSinkingLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &plans{}
		p.set(4*quantum, nil)
		s := newShaper(t, p.of, bandwidth.WithMaxWait(time.Second/2))
		ctx := as(t.Context(), "a")
		_, err := newWriter(t, ctx, s, io.Discard).Write(make([]byte, 4*quantum))
		require.NoError(t, err)
		begun := time.Now()
		var group sync.WaitGroup
		for _, want := range []error{nil, bandwidth.ErrExceeded} {
			w := newWriter(t, ctx, s, io.Discard)
			group.Go(func() {
				_, err := w.Write(make([]byte, quantum))
				assert.ErrorIs(t, err, want)
				assert.Equal(t, 400*time.Millisecond, time.Since(begun).Round(time.Microsecond))
			})
			synctest.Wait()
		}
		p.set(5*quantum/2, nil)
		newWriter(t, ctx, s, io.Discard)
		group.Wait()
	})
}

// A stream whose context ends stops at once, and pays nothing for what it did not get.
func TestContextEndsWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, both(quantum, quantum))
		ctx, cancel := context.WithTimeoutCause(as(t.Context(), "a"), 2500*time.Millisecond, io.ErrNoProgress)
		defer cancel()
		begun := time.Now()
		n, err := newWriter(t, ctx, s, io.Discard).Write(make([]byte, 100*quantum))
		assert.Equal(t, 3*quantum, n)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 2500*time.Millisecond, time.Since(begun))

		_, err = newWriter(t, as(t.Context(), "a"), s, io.Discard).Write(make([]byte, quantum))
		assert.NoError(t, err)
		assert.Equal(t, 3*time.Second, time.Since(begun))
	})
}

// Those in the queue stop at once, too, and so do those whose stream is closed.
func TestQueueEndsWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, both(quantum, quantum))
		begun := time.Now()
		var group sync.WaitGroup
		for i := range 5 {
			ctx, cancel := context.WithTimeout(as(t.Context(), "a"), time.Duration(i+1)*50*time.Millisecond)
			w, r := newWriter(t, ctx, s, io.Discard), newReader(t, as(t.Context(), "a"), s, endless{})
			group.Go(func() {
				defer cancel()
				_, err := w.Write(make([]byte, 100*quantum))
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, time.Duration(i+1)*50*time.Millisecond, time.Since(begun))
				assert.NoError(t, r.Close())
				assert.NoError(t, r.Close())
			})
			group.Go(func() {
				_, err := io.Copy(io.Discard, r)
				assert.ErrorIs(t, err, io.ErrClosedPipe)
				assert.Equal(t, time.Duration(i+1)*50*time.Millisecond, time.Since(begun))
			})
		}
		group.Wait()
	})
}
