package quotafeature_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-feature/go-sdk/openfeature"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/quotafeature"
	"github.com/tenancy-go/tenancy/tenant"
)

const plans = `{
	"version": 7,
	"defaults": {"features": {"sso": false, "theme": "plain", "uploads": 10, "ratio": 0.5}},
	"plans": {
		"free": {},
		"pro": {"features": {
			"sso": true, "uploads": 100, "huge": 9007199254740993, "whole": 10.0,
			"beta": {"value": true, "percent": 50},
			"model": {"value": "large", "percent": 50, "otherwise": "small"},
			"all": {"value": 2, "percent": 100, "otherwise": 1},
			"nobody": {"value": true, "percent": 0}
		}}
	}
}`

// platform is an Enforcer with the client of its Provider.
type platform struct {
	*quota.Enforcer
	source *quota.MemorySource
	client *openfeature.Client
}

func newPlatform(t testing.TB, document string) *platform {
	t.Helper()
	catalog, err := quota.ParseCatalog([]byte(document))
	require.NoError(t, err)
	p := &platform{source: quota.NewMemorySource(catalog)}
	p.Enforcer, err = quota.New(p.source)
	require.NoError(t, err)
	require.NoError(t, openfeature.SetNamedProviderAndWait(t.Name(), quotafeature.NewProvider(p.Enforcer)))
	p.client = openfeature.NewClient(t.Name())
	return p
}

func of(t testing.TB, id tenant.ID, plan string) context.Context {
	return tenant.NewContext(t.Context(), tenant.Tenant{ID: id, Plan: plan})
}

// nobody is an evaluation context without a targeting key.
var nobody openfeature.EvaluationContext

func user(key string) openfeature.EvaluationContext {
	return openfeature.NewEvaluationContext(key, nil)
}

func TestValues(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, plans)
	assert.Equal(t, openfeature.Metadata{Name: "tenancy"}, openfeature.NamedProviderMetadata(t.Name()))
	free, pro := of(t, "acme", "free"), of(t, "globex", "pro")
	assert.False(t, p.client.Boolean(free, "sso", true, nobody))
	assert.True(t, p.client.Boolean(pro, "sso", false, nobody))
	assert.Equal(t, int64(10), p.client.Int(free, "uploads", 1, nobody))
	assert.Equal(t, int64(100), p.client.Int(pro, "uploads", 1, nobody))
	assert.Equal(t, "plain", p.client.String(pro, "theme", "", nobody))
	assert.InDelta(t, 0.5, p.client.Float(pro, "ratio", 1, nobody), 0)
	assert.InDelta(t, 100, p.client.Float(pro, "uploads", 1, nobody), 0, "a whole number as a float")
	for flag, want := range map[string]any{"sso": true, "uploads": int64(100), "theme": "plain", "ratio": 0.5, "all": int64(2)} {
		assert.Equal(t, want, p.client.Object(pro, flag, nil, nobody))
	}
	assert.Equal(t, int64(100), p.client.Object(pro, "uploads", int64(1), nobody))
}

func TestDetails(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, plans)
	require.NoError(t, p.source.SetOverride(quota.Override{
		Tenant: "acme", ID: "launch", Reason: "launch", Patch: quota.Document{"features": map[string]any{"theme": "neon"}}}))
	require.NoError(t, p.source.SetOverride(quota.Override{
		Tenant: "reseller", ID: "children", Reason: "contract", Children: true, Patch: quota.Document{"features": map[string]any{"ratio": 0.25}}}))
	ctx := tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme", Plan: "pro", Parent: "reseller"})
	tests := []struct {
		flag, layer, origin string
		reason              openfeature.Reason
		variant             string
	}{
		{"uploads", "plan", "pro", openfeature.TargetingMatchReason, ""},
		{"ratio", "parent", "children", openfeature.TargetingMatchReason, ""},
		{"theme", "override", "launch", openfeature.TargetingMatchReason, ""},
		{"all", "plan", "pro", openfeature.SplitReason, "value"},
		{"nobody", "plan", "pro", openfeature.SplitReason, "otherwise"},
	}
	for _, tt := range tests {
		details, err := p.client.ObjectValueDetails(ctx, tt.flag, nil, nobody)
		require.NoError(t, err)
		assert.Equal(t, openfeature.ResolutionDetail{
			Reason: tt.reason, Variant: tt.variant,
			FlagMetadata: openfeature.FlagMetadata{"plan": "pro", "version": "7", "layer": tt.layer, "origin": tt.origin},
		}, details.ResolutionDetail, tt.flag)
	}
	details, err := p.client.StringValueDetails(of(t, "globex", "free"), "theme", "", nobody)
	require.NoError(t, err)
	assert.Equal(t, openfeature.FlagMetadata{"plan": "free", "version": "7", "layer": "default", "origin": "defaults"}, details.FlagMetadata)
	details.FlagMetadata["plan"] = "mine"
	details, err = p.client.StringValueDetails(of(t, "globex", "free"), "theme", "", nobody)
	require.NoError(t, err)
	assert.Equal(t, "free", details.FlagMetadata["plan"], "whoever gets it may change it")
}

