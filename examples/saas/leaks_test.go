package main

import (
	"log/slog"
	"net/http"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/examples/saas/web"
	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/internal/thorough"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/isolation/isolationtest/leaktest"
	"github.com/tenancy-go/tenancy/tenant"
)

// roomScenarios are what people do in their workspaces.
func roomScenarios() []leaktest.Scenario {
	type extract = map[string]leaktest.Extractor
	idOf := func(name string) extract {
		return extract{name: leaktest.FromHeader("Location", `/`+name+`s/([^/#]+)`)}
	}
	html := http.Header{"Accept": {"text/html"}}
	ask := map[string]string{"model": "echo", "text": "what of {{canary}}?"}
	return []leaktest.Scenario{
		{Name: "conversations", Header: html, Steps: []leaktest.Step{
			{Path: "/conversations", Form: ask, Extract: idOf("conversation")},
			{Path: "/conversations"},
			{Path: "/conversations/{{conversation}}"},
			{Path: "/conversations/{{conversation}}/messages", Form: ask},
			{Path: "/"},
			{Method: http.MethodPost, Path: "/conversations/{{conversation}}/delete"},
		}},
		{Name: "documents", Header: html, Steps: []leaktest.Step{
			{Path: "/documents/new"},
			{Path: "/documents", Form: map[string]string{"title": "plan {{canary}}", "text": "The plan is {{canary}}. Nobody else knows the plan."}, Extract: idOf("document")},
			{Path: "/documents"},
			{Path: "/documents/{{document}}"},
			{Method: http.MethodPost, Path: "/documents/{{document}}/summary"},
			{Path: "/usage"},
			{Method: http.MethodPost, Path: "/documents/{{document}}/delete"},
		}},
		{Name: "settings", Header: html, Steps: []leaktest.Step{
			{Path: "/settings", Form: map[string]string{"name": "House of {{canary}}", "accent": "#0b6bcb"}},
			{Path: "/settings"},
			{Path: "/theme.css"},
		}},
	}
}

var roomRoutes = []string{
	"GET /{$}", "GET /conversations", "POST /conversations", "GET /conversations/{id}", "POST /conversations/{id}/messages",
	"POST /conversations/{id}/delete", "GET /documents", "POST /documents", "GET /documents/new", "GET /documents/{id}",
	"POST /documents/{id}/summary", "POST /documents/{id}/delete", "GET /usage", "GET /settings", "POST /settings", "GET /theme.css",
}

func bySubdomain(slug string) leaktest.Address { return leaktest.Address{Host: slug + ".localhost"} }
func byPath(slug string) leaktest.Address {
	return leaktest.Address{Host: "localhost", Base: "/t/" + slug}
}

// leakKit opens the program and returns what the kit must know about it: the samples as
// tenants, at one address and also at another.
func leakKit(t *testing.T, cfg Config, at, also func(slug string) leaktest.Address) leaktest.Application {
	t.Helper()
	logs := leaktest.NewLogs()
	app, err := Open(t.Context(), cfg, slog.New(web.TenantHandler{Handler: logs.Handler(nil)}))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, app.Close()) })
	return leakKitOf(t, app, logs, at, also)
}

// leakKitOf returns what the kit must know about a program that is open.
func leakKitOf(t *testing.T, app *App, logs *leaktest.Logs, at, also func(slug string) leaktest.Address) leaktest.Application {
	t.Helper()
	roomy(t, app)
	var tenants []leaktest.Tenant
	for _, slug := range []string{"acme", "globex"} {
		record, err := app.Store.Find(t.Context(), tenant.BySlug(slug))
		require.NoError(t, err)
		tenants = append(tenants, leaktest.Tenant{Tenant: record, Address: at(slug), Also: []leaktest.Address{also(slug)}})
	}
	return leaktest.Application{
		Handler: app.Handler, DB: app.DB, Logs: logs, Tenants: tenants, Scenarios: roomScenarios(), Routes: roomRoutes, Rounds: 3,
		Volatile: []*regexp.Regexp{regexp.MustCompile(`;r=\d+;t=\d+`)}, // what is left of a limit
	}
}

// TestNoLeaks runs the kit on the program; by default with SQLite and subdomains only.
func TestNoLeaks(t *testing.T) {
	t.Parallel()
	type variant struct {
		name     string
		cfg      Config
		at, also func(string) leaktest.Address
	}
	variants := []variant{{"SQLite, by subdomain", Config{Domain: "localhost", Dir: t.TempDir()}, bySubdomain, byPath}}
	if thorough.On() {
		onPostgres := Config{Domain: "localhost", Database: pgtest.Open(t).URL(), Isolation: "row", Role: pgtest.Name(t, "app")}
		variants = append(variants,
			variant{"SQLite, by path", Config{Domain: "localhost", Dir: t.TempDir()}, byPath, bySubdomain},
			variant{"PostgreSQL", onPostgres, bySubdomain, byPath})
	}
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			kit := leakKit(t, v.cfg, v.at, v.also)
			if !thorough.On() {
				kit.Workers, kit.Rounds = 2, 1
			}
			leaktest.TestApplication(t, kit)
		})
	}
}

// TestLeakKitCatchesALeak runs the kit on a program whose tenants share a file.
func TestLeakKitCatchesALeak(t *testing.T) {
	t.Parallel()
	cfg := Config{Domain: "localhost", Dir: t.TempDir()}
	b, err := openSQLite(t.Context(), cfg)
	require.NoError(t, err)
	strategy, ok := b.strategy.(*sqlitefile.Strategy)
	require.True(t, ok)
	b.strategy = leaky{strategy}
	logs := leaktest.NewLogs()
	app, err := openOn(t.Context(), cfg, b, slog.New(logs.Handler(nil)))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, app.Close()) })

	kit := leakKitOf(t, app, logs, bySubdomain, byPath)
	kit.Scenarios, kit.Routes, kit.Workers, kit.Rounds = kit.Scenarios[1:2], nil, 1, 1
	report, err := leaktest.FindLeaks(t.Context(), kit)
	require.NoError(t, err)
	require.ErrorIs(t, report.Err(), leaktest.ErrLeak)
	seen := make(map[string]bool)
	for _, f := range report.Findings {
		seen[string(f.Kind)+" "+f.Step+": "+f.Where] = true
	}
	for _, want := range []string{
		"LEAK GET /documents: body of the answer",
		"LEAK GET /documents/{{document}}: body of the answer",
		`WRITE POST /documents/{{document}}/delete: table "documents"`,
		"ORACLE GET /documents/{{document}}: answer to document",
	} {
		assert.True(t, seen[want], "%s in %v", want, seen)
	}
}
