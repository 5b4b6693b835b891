package tenant_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
	"github.com/tenancy-go/tenancy/tenant/tenanttest"
)

func TestDirectoryHearsOfChangesThroughItsStore(t *testing.T) {
	t.Parallel()
	kept := tenant.NewMemoryStore()
	directory, err := tenant.NewDirectory(kept, tenant.WithTTL(time.Hour), tenant.WithUnknownTTL(time.Hour))
	require.NoError(t, err)
	store := directory.Store(kept)
	ctx := t.Context()

	acme := tenanttest.Tenant(t, "acme")
	_, err = directory.Find(ctx, tenant.BySlug(acme.Slug))
	require.ErrorIs(t, err, tenant.ErrNotFound)
	acme, err = store.Create(ctx, acme)
	require.NoError(t, err)
	found, err := directory.Find(ctx, tenant.BySlug(acme.Slug))
	require.NoError(t, err, "it was unknown, and is no more")
	assert.Equal(t, acme, found)

	acme.Status = tenant.StatusSuspended
	acme, err = store.Update(ctx, acme)
	require.NoError(t, err)
	found, err = directory.Find(ctx, tenant.ByID("acme"))
	require.NoError(t, err)
	assert.Equal(t, tenant.StatusSuspended, found.Status)

	_, err = store.Delete(ctx, acme.ID, acme.Version)
	require.NoError(t, err)
	found, err = directory.Find(ctx, tenant.ByID("acme"))
	require.NoError(t, err)
	assert.Equal(t, tenant.StatusDeleted, found.Status)
}

func TestDirectoryStoreIsAStore(t *testing.T) {
	t.Parallel()
	tenanttest.TestStore(t, func(t *testing.T) tenant.Store {
		kept := tenant.NewMemoryStore()
		directory, err := tenant.NewDirectory(kept)
		require.NoError(t, err)
		return directory.Store(kept)
	})
}
