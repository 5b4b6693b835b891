package leaktest_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/isolationtest/leaktest"
)

// The kit has to find nothing in what is right, or its findings mean nothing.
func TestRightDesk(t *testing.T) {
	t.Parallel()
	app := openDesk(t)
	app.Rounds = 3
	leaktest.TestApplication(t, app)
}

// TestFindsPlantedLeaks gives the desk one flaw at a time.
func TestFindsPlantedLeaks(t *testing.T) {
	tests := []struct {
		flaw  flaw
		in    string // the scenario that is enough to find it
		kind  leaktest.Kind
		step  string
		where string
	}{
		{cacheWithoutTenant, "lists", leaktest.Leak, "GET /newest", "body of the answer"},
		{cacheEntryOfOthers, "lists", leaktest.Leak, "after all attacks", "cache entry"},
		{lookupAsSystem, "notes", leaktest.Leak, "GET /notes/{{note}}", "body of the answer"},
		{listOfAll, "lists", leaktest.Leak, "GET /notes", "body of the answer"},
		{searchOfAll, "lists", leaktest.Leak, "GET /search?q=report", "body of the answer"},
		{cursorWithTenant, "lists", leaktest.Leak, "GET /notes?cursor={{cursor}}", "body of the answer"},
		{cursorOfAll, "lists", leaktest.Leak, "GET /notes", "body of the answer"},
		{etagWithoutTenant, "feed", leaktest.Oracle, "GET /feed", "answer to etag"},
		{sessionAnywhere, "lists", leaktest.Leak, "GET /search?q=report", "body of the answer"},
		{keyAnywhere, "by API key", leaktest.Leak, "GET /notes/{{note}}", "body of the answer"},
		{tenantFromHeader, "lists", leaktest.Leak, "GET /search?q=report", "body of the answer"},
		{tenantFromParameter, "lists", leaktest.Leak, "GET /search?q=report", "body of the answer"},
		{tenantFromForward, "lists", leaktest.Leak, "GET /search?q=report", "body of the answer"},
		{fileWithoutTenant, "files", leaktest.Leak, "GET {{file}}", "body of the answer"},
		{filesListed, "files", leaktest.Leak, "after all attacks", "files entry"},
		{errorWithTitle, "notes", leaktest.Leak, "GET /notes/{{note}}", "body of the answer"},
		{logWithTitle, "notes", leaktest.Leak, "GET /notes/{{note}}", "log"},
		{logByWriter, "notes", leaktest.Leak, "GET /notes/{{note}}", "log"},
		{jobOfFirst, "feed", leaktest.Leak, "job digest", "output mail"},
		{webhookOfAll, "feed", leaktest.Leak, "job webhooks", "output webhook"},
		{exportOfAll, "lists", leaktest.Leak, "GET /export", "body of the answer"},
		{forbiddenForForeign, "notes", leaktest.Oracle, "GET /notes/{{note}}", "answer to note"},
		{conflictWithForeign, "feed", leaktest.Oracle, "POST /notes", "answer to slug"},
		{updateAsSystem, "notes", leaktest.Write, "PUT /notes/{{note}}", "table public.notes"},
		{deleteAsSystem, "notes", leaktest.Write, "DELETE /notes/{{note}}", "table public.notes"},
		{redirectToTitle, "notes", leaktest.Leak, "GET /notes/{{note}}/permalink", "header Location"},
		{globalTenant, "lists", leaktest.Leak, "GET /me", "body of the answer"},
		{tenantField, "feed", leaktest.Write, "POST /notes", "table public.notes"},
		{queueWithoutTenant, "publishing", leaktest.Leak, "job worker", "output published notes"},
	}
	for _, tt := range tests {
		t.Run(string(tt.flaw), func(t *testing.T) {
			t.Parallel()
			app := openDesk(t, tt.flaw)
			app.Scenarios = slices.DeleteFunc(app.Scenarios, func(s leaktest.Scenario) bool { return s.Name != tt.in })
			app.Routes = nil // of the other scenarios
			if tt.flaw != globalTenant {
				app.Workers, app.Rounds = 1, 1
			}
			report, err := leaktest.FindLeaks(t.Context(), app)
			require.NoError(t, err)
			assert.ErrorIs(t, report.Err(), leaktest.ErrLeak)
			if f, found := find(report, tt.kind, tt.step, tt.where); assert.True(t, found, "%s", report) {
				t.Log(f)
			}
			for _, p := range report.Problems {
				t.Log("problem:", p)
			}
		})
	}
}

func find(r leaktest.Report, kind leaktest.Kind, step, where string) (leaktest.Finding, bool) {
	for _, f := range r.Findings {
		if f.Kind == kind && f.Step == step && f.Where == where {
			return f, true
		}
	}
	return leaktest.Finding{}, false
}
