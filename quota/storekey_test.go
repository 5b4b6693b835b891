package quota_test

import (
	"crypto/sha256"
	"encoding/hex"
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
