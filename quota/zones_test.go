package quota_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// TestZonesWithoutNames has tenants of one plan whose zones the host has made, under one
// name: each has its own days, by itself and with a store.
func TestZonesWithoutNames(t *testing.T) {
	t.Parallel()
	const plans = `{"version": 1, "plans": {"p": {"limits": {"requests": {"windows": {"day": {"limit": 5, "roll": "calendar"}}, "lease": 2}}}}}`
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	hours := map[tenant.ID]int{"west": -11, "east": 11}
	zone := quota.WithTimeZone(func(t tenant.Tenant) (*time.Location, error) {
		return time.FixedZone("", hours[t.ID]*3600), nil
	})
	clock := func() time.Time { return now }
	for name, opts := range map[string][]quota.Option{
		"alone":        {zone, quota.WithClock(clock)},
		"with a store": {zone, quota.WithClock(clock), quota.WithStore(quota.NewMemoryStore(clock), 1), quota.WithLeasePatience(time.Minute)},
	} {
		e, err := quota.New(quota.NewMemorySource(parse(t, plans)), opts...)
		require.NoError(t, err)
		for id, want := range map[tenant.ID]time.Time{
			"west": time.Date(2026, 11, 29, 11, 0, 0, 0, time.UTC), "east": time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC),
		} {
			account, err := e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: id, Plan: "p"}))
			require.NoError(t, err)
			require.True(t, account.Take(t.Context(), e.Ref("requests"), 5).OK)
			assert.Equal(t, want, usageOf(t, account)[0].Windows[0].Resets, "%s, %s", name, id)
		}
		require.NoError(t, e.Close(t.Context()))
	}
}
