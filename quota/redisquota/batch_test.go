package redisquota_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/redistest"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// batch returns a Taking of one unit for each of n tenants.
func batch(name string, n int) []quota.Taking {
	takings := make([]quota.Taking, n)
	for i := range takings {
		takings[i] = taking(name, 1)
		takings[i].Tenant = tenant.ID(fmt.Sprintf("tenant-%d", i))
	}
	return takings
}

// usedBy returns what each of n tenants has used.
func usedBy(t *testing.T, store quota.Store, n int) (used []int64) {
	t.Helper()
	for i := range n {
		levels, err := store.Read(t.Context(), tenant.ID(fmt.Sprintf("tenant-%d", i)), []quota.Counter{requests})
		require.NoError(t, err)
		used = append(used, levels[0].Windows[1].Used)
	}
	return used
}

func TestLostAnswersToABatchCountOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := newProxy(t, server.Addr())
	store := open(t, connect(t, p.addr()))
	p.lose.Store(1)
	for i, a := range store.TakeBatch(t.Context(), batch("one", 30)) {
		require.NoError(t, a.Err, "taking %d", i)
		assert.True(t, a.Taken.OK)
	}
	for i, n := range usedBy(t, store, 30) {
		assert.EqualValues(t, 1, n, "tenant %d", i)
	}
	p.lose.Store(2)
	for _, a := range store.TakeBatch(t.Context(), batch("two", 3)) {
		assert.ErrorIs(t, a.Err, quota.ErrUnavailable)
	}
	for _, a := range store.TakeBatch(t.Context(), batch("two", 3)) { // with the same IDs
		assert.NoError(t, a.Err)
	}
	assert.Equal(t, []int64{2, 2, 2}, usedBy(t, store, 3))
}

// TestABatchOverACluster loads scripts again, and lets one of three masters hang: the
// tenants of the others, which are in lanes of their own, get their answers, and nobody
// waits beyond the deadline.
func TestABatchOverACluster(t *testing.T) {
	t.Parallel()
	const tenants = 30
	cluster := redistest.StartCluster(t, 3)
	client := connectCluster(t, cluster)
	store := open(t, client)
	require.NoError(t, client.ScriptFlush(t.Context()).Err())
	lanes := make(map[string][]quota.Taking)
	for i, a := range store.TakeBatch(t.Context(), batch("one", tenants)) {
		require.NoError(t, a.Err, "taking %d", i)
	}
	for _, t2 := range batch("two", tenants) {
		lane := store.Lane(t.Context(), t2.Tenant)
		lanes[lane] = append(lanes[lane], t2)
	}
	require.Len(t, lanes, 3)
	cluster.Servers[0].Pause()
	for lane, takings := range lanes {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		start := time.Now()
		for _, a := range store.TakeBatch(ctx, takings) {
			assert.Equal(t, lane == cluster.Servers[0].Addr(), a.Err != nil, "%v", a.Err)
		}
		cancel()
		assert.Less(t, time.Since(start), 2*time.Second)
	}
	cluster.Servers[0].Resume()
	for _, a := range store.TakeBatch(t.Context(), batch("two", tenants)) {
		assert.NoError(t, a.Err)
	}
	for i, n := range usedBy(t, store, tenants) {
		assert.EqualValues(t, 2, n, "tenant %d", i)
	}
}
