package quota_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
)

// TestSettlesByTheClockOfTheStore settles to more and cancels, in processes whose clocks
// are far from the store's.
func TestSettlesByTheClockOfTheStore(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{2 * time.Hour, -2 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			source := quota.NewMemorySource(parse(t, sharedPlans))
			e, err := quota.New(source, quota.WithStore(quota.NewMemoryStore(time.Now), 1),
				quota.WithClock(func() time.Time { return time.Now().Add(ahead) }))
			require.NoError(t, err)
			g, d := acmeOf(t, e).Claim(t.Context(), quota.Claim{Limit: e.Ref("requests"), N: 1})
			require.NoError(t, d.Err())
			g.Settle(t.Context(), e.Ref("requests"), 90)
			synctest.Wait()
			assert.EqualValues(t, 90, usedOf(t, e, "requests"))
			g.Cancel(t.Context())
			require.NoError(t, e.Close(t.Context()))
			assert.Zero(t, usedOf(t, e, "requests"), "%v ahead", ahead)
		})
	}
}
