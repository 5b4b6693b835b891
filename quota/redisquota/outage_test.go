package redisquota_test

import (
	"context"
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

const outagePlans = `{"version": 1, "plans": {"p": {"limits": {
	"shared": {"windows": {"24h": 100000}}, "closed": {"windows": {"24h": 1000}, "outage": "close"},
	"open": {"windows": {"24h": 1000}, "outage": "open"}
}}}}`

// outages are how a server is gone for a while.
var outages = map[string]struct{ begin, end func(s *redistest.Server) }{
	"paused": {(*redistest.Server).Pause, (*redistest.Server).Resume},
	"killed": {(*redistest.Server).Kill, (*redistest.Server).Restart},
}

// TestOutage pauses a server, and kills and restarts one, under an Enforcer.
func TestOutage(t *testing.T) {
	t.Parallel()
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redistest.Persistent())
			store, err := redisquota.New(connect(t, server.Addr()))
			require.NoError(t, err)
			var downs, ups atomic.Int64
			e := enforcerOf(t, outagePlans, store, &downs, &ups)
			ctx := tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme", Plan: "p"})
			account, err := e.Account(ctx)
			require.NoError(t, err)
			take := func(limit string) quota.Decision { return account.Take(ctx, e.Ref(limit), 1) }
			let := int64(0)
			for _, limit := range []string{"shared", "closed", "open"} {
				require.Eventually(t, func() bool { // the first call may take longer than a decision waits
					d := take(limit)
					if d.OK && limit == "shared" {
						let++
					}
					return d.OK && !d.Degraded()
				}, 10*time.Second, time.Millisecond)
			}

			outage.begin(server)
			var longest time.Duration
			for range 1000 {
				start := time.Now()
				d := take("shared")
				longest = max(longest, time.Since(start))
				require.True(t, d.OK)
				let++
				require.True(t, take("open").OK)
				require.Equal(t, quota.CauseUnavailable, take("closed").Cause())
			}
			t.Logf("3,000 decisions without the store: the longest took %v", longest)
			assert.Positive(t, downs.Load())

			outage.end(server)
			require.Eventually(t, func() bool { take("closed"); return ups.Load() > 0 }, 20*time.Second, 50*time.Millisecond)
			require.NoError(t, e.Close(ctx))
			usage, err := account.Usage(ctx)
			require.NoError(t, err)
			for _, u := range usage {
				if u.Limit == "shared" {
					assert.Equal(t, let, u.Windows[0].Used, "the store was told of what was let in")
				}
			}
		})
	}
}

// enforcerOf returns an Enforcer of plans, one of four replicas, which counts how often the
// store is gone and back.
func enforcerOf(t *testing.T, plans string, store quota.Store, downs, ups *atomic.Int64, opts ...quota.Option) *quota.Enforcer {
	t.Helper()
	catalog, err := quota.ParseCatalog([]byte(plans))
	require.NoError(t, err)
	e, err := quota.New(quota.NewMemorySource(catalog), append(opts, quota.WithStore(store, 4),
		quota.WithEvents(func(_ context.Context, event quota.Event) {
			switch event.Kind {
			case quota.StoreDown:
				downs.Add(1)
			case quota.StoreUp:
				ups.Add(1)
			default:
			}
		}))...)
	require.NoError(t, err)
	return e
}
