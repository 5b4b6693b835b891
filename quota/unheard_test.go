package quota_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
)

// TestNobodyIsServedAfterTheEnd has a context end while a renewal holds the claim up.
func TestNobodyIsServedAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Store: quota.NewMemoryStore(time.Now)}
		source := quota.NewMemorySource(parse(t, `{"version": 1, "plans": {"p": {"limits": {"streams": {"kind": "concurrent", "max": 5, "outage": "open"}}}}}`))
		e, err := quota.New(source, quota.WithStore(store, 1), quota.WithClock(time.Now))
		require.NoError(t, err)
		claim := func(ctx context.Context) (*quota.Grant, quota.Decision) {
			return acmeOf(t, e).Claim(ctx, quota.Claim{Limit: e.Ref("streams"), N: 1})
		}
		g, d := claim(t.Context())
		require.NoError(t, d.Err())
		store.hangs.Store(true)
		g.Done()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, d = claim(ctx)
		assert.ErrorIs(t, d.Err(), quota.ErrUnavailable)
		store.hangs.Store(false)
		require.NoError(t, e.Close(t.Context()))
	})
}
