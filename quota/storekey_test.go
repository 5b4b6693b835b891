package quota_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
)

// TestKeysThatNoStoreTakes claims for keys that are too long for a store, or have zero
// bytes: they count like others, and nobody else notices.
func TestKeysThatNoStoreTakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := quota.NewMemoryStore(time.Now)
		e := replicas(t, 1, store)[0]
		account := acmeOf(t, e)
		long := strings.Repeat("k", 513)
		sum := sha256.Sum256([]byte(long))
		for _, key := range []string{long, long + "k", "zero\x00", "", "sha256:" + hex.EncodeToString(sum[:])} {
			account.Count(t.Context(), quota.Claim{Limit: e.Ref("users"), Key: key, N: 1})
			synctest.Wait()
			granted := 0
			for range 12 {
				if _, d := account.Claim(t.Context(), quota.Claim{Limit: e.Ref("users"), Key: key, N: 1}); d.OK {
					granted++
					assert.False(t, d.Degraded())
				}
			}
			assert.Equal(t, 9, granted, "key %.10q", key)
		}
		assert.True(t, account.Take(t.Context(), e.Ref("strict"), 1).OK)
		require.NoError(t, e.Close(t.Context()))
	})
}

// TestPeriodsHaveOneName calls a window otherwise in a new plan: what was used stays used.
func TestPeriodsHaveOneName(t *testing.T) {
	t.Parallel()
	store := quota.NewMemoryStore(nil)
	for i, per := range []string{"minute", "60s", "1m0s"} {
		plans := fmt.Sprintf(`{"version": 1, "plans": {"p": {"limits": {"requests": {"windows": {"hour": 100, %q: {"limit": 2, "roll": "strict"}}}}}}}`, per)
		e, err := quota.New(quota.NewMemorySource(parse(t, plans)), quota.WithStore(store, 1))
		require.NoError(t, err)
		d := acmeOf(t, e).Take(t.Context(), e.Ref("requests"), 1)
		assert.Equal(t, i < 2, d.OK, per)
	}
}
