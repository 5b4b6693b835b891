package pghome_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestName(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "t_acme_eu", pghome.Name("t_", "acme-eu"))
	assert.Equal(t, "t_"+strings.Repeat("a", 60), pghome.Name("t_", tenant.ID(strings.Repeat("a", 60))), "62 bytes stay")

	long := pghome.Name("t_", tenant.ID(strings.Repeat("a", 61)))
	assert.Len(t, long, 63)
	assert.True(t, strings.HasPrefix(long, "t_"+strings.Repeat("a", 28)+"_"), long)
}

// TestShortNameCannotBeForged gives a tenant the ID that spells out another's
// shortened name.
func TestShortNameCannotBeForged(t *testing.T) {
	t.Parallel()
	victim := pghome.Name("t_", tenant.ID(strings.Repeat("a", 63)))
	forger := tenant.ID(strings.ReplaceAll(strings.TrimPrefix(victim, "t_"), "_", "-"))
	require.NoError(t, forger.Validate())
	assert.NotEqual(t, victim, pghome.Name("t_", forger))
}

func TestValidName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "_a", "t_1", strings.Repeat("a", 63)} {
		require.NoError(t, pghome.ValidName(name))
	}
	for _, name := range []string{"", "1a", "A", "a-b", `a"`, "a b", "ä", "pg_temp", strings.Repeat("a", 64)} {
		assert.Error(t, pghome.ValidName(name), name)
	}
}

func FuzzName(f *testing.F) {
	f.Add("acme", "acme-1")
	f.Add(strings.Repeat("a", 63), strings.Repeat("a", 62)+"b")
	f.Add("a--b", "a-b")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, s := range []string{a, b} {
			if tenant.ID(s).Validate() != nil {
				return
			}
			require.NoError(t, pghome.ValidName(pghome.Name("t_", tenant.ID(s))))
		}
		same := pghome.Name("t_", tenant.ID(a)) == pghome.Name("t_", tenant.ID(b))
		require.Equal(t, a == b, same, "%q and %q", a, b)
	})
}