// TestErrors asks for what cannot be told, and gets its default.
func TestErrors(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, plans)
	free, pro := of(t, "acme", "free"), of(t, "globex", "pro")
	oddKey := openfeature.NewTargetlessEvaluationContext(map[string]any{openfeature.TargetingKey: 5})
	tests := map[string]struct {
		ctx      context.Context
		flag     string
		fallback any
		subject  openfeature.EvaluationContext
		code     openfeature.ErrorCode
	}{
		"no tenant":              {t.Context(), "sso", true, nobody, openfeature.InvalidContextCode},
		"a system context":       {tenant.System(pro, "maintenance"), "sso", true, nobody, openfeature.InvalidContextCode},
		"a tenant as the key":    {t.Context(), "sso", false, user("globex"), openfeature.InvalidContextCode},
		"not in the plan":        {free, "beta", true, nobody, openfeature.FlagNotFoundCode},
		"in no plan":             {pro, "x", "d", nobody, openfeature.FlagNotFoundCode},
		"no name":                {pro, "", 1.5, nobody, openfeature.FlagNotFoundCode},
		"below a feature":        {pro, "beta.value", true, nobody, openfeature.FlagNotFoundCode},
		"text as a bool":         {pro, "theme", true, nobody, openfeature.TypeMismatchCode},
		"bool as a text":         {pro, "sso", "d", nobody, openfeature.TypeMismatchCode},
		"bool as a number":       {pro, "sso", int64(3), nobody, openfeature.TypeMismatchCode},
		"float as an int":        {pro, "ratio", int64(3), nobody, openfeature.TypeMismatchCode},
		"whole float as an int":  {pro, "whole", int64(3), nobody, openfeature.TypeMismatchCode},
		"text as a float":        {pro, "theme", 3.5, nobody, openfeature.TypeMismatchCode},
		"too large for a float":  {pro, "huge", 3.5, nobody, openfeature.TypeMismatchCode},
		"split text as a bool":   {pro, "model", true, nobody, openfeature.TypeMismatchCode},
		"object of another type": {pro, "uploads", 3, nobody, openfeature.TypeMismatchCode},
		"object of a map":        {pro, "uploads", map[string]any{"a": 1}, nobody, openfeature.TypeMismatchCode},
		"a key that is no text":  {pro, "beta", true, oddKey, openfeature.InvalidContextCode},
		"an unknown plan":        {of(t, "initech", "gold"), "sso", true, nobody, openfeature.GeneralCode},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			value, detail := ask(tt.ctx, p.client, tt.flag, tt.fallback, tt.subject)
			assert.Equal(t, tt.fallback, value)
			assert.Equal(t, tt.code, detail.ErrorCode)
			assert.Equal(t, openfeature.ErrorReason, detail.Reason)
			assert.NotEmpty(t, detail.ErrorMessage)
		})
	}
	assert.True(t, p.client.Boolean(pro, "sso", false, oddKey), "the key is for features that are split")
}

// ask asks for the type of fallback.
func ask(ctx context.Context, client *openfeature.Client, flag string, fallback any, subject openfeature.EvaluationContext) (any, openfeature.ResolutionDetail) {
	switch fallback := fallback.(type) {
	case bool:
		d, _ := client.BooleanValueDetails(ctx, flag, fallback, subject)
		return d.Value, d.ResolutionDetail
	case string:
		d, _ := client.StringValueDetails(ctx, flag, fallback, subject)
		return d.Value, d.ResolutionDetail
	case int64:
		d, _ := client.IntValueDetails(ctx, flag, fallback, subject)
		return d.Value, d.ResolutionDetail
	case float64:
		d, _ := client.FloatValueDetails(ctx, flag, fallback, subject)
		return d.Value, d.ResolutionDetail
	default:
		d, _ := client.ObjectValueDetails(ctx, flag, fallback, subject)
		return d.Value, d.ResolutionDetail
	}
}

