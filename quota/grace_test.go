package quota_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
)

// TestGraceBeyondAllNumbers has a limit that grace takes beyond what stores take.
func TestGraceBeyondAllNumbers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := quota.NewMemorySource(parse(t, `{"version": 1, "plans": {"p": {"limits": {"all": {"windows": {"hour": 9007199254740992}, "grace": 0.1}}}}}`))
		e, err := quota.New(source, quota.WithStore(quota.NewMemoryStore(time.Now), 1), quota.WithClock(time.Now))
		require.NoError(t, err)
		d := acmeOf(t, e).Take(t.Context(), e.Ref("all"), 1)
		assert.True(t, d.OK)
		assert.False(t, d.Degraded())
		require.NoError(t, e.Close(t.Context()))
	})
}
