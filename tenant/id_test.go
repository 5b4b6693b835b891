package tenant_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
)

func TestParseID(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"a", "7", "tenant-123", "a--b", "018f3c1e-7b1a-7c7e-9c39-0e5a8f1f2b3c", strings.Repeat("x", 63)} {
		id, err := tenant.ParseID(s)
		require.NoError(t, err, s)
		assert.Equal(t, s, id.String())
	}
}

func TestParseIDRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "-", "-a", "a-", "Acme", "a_b", "a.b", "a/b", "a b", " a", "a\n", "a\x00", "../a", "*", "%61",
		"acmé", "ａcme", "a'; drop table tenants; --", strings.Repeat("x", 64), strings.Repeat("x", 1<<20),
	} {
		id, err := tenant.ParseID(s)
		require.ErrorIs(t, err, tenant.ErrInvalidID, "%.80q", s)
		assert.Empty(t, id)
		assert.Less(t, len(err.Error()), 400, "an error must not carry all that came from outside")
	}
}

func TestNewID(t *testing.T) {
	t.Parallel()
	seen := make(map[tenant.ID]bool)
	for range 1000 {
		id := tenant.NewID()
		require.NoError(t, id.Validate())
		assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, id.String())
		assert.False(t, seen[id], "given out twice")
		seen[id] = true
	}
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"", "acme", "tenant-123", "A", "a_", "-", "\xff", strings.Repeat("a", 64)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := tenant.ParseID(s)
		if err != nil {
			require.ErrorIs(t, err, tenant.ErrInvalidID)
			assert.Empty(t, id)
			return
		}
		assert.Equal(t, s, string(id))
		assert.Regexp(t, `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`, s)
	})
}
