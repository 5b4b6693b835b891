package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/examples/saas/workspace"
	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/stocktake"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestPlans(t *testing.T) {
	t.Parallel()
	catalog, err := quota.ParseCatalog(plansJSON)
	require.NoError(t, err)
	for name, want := range map[string][]int64{
		"free": {60, 1000, 10_000}, "pro": {300, 10_000, 100_000}, "business": {1000, 50_000, 1_000_000},
	} {
		plan, err := catalog.Plan(name)
		require.NoError(t, err)
		var got []int64
		for _, w := range plan.Limits["requests"].Windows {
			got = append(got, w.Limit)
		}
		assert.Equal(t, want, got, name)
	}
}

func TestGuardRefusesAnAddress(t *testing.T) {
	t.Parallel()
	app, err := Open(t.Context(), Config{Domain: "localhost", Dir: t.TempDir(), PerAddress: 3}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, app.Close()) })
	ask := func(target, addr string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		r.Header.Set("Accept", "text/html")
		r.RemoteAddr = addr
		w := httptest.NewRecorder()
		app.Handler.ServeHTTP(w, r)
		return w
	}
	for _, target := range []string{"http://localhost/", "http://nobody.localhost/", "http://acme.localhost/"} {
		assert.NotEqual(t, http.StatusTooManyRequests, ask(target, "192.0.2.1:1").Code)
	}
	var refused *httptest.ResponseRecorder
	for range 4 { // a minute may begin meanwhile
		refused = ask("http://localhost/", "192.0.2.1:2")
	}
	assert.Equal(t, http.StatusTooManyRequests, refused.Code)
	assert.Contains(t, refused.Body.String(), "from your address")
	assert.NotEmpty(t, refused.Header().Get("Retry-After"))
	assert.NotEqual(t, http.StatusTooManyRequests, ask("http://localhost/", "192.0.2.2:1").Code, "another address")
}

// A strategy measures the workspaces, and a collector counts that as what they keep.
func TestWorkspacesAreMeasured(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"SQLite": {Domain: "localhost", Dir: t.TempDir()},
		"rows":   {Domain: "localhost", Database: pgtest.Open(t).URL(), Isolation: "row", Role: pgtest.Name(t, "app")},
	} {
		t.Run(name, func(t *testing.T) {
			app, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			defer func() { assert.NoError(t, app.Close()) }()
			enforcer, err := quota.New(app.Plans)
			require.NoError(t, err)
			sizer, ok := app.backend.strategy.(isolation.Sizer)
			require.True(t, ok)
			collector, err := stocktake.New(enforcer, app.Store, workspace.LimitStorage, sizer.Size)
			require.NoError(t, err)
			defer collector.Close()
			round, err := collector.Round(t.Context())
			require.NoError(t, err)
			assert.Zero(t, round.Failed)
			assert.Equal(t, 2, round.Measured)

			record, err := app.Store.Find(t.Context(), tenant.BySlug("acme"))
			require.NoError(t, err)
			ctx := tenant.NewContext(t.Context(), record)
			account, err := enforcer.Account(ctx)
			require.NoError(t, err)
			usage, err := account.Usage(ctx)
			require.NoError(t, err)
			kept := slices.IndexFunc(usage, func(u quota.Usage) bool { return u.Limit == workspace.LimitStorage })
			assert.Positive(t, usage[kept].Used)
		})
	}
}

// A workspace's plan limits what its statements take of PostgreSQL.
func TestPlansLimitTheDatabase(t *testing.T) {
	t.Parallel()
	app, err := Open(t.Context(), Config{
		Domain: "localhost", Database: pgtest.Open(t).URL(), Isolation: "row", Role: pgtest.Name(t, "app"),
	}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, app.Close()) })
	record, err := app.Store.Find(t.Context(), tenant.BySlug("acme"))
	require.NoError(t, err)
	for plan, want := range map[string]string{"free": "10s 4MB", "business": "30s 16MB", "pro": "10s 4MB"} {
		record.Plan, record.Version = plan, record.Version+1
		var got string
		err := app.DB.QueryRowContext(tenant.NewContext(t.Context(), record),
			`SELECT current_setting('statement_timeout') || ' ' || current_setting('work_mem')`).Scan(&got)
		require.NoError(t, err)
		assert.Equal(t, want, got, plan)
	}
}
