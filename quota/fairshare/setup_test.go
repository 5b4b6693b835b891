package fairshare_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota/fairshare"
	"github.com/tenancy-go/tenancy/tenant"
)

func newScheduler(t testing.TB, capacity int64, share fairshare.Share, opts ...fairshare.Option) *fairshare.Scheduler {
	t.Helper()
	s, err := fairshare.New(capacity, fairshare.Equal(share), opts...)
	require.NoError(t, err)
	return s
}

// table is the shares of tenants by ID. Others have the zero Share.
type table map[tenant.ID]fairshare.Share

func (table table) share(_ context.Context, t tenant.Tenant) (fairshare.Share, error) {
	return table[t.ID], nil
}

func newTable(t testing.TB, capacity int64, shares table, opts ...fairshare.Option) *fairshare.Scheduler {
	t.Helper()
	s, err := fairshare.New(capacity, shares.share, opts...)
	require.NoError(t, err)
	return s
}

func as(ctx context.Context, id tenant.ID) context.Context {
	return tenant.NewContext(ctx, tenant.Tenant{ID: id})
}

// must returns n units that are to be had at once.
func must(t *testing.T, s *fairshare.Scheduler, id tenant.ID, n int64) *fairshare.Hold {
	t.Helper()
	hold, err := s.TryAcquire(as(t.Context(), id), n)
	require.NoError(t, err)
	return hold
}

// request is a call of Acquire that goes on.
type request struct {
	results chan returned
	result  returned
	over    bool
}

type returned struct {
	hold *fairshare.Hold
	err  error
}

// ask calls Acquire in a bubble and returns when it has, or waits.
func ask(ctx context.Context, s *fairshare.Scheduler, n int64) *request {
	r := &request{results: make(chan returned, 1)}
	go func() {
		hold, err := s.Acquire(ctx, n)
		r.results <- returned{hold, err}
	}()
	synctest.Wait()
	return r
}

// done reports whether Acquire has returned.
func (r *request) done() bool {
	select {
	case r.result = <-r.results:
		r.over = true
	default:
	}
	return r.over
}

// hold returns what Acquire did, as err does its error.
func (r *request) hold() *fairshare.Hold { r.done(); return r.result.hold }
func (r *request) err() error            { r.done(); return r.result.err }
