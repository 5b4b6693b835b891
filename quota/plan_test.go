package quota_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

const tiers = `{
	"version": 3,
	"default": "free",
	"defaults": {
		"limits": {
			"requests": {"windows": {"minute": 60, "hour": 1000, "day": 10000}, "warn": 0.8},
			"streams": {"kind": "concurrent", "max": 2},
			"storage": {"kind": "stock", "max": "1GiB"}
		},
		"features": {"sso": false, "max_upload": 10, "theme": "plain"},
		"resources": {"models": {"allow": ["small-*"]}}
	},
	"plans": {
		"free": {"title": "Free"},
		"pro": {
			"title": "Pro", "rank": 1, "weight": 4,
			"limits": {
				"requests": {"windows": {"minute": 300, "hour": 10000, "day": {"limit": 100000, "roll": "calendar"}}},
				"streams": {"max": 10},
				"storage": null,
				"archive": {"kind": "stock", "max": "unlimited", "payment": true}
			},
			"features": {"sso": true, "beta": {"value": true, "percent": 25}},
			"resources": {"models": {"allow": ["small-*", "large-*"], "deny": ["*-preview"], "limits": {"large-*": {"windows": {"minute": 5}}}}},
			"database": {"statement_timeout": "5s", "work_mem": "64MiB", "connections": 10}
		}
	}
}`

func parse(t testing.TB, document string) *quota.Catalog {
	t.Helper()
	catalog, err := quota.ParseCatalog([]byte(document))
	require.NoError(t, err)
	return catalog
}

func TestParseCatalog(t *testing.T) {
	t.Parallel()
	pro, err := parse(t, tiers).Plan("pro")
	require.NoError(t, err)
	assert.Equal(t, quota.Plan{
		Name: "pro", Title: "Pro", Rank: 1, Weight: 4,
		Limits: map[string]quota.Limit{
			"requests": {Kind: quota.Rate, Per: quota.PerTenant, Outage: quota.Share, Warn: 0.8, Windows: []quota.Window{
				{Per: quota.Minute, Limit: 300, Roll: quota.Rolling},
				{Per: quota.Hour, Limit: 10_000, Roll: quota.Rolling},
				{Per: quota.Day, Limit: 100_000, Roll: quota.Calendar},
			}},
			"streams": {Kind: quota.Concurrent, Per: quota.PerTenant, Outage: quota.Close, Max: 10},
			"archive": {Kind: quota.Stock, Per: quota.PerTenant, Outage: quota.Close, Max: quota.Unlimited, Payment: true},
		},
		Features: map[string]quota.Feature{
			"sso": {Value: true}, "max_upload": {Value: int64(10)}, "theme": {Value: "plain"},
			"beta": {Value: true, Percent: 25, Partial: true},
		},
		Resources: map[string]quota.Resources{"models": {
			Allow: []string{"small-*", "large-*"}, Deny: []string{"*-preview"},
			Limits: map[string]quota.Limit{"large-*": {
				Kind: quota.Rate, Per: quota.PerTenant, Outage: quota.Share,
				Windows: []quota.Window{{Per: quota.Minute, Limit: 5, Roll: quota.Rolling}},
			}},
		}},
		Database: quota.Database{StatementTimeout: 5 * time.Second, WorkMem: 64 << 20, Connections: 10},
	}, pro)
}

