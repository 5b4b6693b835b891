package fairshare_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/fairshare"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestByPlan(t *testing.T) {
	t.Parallel()
	catalog, err := quota.ParseCatalog([]byte(`{"version": 1, "plans": {
		"pro": {"weight": 4, "limits": {"compute": {"kind": "concurrent", "max": 8}}},
		"all": {"limits": {"compute": {"kind": "concurrent", "max": "unlimited"}}},
		"none": {"limits": {"compute": {"kind": "concurrent", "max": 0}}},
		"free": {}
	}}`))
	require.NoError(t, err)
	enforcer, err := quota.New(quota.NewMemorySource(catalog))
	require.NoError(t, err)
	shares := fairshare.ByPlan(enforcer, "compute")
	share, err := shares(t.Context(), tenant.Tenant{ID: "acme", Plan: "pro"})
	require.NoError(t, err)
	assert.Equal(t, fairshare.Share{Weight: 4, Max: 8}, share)
	share, err = shares(t.Context(), tenant.Tenant{ID: "globex", Plan: "all"})
	require.NoError(t, err)
	assert.Equal(t, fairshare.Share{Weight: 1}, share)
	for _, plan := range []string{"none", "free"} {
		_, err = shares(t.Context(), tenant.Tenant{ID: tenant.ID(plan), Plan: plan})
		assert.ErrorIs(t, err, quota.ErrNotInPlan)
	}

	slots, err := fairshare.New(2, shares)
	require.NoError(t, err)
	hold, err := slots.Acquire(tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme", Plan: "pro"}), 1)
	require.NoError(t, err)
	hold.Release()
	_, err = slots.Acquire(tenant.NewContext(t.Context(), tenant.Tenant{ID: "free", Plan: "free"}), 1)
	assert.ErrorIs(t, err, quota.ErrNotInPlan)
}
