package redisquota_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/redistest"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/redisquota"
	"github.com/tenancy-go/tenancy/tenant"
)

const leasedPlans = `{"version": 1, "plans": {"p": {"limits": {
	"shared": {"windows": {"24h": 100000}, "lease": 100},
	"closed": {"windows": {"24h": 100000}, "lease": 100, "outage": "close"},
	"open": {"windows": {"24h": 100000}, "lease": 100, "outage": "open"},
	"streams": {"kind": "concurrent", "max": 1000, "lease": 10}
}}}}`

// TestLeasedOutage pauses a server, and kills and restarts one, under an Enforcer whose
// limits have leases: nobody waits for it, what is ahead is used up, then each limit does
// what its Outage says, and the store hears of all that was let in.
func TestLeasedOutage(t *testing.T) {
	t.Parallel()
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redistest.Persistent())
			store, err := redisquota.New(connect(t, server.Addr()))
			require.NoError(t, err)
			var downs, ups atomic.Int64
			e := enforcerOf(t, leasedPlans, store, &downs, &ups, quota.WithLeasePatience(200*time.Microsecond))
			r := newTenants(t, e, 20)
			for range 40 {
				for i := range r.accounts {
					for _, limit := range []string{"shared", "closed", "open"} {
						r.take(i, limit)
					}
				}
			}
			outage.begin(server)
			r.waits = nil
			ahead := r.degraded
			for range 100 {
				for i := range r.accounts {
					r.take(i, "shared")
					r.take(i, "open")
					r.take(i, "closed")
					r.hold(i)
				}
				time.Sleep(3 * time.Millisecond) // for longer than a call may take
			}
			slices.Sort(r.waits)
			t.Logf("%d decisions without the store: half within %v, 999 of 1000 within %v, the longest took %v",
				len(r.waits), r.waits[len(r.waits)/2], r.waits[len(r.waits)*999/1000], r.waits[len(r.waits)-1])
			assert.Less(t, r.waits[len(r.waits)*999/1000], 10*time.Millisecond, "nobody waits for the timeout of 50ms")
			assert.Greater(t, r.degraded, ahead)
			assert.Positive(t, downs.Load())

			outage.end(server)
			require.Eventually(t, func() bool { r.take(0, "closed"); return ups.Load() > 0 }, 20*time.Second, 50*time.Millisecond)
			require.NoError(t, e.Close(t.Context()))
			r.agree(t)
		})
	}
}

// tenants take units of tenants, and count.
type tenants struct {
	e        *quota.Enforcer
	accounts []*quota.Account
	granted  []map[string]int64
	degraded int
	waits    []time.Duration
}

func newTenants(t *testing.T, e *quota.Enforcer, n int) *tenants {
	t.Helper()
	r := &tenants{e: e}
	for i := range n {
		account, err := e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: tenant.ID(fmt.Sprintf("tenant-%d", i)), Plan: "p"}))
		require.NoError(t, err)
		r.accounts, r.granted = append(r.accounts, account), append(r.granted, map[string]int64{})
	}
	return r
}

func (r *tenants) take(i int, limit string) quota.Decision {
	ref, start := r.e.Ref(limit), time.Now()
	d := r.accounts[i].Take(context.Background(), ref, 1)
	r.waits = append(r.waits, time.Since(start))
	if d.OK {
		r.granted[i][limit]++
	}
	if d.Degraded() {
		r.degraded++
	}
	return d
}

// hold holds a stream for a moment.
func (r *tenants) hold(i int) {
	start := time.Now()
	g, d := r.accounts[i].Claim(context.Background(), quota.Claim{Limit: r.e.Ref("streams"), N: 1})
	r.waits = append(r.waits, time.Since(start))
	if d.OK {
		g.Done()
	}
}

// agree holds what the store has counted against what was granted.
func (r *tenants) agree(t *testing.T) {
	t.Helper()
	for i, account := range r.accounts {
		usage, err := account.Usage(t.Context())
		require.NoError(t, err)
		for _, u := range usage {
			if len(u.Windows) > 0 {
				assert.Equal(t, r.granted[i][u.Limit], u.Windows[0].Used, u.Limit)
			} else {
				assert.Zero(t, u.Used, u.Limit)
			}
		}
	}
}

// counting counts the Takings that a store is asked for.
type counting struct {
	quota.Batcher
	takings atomic.Int64
}

func (c *counting) Take(ctx context.Context, t quota.Taking) (quota.Taken, error) {
	c.takings.Add(1)
	return c.Batcher.Take(ctx, t)
}

func (c *counting) TakeBatch(ctx context.Context, takings []quota.Taking) []quota.Answer {
	c.takings.Add(int64(len(takings)))
	return c.Batcher.TakeBatch(ctx, takings)
}

// TestLeasesSpareCalls makes ten thousand decisions in some hundred calls, and hands back
// what nobody uses.
func TestLeasesSpareCalls(t *testing.T) {
	t.Parallel()
	store := &counting{Batcher: open(t, connect(t, redistest.Start(t).Addr()))}
	var downs, ups atomic.Int64
	e := enforcerOf(t, leasedPlans, store, &downs, &ups, quota.WithLeasePatience(time.Second), quota.WithStoreTimeout(time.Second))
	r := newTenants(t, e, 2)
	for range 5000 {
		for i := range r.accounts {
			require.True(t, r.take(i, "shared").OK)
		}
	}
	assert.Zero(t, r.degraded)
	assert.Less(t, store.takings.Load(), int64(300))
	require.NoError(t, e.Close(t.Context()))
	r.agree(t)
}