// TestErrorsNameTheField checks that an operator is told where to look.
func TestErrorsNameTheField(t *testing.T) {
	t.Parallel()
	plan := func(body string) string { return `{"version": 1, "plans": {"pro": ` + body + `}}` }
	limit := func(body string) string { return plan(`{"limits": {"requests": ` + body + `}}`) }
	tests := map[string]struct{ document, field string }{
		"not JSON":               {`{"version": 1`, "(document)"},
		"a list":                 {`[]`, "(document)"},
		"text after it":          {plan(`{}`) + ` {}`, "(document)"},
		"no version":             {`{"plans": {"pro": {}}}`, "version"},
		"no plans":               {`{"version": 1}`, "plans"},
		"a default that is none": {`{"version": 1, "default": "x", "plans": {"pro": {}}}`, "default"},
		"unknown field":          {`{"version": 1, "plan": {}, "plans": {"pro": {}}}`, "plan"},
		"twice":                  {plan(`{"rank": 1, "rank": 2}`), "plans.pro.rank"},
		"bad plan name":          {`{"version": 1, "plans": {"Pro": {}}}`, "plans.Pro"},
		"bad limit name":         {plan(`{"limits": {"a b": {"windows": {}}}}`), "plans.pro.limits.a b"},
		"unknown period":         {limit(`{"windows": {"fortnight": 1}}`), "plans.pro.limits.requests.windows.fortnight"},
		"too short a period":     {limit(`{"windows": {"10ms": 1}}`), "plans.pro.limits.requests.windows.10ms"},
		"text for a limit":       {limit(`{"windows": {"minute": "many"}}`), "plans.pro.limits.requests.windows.minute"},
		"a negative limit":       {limit(`{"windows": {"minute": -1}}`), "plans.pro.limits.requests.windows.minute"},
		"a fraction":             {limit(`{"windows": {"minute": 1.5}}`), "plans.pro.limits.requests.windows.minute"},
		"too large a limit":      {limit(`{"windows": {"minute": 1e300}}`), "plans.pro.limits.requests.windows.minute"},
		"unknown roll":           {limit(`{"windows": {"minute": {"limit": 1, "roll": "x"}}}`), "plans.pro.limits.requests.windows.minute"},
		"calendar minute":        {limit(`{"windows": {"minute": {"limit": 1, "roll": "calendar"}}}`), "plans.pro.limits.requests.windows.minute"},
		"rolling month":          {limit(`{"windows": {"month": {"limit": 1, "roll": "rolling"}}}`), "plans.pro.limits.requests.windows.month"},
		"window without limit":   {limit(`{"windows": {"minute": {}}}`), "plans.pro.limits.requests.windows.minute.limit"},
		"two of one length":      {limit(`{"windows": {"minute": 1, "60s": 2}}`), "plans.pro.limits.requests.windows.minute"},
		"no windows":             {limit(`{}`), "plans.pro.limits.requests"},
		"max of a rate":          {limit(`{"windows": {}, "max": 1}`), "plans.pro.limits.requests.max"},
		"no max":                 {limit(`{"kind": "stock"}`), "plans.pro.limits.requests.max"},
		"bad size":               {limit(`{"kind": "stock", "max": "10 zebras"}`), "plans.pro.limits.requests.max"},
		"unknown kind":           {limit(`{"kind": "x", "max": 1}`), "plans.pro.limits.requests.kind"},
		"warn beyond the limit":  {limit(`{"windows": {}, "warn": 80}`), "plans.pro.limits.requests.warn"},
		"unknown scope":          {limit(`{"windows": {}, "per": "planet"}`), "plans.pro.limits.requests.per"},
		"stock per key":          {limit(`{"kind": "stock", "max": 1, "per": "key"}`), "plans.pro.limits.requests.per"},
		"unknown outage":         {limit(`{"windows": {}, "outage": "x"}`), "plans.pro.limits.requests.outage"},
		"lease of a shadow":      {limit(`{"windows": {}, "shadow": true, "lease": 5}`), "plans.pro.limits.requests.lease"},
		"lease of bandwidth":     {limit(`{"kind": "bandwidth", "max": 1, "lease": 5}`), "plans.pro.limits.requests.lease"},
		"no end of a lease":      {limit(`{"windows": {}, "lease": "unlimited"}`), "plans.pro.limits.requests.lease"},
		"weight":                 {plan(`{"weight": 0}`), "plans.pro.weight"},
		"feature of a list":      {plan(`{"features": {"sso": []}}`), "plans.pro.features.sso"},
		"feature without value":  {plan(`{"features": {"sso": {}}}`), "plans.pro.features.sso.value"},
		"percent":                {plan(`{"features": {"sso": {"value": true, "percent": 101}}}`), "plans.pro.features.sso.percent"},
		"other type":             {plan(`{"features": {"sso": {"value": true, "otherwise": "no"}}}`), "plans.pro.features.sso.otherwise"},
		"pattern":                {plan(`{"resources": {"models": {"allow": [1]}}}`), "plans.pro.resources.models.allow[0]"},
		"empty pattern":          {plan(`{"resources": {"models": {"deny": [""]}}}`), "plans.pro.resources.models.deny"},
		"timeout":                {plan(`{"database": {"statement_timeout": 5}}`), "plans.pro.database.statement_timeout"},
		"in the defaults":        {`{"version": 1, "defaults": {"weight": "x"}, "plans": {"pro": {}}}`, "plans.pro.weight"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := quota.ParseCatalog([]byte(tt.document))
			require.ErrorIs(t, err, quota.ErrInvalid)
			var fault *quota.FieldError
			require.ErrorAs(t, err, &fault)
			assert.Equal(t, tt.field, fault.Field, fault.Reason)
			assert.NotEmpty(t, fault.Reason)
		})
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	catalog, now := parse(t, tiers), time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	acme := tenant.Tenant{ID: "acme", Plan: "pro", Parent: "reseller"}
	minute := func(limit int64) quota.Document {
		return quota.Document{"limits": map[string]any{"requests": map[string]any{"windows": map[string]any{"minute": limit}}}}
	}
	overrides := []quota.Override{
		{Tenant: "reseller", ID: "children", Children: true, Reason: "contract", Patch: minute(400)},
		{Tenant: "reseller", ID: "itself", Reason: "not for acme", Patch: minute(1)},
		{Tenant: "acme", ID: "hours", Reason: "launch", Expires: now.Add(time.Hour), Patch: quota.Document{
			"limits": map[string]any{"requests": map[string]any{"windows": map[string]any{"hour": int64(50_000)}}}}},
		{Tenant: "acme", ID: "ended", Reason: "was", Expires: now, Patch: minute(2)},
		{Tenant: "globex", ID: "other", Reason: "not for acme", Patch: minute(3)},
	}
	r, err := catalog.Resolve(acme, overrides, now)
	require.NoError(t, err)
	assert.Equal(t, []quota.Window{
		{Per: quota.Minute, Limit: 400, Roll: quota.Rolling},
		{Per: quota.Hour, Limit: 50_000, Roll: quota.Rolling},
		{Per: quota.Day, Limit: 100_000, Roll: quota.Calendar},
	}, r.Limits["requests"].Windows)
	assert.Equal(t, now.Add(time.Hour), r.Until)
	origins := map[string]quota.Origin{
		"limits.requests.warn":              {Layer: quota.LayerDefault, Name: "defaults"},
		"limits.requests.windows.day.limit": {Layer: quota.LayerPlan, Name: "pro"},
		"limits.requests.windows.minute":    {Layer: quota.LayerParent, Name: "children", Reason: "contract"},
		"limits.requests.windows.hour":      {Layer: quota.LayerOverride, Name: "hours", Reason: "launch", Expires: now.Add(time.Hour)},
	}
	for path, origin := range origins {
		assert.Equal(t, origin, r.Origins[path], path)
	}
	assert.NotContains(t, r.Origins, "limits.storage.max", "the plan took it away")

	after, err := catalog.Resolve(acme, overrides, now.Add(time.Hour))
	require.NoError(t, err)
	assert.Equal(t, int64(10_000), after.Limits["requests"].Windows[1].Limit)
}

