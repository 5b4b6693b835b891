package leaktest_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/isolationtest/leaktest"
	"github.com/tenancy-go/tenancy/tenant"
)

// TestPlanted asks for notes that no request made: one that the kit planted through SQL, one
// that the host did.
func TestPlanted(t *testing.T) {
	t.Parallel()
	app := openDesk(t, lookupAsSystem)
	app.Routes, app.Stores, app.Jobs, app.Rounds = nil, nil, nil, 1
	app.Rows = []leaktest.Row{{
		Table:  "notes",
		Values: map[string]any{"id": "row-{{canary}}", "slug": "{{tenant}}-row", "title": "{{canary}}", "body": "{{canary}}"},
		Return: map[string]string{"row": "id"},
	}}
	db := app.DB
	app.Plant = func(ctx context.Context, of leaktest.Tenant, canary func() string) (map[string]string, error) {
		id := "host-" + of.Slug
		_, err := db.ExecContext(ctx, "INSERT INTO notes (id, slug, title, body) VALUES ($1, $1, $2, $2)", id, canary())
		return map[string]string{"host": id}, err
	}
	app.Scenarios = []leaktest.Scenario{{Name: "planted", Steps: []leaktest.Step{{Path: "/notes/{{row}}"}, {Path: "/notes/{{host}}"}}}}
	report, err := leaktest.FindLeaks(t.Context(), app)
	require.NoError(t, err)
	for step, planted := range map[string]string{"GET /notes/{{row}}": "row of notes", "GET /notes/{{host}}": "Plant"} {
		f, found := find(report, leaktest.Leak, step, "body of the answer")
		assert.True(t, found, "%s", report)
		assert.Equal(t, planted, f.Planted)
	}
	assert.Empty(t, report.Problems)
}

// TestRowsThatOthersSee has a program that writes as itself and keeps another tenant's words.
func TestRowsThatOthersSee(t *testing.T) {
	t.Parallel()
	app := openDesk(t)
	app.Routes, app.Stores, app.Rounds = nil, nil, 1
	app.Scenarios = app.Scenarios[:1]
	db := app.DB
	app.Jobs = []leaktest.Job{{Name: "copy", System: true, Run: func(ctx context.Context) ([]leaktest.Output, error) {
		_, err := db.ExecContext(tenant.NewContext(ctx, globex),
			"INSERT INTO notes (id, slug, title, body) VALUES ('copied', 'copied', $1, '') ON CONFLICT DO NOTHING", titleOf(ctx, db, acme))
		return nil, err
	}}}
	app.Plant = func(ctx context.Context, of leaktest.Tenant, canary func() string) (map[string]string, error) {
		_, err := db.ExecContext(ctx, "INSERT INTO notes (id, slug, title, body) VALUES ('mine', 'mine', $1, '')", canary())
		return nil, err
	}
	report, err := leaktest.FindLeaks(t.Context(), app)
	require.NoError(t, err)
	f, found := find(report, leaktest.Leak, "after what the tenants do themselves", "row of public.notes")
	require.True(t, found, "%s", report)
	assert.Equal(t, []tenant.ID{acme.ID, globex.ID}, []tenant.ID{f.Owner, f.Reader})
	assert.Contains(t, f.Excerpt, "copied")
}
