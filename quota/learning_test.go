package quota_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

const limitedPlans = `{"version": 1, "default": "free", "plans": {
	"free": {"limits": {"storage": {"kind": "stock", "max": 10}}, "database": {"statement_timeout": "2s", "connections": 3}},
	"pro": {"limits": {"storage": {"kind": "stock", "max": 10}}, "database": {"statement_timeout": "9s"}}}}`

// A database that holds tenants to their plans asks for the plan while levels are read
// from it.
func TestPlanIsKnownWhereLevelsAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		catalog, err := quota.ParseCatalog([]byte(limitedPlans))
		require.NoError(t, err)
		var enforcer *quota.Enforcer
		var seen []time.Duration
		var ask func(context.Context) (*quota.Resolved, error)
		levels := func(ctx context.Context, _ tenant.ID, _ string) (int64, error) {
			plan, err := ask(ctx)
			if err != nil {
				return 0, err
			}
			seen = append(seen, plan.Database.StatementTimeout)
			return 7, nil
		}
		enforcer, err = quota.New(quota.NewMemorySource(catalog), quota.WithLevels(levels))
		require.NoError(t, err)
		ask = enforcer.Plan
		acme := tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme"})
		start := time.Now()

		plan, err := enforcer.Plan(acme)
		require.NoError(t, err)
		assert.Equal(t, quota.Database{StatementTimeout: 2 * time.Second, Connections: 3}, plan.Database)
		assert.Equal(t, []time.Duration{2 * time.Second}, seen)
		account, err := enforcer.Account(acme)
		require.NoError(t, err)
		usage, err := account.Usage(acme)
		require.NoError(t, err)
		assert.Equal(t, int64(7), usage[0].Used)

		plan, err = enforcer.Plan(tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme", Plan: "pro", Version: 2}))
		require.NoError(t, err)
		assert.Equal(t, 9*time.Second, plan.Database.StatementTimeout, "a changed record counts at once")

		ask = func(ctx context.Context) (*quota.Resolved, error) {
			account, err := enforcer.Account(ctx)
			if err != nil {
				return nil, err
			}
			return account.Plan(), nil
		}
		_, err = enforcer.Plan(tenant.NewContext(t.Context(), tenant.Tenant{ID: "globex"}))
		require.ErrorIs(t, err, quota.ErrUnavailable)
		require.ErrorContains(t, err, "ask Enforcer.Plan")
		assert.Zero(t, time.Since(start), "nobody waits for himself")

		_, err = enforcer.Plan(t.Context())
		require.ErrorIs(t, err, tenant.ErrNoTenant)
	})
}

func TestPlanRefusesWhatNobodyKnows(t *testing.T) {
	enforcer, err := quota.New(quota.NewMemorySource(nil))
	require.NoError(t, err)
	_, err = enforcer.Plan(tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme", Plan: "none"}))
	require.Error(t, err)
	assert.True(t, errors.Is(err, quota.ErrUnavailable) || errors.Is(err, quota.ErrInvalid))
}