func TestResolveRefuses(t *testing.T) {
	t.Parallel()
	catalog := parse(t, tiers)
	_, err := catalog.Resolve(tenant.Tenant{ID: "acme", Plan: "gold"}, nil, time.Now())
	assert.ErrorIs(t, err, quota.ErrInvalid)

	free, err := catalog.Resolve(tenant.Tenant{ID: "acme"}, nil, time.Now())
	require.NoError(t, err)
	assert.Equal(t, "free", free.Name)

	_, err = catalog.Resolve(tenant.Tenant{ID: "acme", Plan: "pro"}, []quota.Override{
		{Tenant: "acme", ID: "x", Reason: "y", Patch: quota.Document{"limits": map[string]any{"seats": map[string]any{"max": int64(5)}}}},
	}, time.Now())
	var fault *quota.FieldError
	require.ErrorAs(t, err, &fault)
	assert.Equal(t, "limits.seats", fault.Field)
}

func TestOverridesAreChecked(t *testing.T) {
	t.Parallel()
	source := quota.NewMemorySource(parse(t, tiers))
	good := quota.Override{Tenant: "acme", ID: "a", Reason: "r", Patch: quota.Document{"weight": int64(2)}}
	require.NoError(t, source.SetOverride(good))
	require.NoError(t, source.SetOverride(good))
	kept, err := source.Overrides(t.Context(), "acme")
	require.NoError(t, err)
	good.Version = 2
	assert.Equal(t, []quota.Override{good}, kept)

	for _, spoil := range []func(*quota.Override){
		func(o *quota.Override) { o.Tenant = "" },
		func(o *quota.Override) { o.ID = "" },
		func(o *quota.Override) { o.Reason = "" },
		func(o *quota.Override) { o.Patch = nil },
		func(o *quota.Override) { o.Patch = quota.Document{"limit": 1} },
		func(o *quota.Override) {
			o.Patch = quota.Document{"limits": map[string]any{"requests": map[string]any{"windows": map[string]any{"minut": 30}}}}
		},
		func(o *quota.Override) {
			o.Patch = quota.Document{"limits": map[string]any{"requests": map[string]any{"warm": 0.5}}}
		},
		func(o *quota.Override) {
			o.Patch = quota.Document{"limits": map[string]any{"requests": map[string]any{"windows": map[string]int{"minute": 30}}}}
		},
	} {
		bad := good
		spoil(&bad)
		assert.ErrorIs(t, source.SetOverride(bad), quota.ErrInvalid)
	}
	assert.ErrorIs(t, source.SetCatalog(parse(t, tiers)), quota.ErrInvalid, "the version must grow")
	source.RemoveOverride("acme", "a")
	kept, err = source.Overrides(t.Context(), "acme")
	require.NoError(t, err)
	assert.Empty(t, kept)
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"large-2", "large-2", true}, {"large-2", "large-21", false}, {"large-*", "large-", true},
		{"*-preview", "large-preview", true}, {"*-preview", "preview", false}, {"*", "anything/at:all", true},
		{"a*b*c", "a-b-b-c", true}, {"a*b*c", "a-c-b", false}, {"a*a", "a", false}, {"*a*a*", "banana", true},
		{"Large", "large", false},
	}
	for _, tt := range tests {
		set := quota.Resources{Allow: []string{tt.pattern}}
		assert.Equal(t, tt.want, set.Allows(tt.name), "%s fits %s", tt.pattern, tt.name)
	}
	assert.False(t, quota.Resources{Allow: []string{"*"}}.Allows(""))
	assert.False(t, quota.Resources{}.Allows("x"))
}

// FuzzParseCatalog checks that whatever is accepted can be resolved, that errors say
// where, and that nothing panics.
func FuzzParseCatalog(f *testing.F) {
	f.Add([]byte(tiers))
	f.Add([]byte(`{"version":1,"plans":{"a":{"limits":{"x":{"windows":{"1h0m0s":{"limit":1e3,"roll":"strict"}},"burst":2}}}}}`))
	f.Add([]byte(`{"version":1,"plans":{"a":null}}`))
	f.Add([]byte(`{"": {}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		catalog, err := quota.ParseCatalog(data)
		if err != nil {
			var fault *quota.FieldError
			if !errors.As(err, &fault) || fault.Field == "" || fault.Reason == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		for name := range catalog.Plans() {
			clock := newTestClock(time.Unix(1_800_000_000, 0))
			e, err := quota.New(quota.NewMemorySource(catalog), quota.WithClock(clock.Now))
			require.NoError(t, err)
			account, err := e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme", Plan: name}))
			require.NoError(t, err)
			for limit := range account.Plan().Limits {
				account.Claim(t.Context(), quota.Claim{Limit: e.Ref(limit), N: 1, Key: "k"})
			}
			usageOf(t, account)
		}
	})
}
