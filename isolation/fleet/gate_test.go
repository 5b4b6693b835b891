package fleet_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tenancy-go/tenancy/isolation/fleet"
	"github.com/tenancy-go/tenancy/tenant"
)

// clock is one that a test moves.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

func gateFor(t testing.TB, w *world, s strategy, version int64, opts ...fleet.GateOption) *fleet.Gate {
	t.Helper()
	g, err := fleet.NewGate(w.ledger, s, version, opts...)
	require.NoError(t, err)
	return g
}

func TestTheGateLetsInWhoIsThere(t *testing.T) {
	t.Parallel()
	four(t, func(t *testing.T, w *world, s strategy) {
		ts := tenants(2)
		provision(t, s, ts...)
		var time1 clock
		g := gateFor(t, w, s, 2, fleet.WithClock(time1.now))
		require.ErrorIs(t, g.Check(t.Context(), ts[0]), fleet.ErrBehind, "nothing is known yet")
		_, err := w.fleet(t, s, files(1)).Run(t.Context(), fleet.These(ts...))
		require.NoError(t, err)
		time1.advance(time.Minute)
		require.ErrorIs(t, g.Check(t.Context(), ts[0]), fleet.ErrBehind, "at version 1")

		_, err = w.fleet(t, s, files(3)).Run(t.Context(), fleet.These(ts[0]))
		require.NoError(t, err)
		require.ErrorIs(t, g.Check(t.Context(), ts[0]), fleet.ErrBehind, "remembered for a moment")
		time1.advance(2 * time.Second)
		require.NoError(t, g.Check(t.Context(), ts[0]))
		shared := t.Name() == "TestTheGateLetsInWhoIsThere/row"
		if err := g.Check(t.Context(), ts[1]); shared {
			assert.NoError(t, err, "the home is everyone's")
		} else {
			assert.ErrorIs(t, err, fleet.ErrBehind)
		}
		assert.ErrorIs(t, gateFor(t, w, s, 4).Check(t.Context(), ts[0]), fleet.ErrBehind)
	})
}

func TestTheGateAnswers(t *testing.T) {
	t.Parallel()
	w, s := newFiles(t, own(1))
	ts := tenants(2)
	provision(t, s, ts...)
	require.NoError(t, fleetOf(t, s, w.ledger, load(t, own(2))).Bring(t.Context(), ts[0]))
	next := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNoContent) })
	handler := gateFor(t, w, s, 2).Middleware(next)
	serve := func(ctx context.Context) *httptest.ResponseRecorder {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		return recorder
	}
	assert.Equal(t, http.StatusNoContent, serve(tenant.NewContext(t.Context(), ts[0])).Code)

	behind := serve(tenant.NewContext(t.Context(), ts[1]))
	assert.Equal(t, http.StatusServiceUnavailable, behind.Code)
	assert.Equal(t, "10", behind.Header().Get("Retry-After"))
	assert.Equal(t, "application/problem+json", behind.Header().Get("Content-Type"))
	assert.Contains(t, behind.Body.String(), "tenant-migrating")

	assert.Equal(t, http.StatusBadRequest, serve(t.Context()).Code, "a request without a tenant")
	assert.Equal(t, http.StatusBadRequest, serve(tenant.System(t.Context(), "test")).Code)
}

// TestTheGateOutlivesTheLedger closes the control database.
func TestTheGateOutlivesTheLedger(t *testing.T) {
	t.Parallel()
	w, s := newFiles(t, own(1))
	ts := tenants(2)
	provision(t, s, ts...)
	_, err := fleetOf(t, s, w.ledger, load(t, own(2))).Run(t.Context(), fleet.These(ts...))
	require.NoError(t, err)
	var time1 clock
	g := gateFor(t, w, s, 2, fleet.WithClock(time1.now))
	require.NoError(t, g.Check(t.Context(), ts[0]))
	require.NoError(t, w.control.Close())
	time1.advance(time.Hour)
	assert.NoError(t, g.Check(t.Context(), ts[0]), "it was let in before")
	err = g.Check(t.Context(), ts[1])
	require.Error(t, err, "nobody knows")
	assert.NotErrorIs(t, err, fleet.ErrBehind)
}

func TestTheGateAsksOnceForMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.schemas(t, own(1))
	one := tenants(1)[0]
	provision(t, s, one)
	_, err := w.fleet(t, s, own(2)).Run(t.Context(), fleet.These(one))
	require.NoError(t, err)
	counter, ledger := w.counted(t)
	g, err := fleet.NewGate(ledger, s, 2)
	require.NoError(t, err)
	require.NoError(t, g.Check(t.Context(), one))
	before := counter.statements.Load()
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			for range 1000 {
				if err := g.Check(t.Context(), one); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	assert.Equal(t, before, counter.statements.Load(), "no statement for a request")
}

func TestNewGateRefuses(t *testing.T) {
	t.Parallel()
	w, s := newFiles(t, own(1))
	_, err := fleet.NewGate(nil, s, 1)
	require.Error(t, err)
	_, err = fleet.NewGate(w.ledger, nil, 1)
	require.Error(t, err)
	_, err = fleet.NewGate(w.ledger, s, 1, fleet.WithClock(nil))
	require.Error(t, err)
	_, err = fleet.NewGate(w.ledger, s, 1, fleet.WithErrorHandler(nil))
	require.Error(t, err)
}