var errSource = errors.New("source is down at db.internal")

// downSource knows no overrides.
type downSource struct{ quota.Source }

func (downSource) Overrides(context.Context, tenant.ID) ([]quota.Override, error) {
	return nil, errSource
}

func TestSourceFails(t *testing.T) {
	t.Parallel()
	catalog, err := quota.ParseCatalog([]byte(plans))
	require.NoError(t, err)
	e, err := quota.New(downSource{quota.NewMemorySource(catalog)})
	require.NoError(t, err)
	detail := quotafeature.NewProvider(e).BooleanEvaluation(of(t, "acme", "pro"), "sso", false, nil)
	assert.False(t, detail.Value)
	assert.Equal(t, openfeature.GeneralCode, detail.ResolutionDetail().ErrorCode)
	assert.NotContains(t, detail.ResolutionDetail().ErrorMessage, "db.internal")
	assert.ErrorIs(t, detail.ResolutionError, errSource)
}

// TestSplit rolls features out to people where there is a targeting key, and to
// tenants where there is none, as the account itself says.
func TestSplit(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, plans)
	const n = 500
	tenants, people, same := 0, 0, 0
	for i := range n {
		ctx := of(t, tenant.ID(fmt.Sprintf("t%d", i)), "pro")
		account, err := p.Account(ctx)
		require.NoError(t, err)
		beta := p.client.Boolean(ctx, "beta", false, nobody)
		assert.Equal(t, account.Enabled(p.Ref("beta")), beta)
		assert.Equal(t, account.Value(p.Ref("model")), p.client.String(ctx, "model", "", user("")))
		if beta {
			tenants++
		}
		key := fmt.Sprint("user-", i)
		acme, err := p.client.StringValueDetails(of(t, "acme", "pro"), "model", "", user(key))
		require.NoError(t, err)
		assert.Equal(t, map[string]string{"value": "large", "otherwise": "small"}[acme.Variant], acme.Value)
		if acme.Value == "large" {
			people++
		}
		if acme.Value == p.client.String(of(t, "globex", "pro"), "model", "", user(key)) {
			same++
		}
	}
	for what, got := range map[string]int{"tenants": tenants, "people": people, "who has it in two tenants": same} {
		assert.InDelta(t, n/2, got, n/10, what)
	}
}

// TestNamesAreNotKept asks for names without end, which must leave nothing behind.
func TestNamesAreNotKept(t *testing.T) {
	p := newPlatform(t, plans)
	pro := of(t, "acme", "pro")
	name := make([]byte, 1000)
	ask := func(n int) {
		for i := range n {
			copy(name, fmt.Sprint(n, "-", i, "-"))
			p.client.Boolean(pro, string(name), false, nobody)
		}
	}
	ask(1000)
	before := heap()
	ask(20_000)
	assert.Less(t, heap()-before, int64(4<<20), "20 MB of names were asked for")
}

// TestPlanChanges asks while plans change: a value and what is said of it are of one
// plan.
func TestPlanChanges(t *testing.T) {
	t.Parallel()
	document := func(version int) string {
		return fmt.Sprintf(`{"version": %d, "plans": {"p": {"features": {"v": {"value": %[1]d, "percent": 100}}}}}`, version)
	}
	catalog, err := quota.ParseCatalog([]byte(document(1)))
	require.NoError(t, err)
	source := quota.NewMemorySource(catalog)
	e, err := quota.New(source, quota.WithRefresh(time.Millisecond))
	require.NoError(t, err)
	provider, ctx := quotafeature.NewProvider(e), of(t, "acme", "p")
	var done atomic.Bool
	go func() {
		defer done.Store(true)
		for version := 2; version < 300; version++ {
			catalog, err := quota.ParseCatalog([]byte(document(version)))
			if !assert.NoError(t, err) || !assert.NoError(t, source.SetCatalog(catalog)) {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	for !done.Load() {
		detail := provider.IntEvaluation(ctx, "v", 0, nil)
		if version := detail.FlagMetadata["version"]; version != strconv.FormatInt(detail.Value, 10) {
			t.Fatalf("the value of version %d came with what is said of version %v", detail.Value, version)
		}
	}
}
