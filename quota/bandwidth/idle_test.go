package bandwidth_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota/bandwidth"
	"github.com/tenancy-go/tenancy/tenant"
)

// visits lets n tenants that were never seen before begin a stream.
func visits(t *testing.T, s *bandwidth.Shaper, name string, n int) {
	t.Helper()
	for i := range n {
		newWriter(t, as(t.Context(), tenant.ID(fmt.Sprintf("%s-%d", name, i))), s, io.Discard)
	}
}

func TestIdleTenantsAreDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, both(1<<20, 1<<20))
		visits(t, s, "old", 1000)
		assert.Equal(t, 1000, s.Tenants(), "their limits are known yet")
		time.Sleep(10 * time.Second)
		visits(t, s, "new", 500)
		assert.Equal(t, 500, s.Tenants(), "each looked at four: two old ones, and two that took their places")
		time.Sleep(10 * time.Second)
		for range 200 {
			newWriter(t, as(t.Context(), "one"), s, io.Discard)
		}
		assert.Equal(t, 1, s.Tenants())
	})
}

// A tenant is not forgotten for the number of others that came since.
func TestSpentIsNotForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const hour = 3600
		s := newShaper(t, both(1, 10*hour), bandwidth.WithRefusal(), bandwidth.WithRefresh(time.Second))
		w := newWriter(t, as(t.Context(), "a"), s, io.Discard)
		_, err := w.Write(make([]byte, 11*hour))
		require.ErrorIs(t, err, bandwidth.ErrExceeded)
		for i := range 9 {
			time.Sleep(time.Hour)
			visits(t, s, fmt.Sprint("others", i), 300)
			n, err := newWriter(t, as(t.Context(), "a"), s, io.Discard).Write(make([]byte, 11*hour))
			require.ErrorIs(t, err, bandwidth.ErrExceeded)
			require.Equal(t, hour, n)
		}
		assert.LessOrEqual(t, s.Tenants(), 301)
	})
}

// A stream that outlives its tenant's state shares the new one.
func TestOldStreamNewState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &plans{}
		p.set(1<<20, nil)
		s := newShaper(t, p.of, bandwidth.WithRefusal())
		old, older := newWriter(t, as(t.Context(), "a"), s, io.Discard), newWriter(t, as(t.Context(), "a"), s, io.Discard)
		r := newReader(t, as(t.Context(), "a"), s, endless{})
		time.Sleep(time.Hour)
		visits(t, s, "others", 10)
		assert.Equal(t, 10, s.Tenants())

		asked := p.times()
		_, err := old.Write(make([]byte, 1<<20))
		require.NoError(t, err)
		assert.Equal(t, asked+1, p.times())
		assert.Equal(t, 11, s.Tenants())
		_, err = older.Write([]byte("x"))
		assert.ErrorIs(t, err, bandwidth.ErrExceeded)
		_, err = newWriter(t, as(t.Context(), "a"), s, io.Discard).Write([]byte("x"))
		assert.ErrorIs(t, err, bandwidth.ErrExceeded)
		_, err = r.Read(make([]byte, 10))
		assert.NoError(t, err)
		assert.Equal(t, 11, s.Tenants())
	})
}

// A tenant whose limits take long to find out is not dropped meanwhile, over and over.
func TestSlowLimitsAndMuchTraffic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		s := newShaper(t, func(_ context.Context, t tenant.Tenant) (bandwidth.Limits, error) {
			if t.ID == "slow" {
				asked++
				time.Sleep(time.Second)
			}
			return bandwidth.Limits{}, nil
		}, bandwidth.WithRefresh(time.Millisecond))
		done := make(chan struct{})
		go func() {
			defer close(done)
			w, err := s.Writer(as(t.Context(), "slow"), io.Discard)
			if assert.NoError(t, err) {
				_, err = w.Write([]byte("x"))
				assert.NoError(t, err)
			}
		}()
		for range 1100 {
			time.Sleep(time.Millisecond)
			visits(t, s, "others", 2)
		}
		<-done
		assert.Equal(t, 1, asked)
	})
}

// There are no goroutines, and about a kilobyte for a tenant.
func TestFootprint(t *testing.T) { // alone: it counts what the process has
	s := newShaper(t, both(1<<20, 1<<20))
	goroutines := runtime.NumGoroutine()
	before := heap()
	const tenants = 10_000
	visits(t, s, "t", tenants)
	bytes := (heap() - before) / tenants
	t.Logf("%d bytes for each tenant", bytes)
	assert.Equal(t, tenants, s.Tenants())
	assert.LessOrEqual(t, runtime.NumGoroutine(), goroutines)
	assert.Less(t, bytes, 1500)
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
