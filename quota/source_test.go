package quota_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/quotatest"
	"github.com/tenancy-go/tenancy/tenant"
)

// memorySource is a MemorySource as the suite changes it.
type memorySource struct{ *quota.MemorySource }

func (s memorySource) SetCatalog(_ context.Context, document quota.Document) error {
	catalog, err := quota.NewCatalog(document)
	if err != nil {
		return err
	}
	return s.MemorySource.SetCatalog(catalog)
}

func (s memorySource) SetOverride(_ context.Context, o quota.Override) error {
	return s.MemorySource.SetOverride(o)
}

func (s memorySource) RemoveOverride(_ context.Context, id tenant.ID, override string) error {
	s.MemorySource.RemoveOverride(id, override)
	return nil
}

func TestMemorySource(t *testing.T) {
	t.Parallel()
	quotatest.TestSource(t, func(*testing.T) quotatest.Source { return memorySource{quota.NewMemorySource(nil)} })
}

// brokenSource is a source that is wrong in one way.
type brokenSource struct {
	quotatest.Source
	overrides func(got []quota.Override, id tenant.ID) []quota.Override
	set       func(o *quota.Override)
	catalog   func(document quota.Document)
}

func (s brokenSource) Overrides(ctx context.Context, id tenant.ID) ([]quota.Override, error) {
	got, err := s.Source.Overrides(ctx, id)
	if s.overrides != nil {
		got = s.overrides(got, id)
	}
	return got, err
}

func (s brokenSource) SetOverride(ctx context.Context, o quota.Override) error {
	if s.set != nil {
		s.set(&o)
	}
	return s.Source.SetOverride(ctx, o)
}

func (s brokenSource) SetCatalog(ctx context.Context, document quota.Document) error {
	if s.catalog != nil {
		s.catalog(document)
	}
	return s.Source.SetCatalog(ctx, document)
}

// The suite of sources catches those that it must.
func TestSourceSuiteCatches(t *testing.T) {
	t.Parallel()
	changed := func(change func(o *quota.Override)) func([]quota.Override, tenant.ID) []quota.Override {
		return func(got []quota.Override, _ tenant.ID) []quota.Override {
			for i := range got {
				change(&got[i])
			}
			return got
		}
	}
	tests := []struct {
		name   string
		source brokenSource
		by     string
	}{
		{"in another order", brokenSource{overrides: func(got []quota.Override, _ tenant.ID) []quota.Override {
			slices.Reverse(got)
			return got
		}}, "overrides are ordered by ID"},
		{"always of version 1", brokenSource{overrides: changed(func(o *quota.Override) { o.Version = 1 })}, "an override's version grows with each change"},
		{"for all tenants", brokenSource{set: func(o *quota.Override) { o.Tenant = "acme" }}, "overrides are apart"},
		{"without children", brokenSource{set: func(o *quota.Override) { o.Children = false }}, "overrides are as they were set"},
		{"numbers are rounded", brokenSource{overrides: changed(func(o *quota.Override) {
			o.Patch = maps.Clone(o.Patch)
			o.Patch["rank"] = float64(1 << 53)
		})}, "overrides are as they were set"},
		{"takes any version", brokenSource{catalog: func() func(quota.Document) {
			version := int64(0)
			return func(document quota.Document) { version++; document["version"] = version }
		}()}, "the catalog is the newest that was set"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			failed := quotatest.CheckSource(t.Context(), func() quotatest.Source {
				s := tt.source
				s.Source = memorySource{quota.NewMemorySource(nil)}
				return s
			})
			assert.Contains(t, failed, tt.by)
		})
	}
}
