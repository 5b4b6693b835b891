package bandwidth_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/bandwidth"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestByPlan(t *testing.T) {
	t.Parallel()
	catalog, err := quota.ParseCatalog([]byte(`{"version": 1, "plans": {
		"pro": {"limits": {"in": {"kind": "bandwidth", "max": "unlimited"}, "out": {"kind": "bandwidth", "max": "1MiB", "burst": "4MiB"}}},
		"free": {"limits": {"in": {"kind": "bandwidth", "max": 0}, "out": {"kind": "stock", "max": 1}}}
	}}`))
	require.NoError(t, err)
	enforcer, err := quota.New(quota.NewMemorySource(catalog))
	require.NoError(t, err)
	limits := bandwidth.ByPlan(enforcer, "in", "out")
	pro := tenant.Tenant{ID: "acme", Plan: "pro"}
	got, err := limits(t.Context(), pro)
	require.NoError(t, err)
	assert.Equal(t, bandwidth.Limits{Egress: bandwidth.Rate{BytesPerSecond: 1 << 20, Burst: 4 << 20}}, got)

	for _, names := range [][2]string{{"in", ""}, {"", "out"}, {"", "unknown"}} {
		_, err = bandwidth.ByPlan(enforcer, names[0], names[1])(t.Context(), tenant.Tenant{ID: "globex", Plan: "free"})
		assert.ErrorIs(t, err, quota.ErrNotInPlan, names)
	}
	_, err = limits(t.Context(), tenant.Tenant{})
	assert.ErrorIs(t, err, tenant.ErrNoTenant)

	shaper, err := bandwidth.New(limits)
	require.NoError(t, err)
	var sent bytes.Buffer
	w, err := shaper.Writer(tenant.NewContext(t.Context(), pro), &sent)
	require.NoError(t, err)
	_, err = w.Write([]byte("hello"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	assert.Equal(t, "hello", sent.String())
	_, err = shaper.Writer(tenant.NewContext(t.Context(), tenant.Tenant{ID: "globex", Plan: "free"}), &sent)
	assert.ErrorIs(t, err, bandwidth.ErrLimits)
}
