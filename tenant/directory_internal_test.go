package tenant

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func warmDirectory(tb testing.TB) *Directory {
	tb.Helper()
	store := NewMemoryStore()
	_, err := store.Create(tb.Context(), Tenant{
		ID: "acme", Slug: "acme", Name: "Acme", Status: StatusActive, Domains: []string{"acme.example.org"},
		Settings: map[string]string{"locale": "en"},
	})
	require.NoError(tb, err)
	d, err := NewDirectory(store)
	require.NoError(tb, err)
	_, err = d.Find(tb.Context(), BySlug("acme"))
	require.NoError(tb, err)
	return d
}

func TestDirectoryHitDoesNotAllocate(t *testing.T) {
	d := warmDirectory(t)
	allocs := testing.AllocsPerRun(1000, func() {
		_, _ = d.findShared(t.Context(), BySlug("acme"))
		_, _ = d.findShared(t.Context(), ByDomain("acme.example.org"))
	})
	assert.Zero(t, allocs)
}

func BenchmarkDirectoryHit(b *testing.B) {
	d := warmDirectory(b)
	ref := BySlug("acme")
	b.Run("shared", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = d.findShared(b.Context(), ref)
		}
	})
	b.Run("shared, parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _ = d.findShared(b.Context(), ref)
			}
		})
	})
	b.Run("Find", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = d.Find(b.Context(), ref)
		}
	})
}
