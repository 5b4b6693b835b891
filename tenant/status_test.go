package tenant_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
)

func TestStatusTo(t *testing.T) {
	t.Parallel()
	allowed := map[tenant.Status]string{ // to provisioning, active, read-only, suspended, deleted
		tenant.StatusProvisioning: "yy..y",
		tenant.StatusActive:       ".yyyy",
		tenant.StatusReadOnly:     ".yyyy",
		tenant.StatusSuspended:    ".yyyy",
		tenant.StatusDeleted:      "....y",
		"":                        ".....",
		"ACTIVE":                  ".....",
	}
	all := []tenant.Status{
		tenant.StatusProvisioning, tenant.StatusActive, tenant.StatusReadOnly, tenant.StatusSuspended, tenant.StatusDeleted,
	}
	for from, row := range allowed {
		for i, to := range all {
			err := from.To(to)
			if row[i] == 'y' {
				require.NoError(t, err, "%s to %s", from, to)
				continue
			}
			require.ErrorIs(t, err, tenant.ErrTransition, "%s to %s", from, to)
			var typed *tenant.TransitionError
			require.ErrorAs(t, err, &typed)
			assert.Equal(t, tenant.TransitionError{From: from, To: to}, *typed)
		}
		require.ErrorIs(t, from.To("unheard-of"), tenant.ErrTransition)
	}
}

func TestStatusValid(t *testing.T) {
	t.Parallel()
	assert.True(t, tenant.StatusActive.Valid())
	assert.False(t, tenant.Status("").Valid())
	assert.False(t, tenant.Status("Active").Valid())
}
