package quotafeature_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/open-feature/go-sdk/openfeature"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestTwoTenants asks for two tenants at once through one client, with evaluation
// contexts that name the other in every way there is.
func TestTwoTenants(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, plans)
	for _, id := range []tenant.ID{"acme", "globex"} {
		require.NoError(t, p.source.SetOverride(quota.Override{
			Tenant: id, ID: "own", Reason: "its own", Patch: quota.Document{"features": map[string]any{"theme": string(id)}}}))
	}
	p.client.SetEvaluationContext(openfeature.NewTargetlessEvaluationContext(map[string]any{"tenant": "globex", "plan": "pro"}))
	var wg sync.WaitGroup
	for range 4 {
		for id, other := range map[tenant.ID]tenant.ID{"acme": "globex", "globex": "acme"} {
			wg.Go(func() { askMany(t, p, id, other) })
		}
	}
	wg.Wait()
}

func askMany(t *testing.T, p *platform, id, other tenant.ID) {
	plan := map[tenant.ID]string{"acme": "free", "globex": "pro"}[id]
	ctx := of(t, id, plan)
	for i := range 200 {
		subject := openfeature.NewEvaluationContext(string(other), map[string]any{
			"tenant": string(other), "tenant_id": string(other), "tenantId": other, "plan": "pro", "i": i})
		ctx := openfeature.WithTransactionContext(ctx, subject)
		theme, err := p.client.StringValueDetails(ctx, "theme", "", subject)
		if !assert.NoError(t, err) {
			return
		}
		assert.Equal(t, string(id), theme.Value)
		assert.Equal(t, plan, theme.FlagMetadata["plan"])
		assert.Equal(t, plan == "pro", p.client.Boolean(ctx, "sso", plan != "pro", subject))
		if plan == "pro" {
			account, err := p.Account(ctx)
			assert.NoError(t, err)
			key := fmt.Sprint(i)
			assert.Equal(t, account.ValueFor(p.Ref("model"), key), p.client.String(ctx, "model", "", user(key)))
		}
	}
}
