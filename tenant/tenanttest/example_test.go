package tenanttest_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
	"github.com/tenancy-go/tenancy/tenant/tenanttest"
)

// greet stands for a function of a host that needs a tenant.
func greet(ctx context.Context) (string, error) {
	t, err := tenant.FromContext(ctx)
	if err != nil {
		return "", err
	}
	return "Welcome to " + t.Name, nil
}

func TestContext(t *testing.T) {
	t.Parallel()
	greeting, err := greet(tenanttest.Context(t, "acme"))
	require.NoError(t, err)
	assert.Equal(t, "Welcome to acme", greeting)

	_, err = greet(t.Context())
	assert.ErrorIs(t, err, tenant.ErrNoTenant)
}

func TestTenant(t *testing.T) {
	t.Parallel()
	want := tenant.Tenant{ID: "acme", Slug: "acme", Name: "acme", Status: tenant.StatusActive}
	assert.Equal(t, want, tenanttest.Tenant(t, "acme"))
	assert.NoError(t, want.Validate())
}
