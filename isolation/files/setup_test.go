package files_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/files"
	"github.com/tenancy-go/tenancy/isolation/files/filestest"
	"github.com/tenancy-go/tenancy/tenant"
)

func as(ctx context.Context, id tenant.ID) context.Context {
	return tenant.NewContext(ctx, tenant.Tenant{ID: id})
}

func newDisk(t testing.TB, dir string, opts ...files.Option) *files.Disk {
	t.Helper()
	d, err := files.NewDisk(dir, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, d.Close()) })
	return d
}

func TestDisk(t *testing.T) {
	t.Parallel()
	filestest.TestStore(t, func(t *testing.T, opts ...files.Option) files.Store { return newDisk(t, t.TempDir(), opts...) })
}

func TestMemory(t *testing.T) {
	t.Parallel()
	filestest.TestStore(t, func(t *testing.T, opts ...files.Option) files.Store {
		m, err := files.NewMemory(opts...)
		require.NoError(t, err)
		return m
	})
}
