package sqlquota_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/quotatest"
	"github.com/tenancy-go/tenancy/quota/sqlquota"
)

func (p place) source(t testing.TB) *sqlquota.Source {
	t.Helper()
	source, err := sqlquota.NewSource(p.open(t), p.dialect)
	require.NoError(t, err)
	require.NoError(t, source.Migrate(t.Context()))
	return source
}

func TestSource(t *testing.T) {
	t.Parallel()
	for name, fresh := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			quotatest.TestSource(t, func(t *testing.T) quotatest.Source { return fresh(t).source(t) })
		})
	}
}

// Of processes that set catalogs at the same time, none takes a newer one back, and each
// version is accepted once.
func TestCatalogsOnlyGrow(t *testing.T) {
	onEach(t, func(t *testing.T, p place) {
		var group sync.WaitGroup
		var accepted atomic.Int64
		reader := p.source(t)
		for range 4 {
			source := p.source(t)
			group.Go(func() {
				for version := int64(1); version <= 10; version++ {
					err := source.SetCatalog(t.Context(), quota.Document{"version": version, "plans": map[string]any{"free": map[string]any{}}})
					if err == nil {
						accepted.Add(1)
						continue
					}
					assert.ErrorIs(t, err, quota.ErrInvalid)
				}
			})
		}
		group.Wait()
		catalog, err := reader.Catalog(t.Context())
		require.NoError(t, err)
		assert.EqualValues(t, 10, catalog.Version())
		again, err := reader.Catalog(t.Context())
		require.NoError(t, err)
		assert.Same(t, catalog, again, "what is known is not read again")
		var kept int64
		require.NoError(t, p.open(t).QueryRowContext(t.Context(), "SELECT count(*) FROM tenancy_quota_catalogs").Scan(&kept))
		assert.Equal(t, accepted.Load(), kept)
	})
}

func TestSourceRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, p place) {
		source := p.source(t)
		for _, odd := range []string{"a\x00b", "\xff"} {
			o := quota.Override{Tenant: "acme", ID: odd, Reason: "so", Patch: quota.Document{"title": "x"}}
			require.ErrorIs(t, source.SetOverride(t.Context(), o), quota.ErrInvalid)
			require.NoError(t, source.RemoveOverride(t.Context(), "acme", odd))
		}
	})
}
