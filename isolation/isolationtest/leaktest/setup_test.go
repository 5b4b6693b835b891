package leaktest_test

import (
	"context"
	"database/sql"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/isolationtest/leaktest"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

const password = "correct horse"

var (
	acme   = tenant.Tenant{ID: "t-acme-1", Slug: "acme", Name: "Acme", Status: tenant.StatusActive}
	globex = tenant.Tenant{ID: "t-globex-2", Slug: "globex", Name: "Globex", Status: tenant.StatusActive}
)

var deskTables = fstest.MapFS{"00001_desk.sql": {Data: []byte(`-- +goose Up
CREATE TABLE notes (tenant_id text NOT NULL, id text NOT NULL, slug text NOT NULL, title text NOT NULL, body text NOT NULL,
	created timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, slug));
CREATE TABLE queue (tenant_id text NOT NULL, id text NOT NULL, note text NOT NULL, PRIMARY KEY (tenant_id, id));
`)}}

// openDesk returns a desk on a database of its own, and what the kit must know about it.
func openDesk(t testing.TB, flaws ...flaw) leaktest.Application {
	t.Helper()
	logs := leaktest.NewLogs()
	db := openDB(t)
	d := newDesk(db, t.TempDir(), slog.New(logs.Handler(nil)), logs, []tenant.Tenant{acme, globex}, flaws...)
	return application(d, db, logs)
}

func openDB(t testing.TB) *sql.DB {
	t.Helper()
	server := pgtest.Open(t)
	role, system := pgtest.Name(t, "app"), pgtest.Name(t, "system")
	admin := sql.OpenDB(connector(t, server.URL()))
	t.Cleanup(func() { assert.NoError(t, admin.Close()) })
	require.NoError(t, postgres.EnsureRole(t.Context(), admin, role, password))
	exec := func(query string) {
		_, err := admin.ExecContext(t.Context(), query)
		require.NoError(t, err)
	}
	exec("CREATE ROLE " + system + " LOGIN BYPASSRLS PASSWORD '" + password + "'")
	strategy, err := row.New(connector(t, server.As(role, password)), row.Admin(connector(t, server.URL())),
		row.System(connector(t, server.As(system, password))), row.Migrations(deskTables))
	require.NoError(t, err)
	require.NoError(t, strategy.Prepare(t.Context()))
	exec("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO " + system)
	pool, err := isolation.New(strategy, isolation.MaxConns(6))
	require.NoError(t, err)
	for _, one := range []tenant.Tenant{acme, globex} {
		require.NoError(t, strategy.Provision(t.Context(), one))
	}
	db := sql.OpenDB(pool)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func connector(t testing.TB, url string) *postgres.Connector {
	t.Helper()
	c, err := postgres.NewConnector(url)
	require.NoError(t, err)
	return c
}

type extract = map[string]leaktest.Extractor

// addNote is the step that most scenarios begin with.
var addNote = leaktest.Step{
	Path:    "/notes",
	Form:    map[string]string{"title": "report {{canary}}", "slug": "{{slug}}", "body": "{{canary}}"},
	Extract: extract{"note": leaktest.FromJSON("id")},
}

func deskScenarios() []leaktest.Scenario {
	slug := map[string]string{"slug": "n-{{canary}}"}
	return []leaktest.Scenario{
		{Name: "notes", Vars: slug, Steps: []leaktest.Step{
			addNote,
			{Path: "/notes/{{note}}"},
			{Path: "/notes/{{note}}/permalink"},
			{Method: http.MethodPut, Path: "/notes/{{note}}", JSON: `{"body": "changed {{canary}}"}`},
			{Method: http.MethodDelete, Path: "/notes/{{note}}"},
		}},
		{Name: "lists", Vars: slug, Steps: []leaktest.Step{
			addNote,
			{Path: "/notes", Extract: extract{"cursor": leaktest.FromJSON("next")}},
			{Path: "/notes?cursor={{cursor}}"},
			{Path: "/search?q=report"},
			{Path: "/newest"},
			{Path: "/me"},
			{Path: "/export"},
		}},
		{Name: "feed", Vars: slug, Steps: []leaktest.Step{
			addNote,
			{Path: "/feed", Extract: extract{"etag": leaktest.FromHeader("ETag", "")}},
			{Path: "/feed", Header: http.Header{"If-None-Match": {"{{etag}}"}}},
		}},
		{Name: "files", Steps: []leaktest.Step{
			{
				Path:      "/files",
				Multipart: []leaktest.Part{{Name: "file", Filename: "a.txt", Content: "file {{canary}}"}},
				Extract:   extract{"file": leaktest.FromHeader("Location", "")},
			},
			{Path: "{{file}}"},
		}},
		{Name: "publishing", Vars: slug, Steps: []leaktest.Step{
			addNote,
			{Path: "/publish", JSON: `{"note": "{{note}}"}`},
		}},
		{Name: "by API key", Anonymous: true, Header: http.Header{"X-Api-Key": {"{{key}}"}}, Vars: slug, Steps: []leaktest.Step{
			addNote,
			{Path: "/notes/{{note}}"},
		}},
	}
}

func application(d *desk, db *sql.DB, logs *leaktest.Logs) leaktest.Application {
	var tenants []leaktest.Tenant
	for _, t := range []tenant.Tenant{acme, globex} {
		tenants = append(tenants, leaktest.Tenant{
			Tenant: t, Address: leaktest.Address{Host: t.Slug + ".example.com"},
			Vars: map[string]string{"user": "pat@" + t.Slug, "key": "key-" + t.Slug},
		})
	}
	return leaktest.Application{
		Handler: d, DB: db, Logs: logs, Tenants: tenants, Scenarios: deskScenarios(), Rounds: 3,
		Login: []leaktest.Step{{Path: "/login", Form: map[string]string{"user": "{{user}}", "password": "secret"}}},
		Variables: map[string]leaktest.Variable{
			"user": {Secret: true}, "key": {Secret: true}, "cursor": {Opaque: true},
		},
		Jobs:   []leaktest.Job{{Name: "digest", Run: d.digest}, {Name: "worker", Run: d.worker}, {Name: "webhooks", System: true, Run: d.webhooks}},
		Stores: []leaktest.Store{{Name: "cache", List: d.cached}, leaktest.FileStore("files", d.files)},
		Routes: []string{
			"POST /notes", "GET /notes", "GET /notes/{id}", "PUT /notes/{id}", "DELETE /notes/{id}", "GET /notes/{id}/permalink",
			"POST /publish", "GET /search", "GET /feed", "GET /newest", "GET /me", "GET /export", "POST /files", "GET /files/{name}",
		},
	}
}

// word is a canary, for texts that have to be compared.
var word = regexp.MustCompile(`canary[a-z2-7]{14}[0-9a-z]{4}`)

// titleOf returns the title of a tenant's note that was planted.
func titleOf(ctx context.Context, db *sql.DB, t tenant.Tenant) string {
	var title string
	if err := db.QueryRowContext(tenant.NewContext(ctx, t), "SELECT title FROM notes WHERE id = 'mine'").Scan(&title); err != nil {
		return err.Error()
	}
	return title
}
