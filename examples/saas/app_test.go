package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/examples/saas/selftest"
	"github.com/tenancy-go/tenancy/examples/saas/signup"
	"github.com/tenancy-go/tenancy/examples/saas/web"
	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

func openAdmin(t *testing.T, url string) *sql.DB {
	t.Helper()
	connector, err := postgres.NewConnector(url)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

// openApp opens the program on SQLite. What it logs is in the buffer.
func openApp(t *testing.T, dir string) (*App, *syncBuffer) {
	t.Helper()
	var logged syncBuffer
	log := slog.New(web.TenantHandler{Handler: slog.NewTextHandler(&logged, nil)})
	app, err := Open(t.Context(), Config{Domain: "localhost", Dir: dir}, log)
	require.NoError(t, err)
	return app, &logged
}

// roomy gives the samples what a test needs that makes many requests.
func roomy(t *testing.T, app *App) {
	t.Helper()
	for _, slug := range []string{"acme", "globex"} {
		record, err := app.Store.Find(t.Context(), tenant.BySlug(slug))
		require.NoError(t, err)
		require.NoError(t, app.Plans.SetOverride(quota.Override{Tenant: record.ID, ID: "test", Reason: "a test", Patch: selftest.Roomy()}))
	}
}

// syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func do(t *testing.T, app *App, method, target string, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(form.Encode()))
	r.RequestURI = r.URL.RequestURI() // as a server gets it
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	app.Handler.ServeHTTP(w, r)
	return w
}

func TestTwoTenantsAtOnce(t *testing.T) {
	t.Parallel()
	app, _ := openApp(t, t.TempDir())
	t.Cleanup(func() { assert.NoError(t, app.Close()) })
	roomy(t, app)

	const rounds = 12
	var all sync.WaitGroup
	for _, at := range []string{
		"http://acme.localhost", "http://globex.localhost", "http://localhost/t/acme", "http://localhost/t/globex",
	} {
		slug, other := "acme", "globex"
		if strings.Contains(at, "globex") {
			slug, other = other, slug
		}
		for range 2 {
			all.Go(func() {
				for i := range rounds {
					form := url.Values{"model": {"echo"}, "text": {fmt.Sprintf("word-of-%s %d", slug, i)}}
					made := do(t, app, http.MethodPost, at+"/conversations", form)
					if !assert.Equal(t, http.StatusSeeOther, made.Code, made.Body) {
						return
					}
					list := do(t, app, http.MethodGet, at+"/conversations", nil).Body.String()
					assert.Contains(t, list, "word-of-"+slug)
					assert.NotContains(t, list, "word-of-"+other)

					id := made.Header().Get("Location")[strings.LastIndexByte(made.Header().Get("Location"), '/')+1:]
					foreign := do(t, app, http.MethodGet, "http://"+other+".localhost/conversations/"+id, nil)
					assert.Equal(t, http.StatusNotFound, foreign.Code)
				}
			})
		}
	}
	all.Wait()
	for _, slug := range []string{"acme", "globex"} {
		list := do(t, app, http.MethodGet, "http://"+slug+".localhost/conversations", nil).Body.String()
		assert.Equal(t, 4*rounds, strings.Count(list, `<span class="list-title">word-of-`), slug)
	}
}

func TestRequestsAreLoggedWithTheirTenant(t *testing.T) {
	t.Parallel()
	app, logged := openApp(t, t.TempDir())
	t.Cleanup(func() { assert.NoError(t, app.Close()) })
	acme, err := app.Store.Find(t.Context(), tenant.BySlug("acme"))
	require.NoError(t, err)

	do(t, app, http.MethodGet, "http://acme.localhost/usage", nil)
	do(t, app, http.MethodGet, "http://localhost/", nil)
	lines := strings.Split(strings.TrimSpace(logged.String()), "\n")
	require.Len(t, lines, 2)
	assert.Contains(t, lines[0], "path=/usage status=200")
	assert.Contains(t, lines[0], "tenant="+acme.ID.String())
	assert.NotContains(t, lines[1], "tenant=")
}

func TestOpenFinishesWhatWasCutShort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	app, _ := openApp(t, dir)
	begun, err := app.Store.Create(t.Context(), tenant.Tenant{
		ID: tenant.NewID(), Slug: "initech", Name: "Initech", Contact: tenant.Contact{Email: "peter@initech.example"},
	})
	require.NoError(t, err)
	require.Equal(t, tenant.StatusProvisioning, begun.Status)
	assert.Equal(t, http.StatusServiceUnavailable, do(t, app, http.MethodGet, "http://initech.localhost/", nil).Code)
	require.NoError(t, app.Close())

	app, _ = openApp(t, dir)
	t.Cleanup(func() { assert.NoError(t, app.Close()) })
	assert.Equal(t, http.StatusOK, do(t, app, http.MethodGet, "http://initech.localhost/", nil).Code)
}

func TestRemovedSampleStaysAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	app, _ := openApp(t, dir)
	acme, err := app.Store.Find(t.Context(), tenant.BySlug("acme"))
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, do(t, app, http.MethodGet, "http://acme.localhost/", nil).Code)
	require.NoError(t, app.Sign.Remove(t.Context(), acme))
	assert.Equal(t, http.StatusGone, do(t, app, http.MethodGet, "http://acme.localhost/", nil).Code)
	require.NoError(t, app.Close())

	app, _ = openApp(t, dir)
	t.Cleanup(func() { assert.NoError(t, app.Close()) })
	assert.Equal(t, http.StatusGone, do(t, app, http.MethodGet, "http://acme.localhost/", nil).Code)
}

func TestTwoProcessesSeeEachOthersSignUps(t *testing.T) {
	t.Parallel()
	cfg := Config{
		Domain: "localhost", Database: pgtest.Open(t).URL(), Isolation: "schema", Role: pgtest.Name(t, "app"),
	}
	var apps [2]*App
	for i := range apps {
		app, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, app.Close()) })
		apps[i] = app
	}
	const at = "http://initech.localhost/"
	assert.Equal(t, http.StatusNotFound, do(t, apps[1], http.MethodGet, at, nil).Code)
	made, err := apps[0].Sign.SignUp(t.Context(), signup.Form{Name: "Initech", Slug: "initech", Email: "peter@initech.example"})
	require.NoError(t, err)
	defer func() { assert.NoError(t, apps[0].Sign.Remove(t.Context(), made)) }()
	assert.Eventually(t, func() bool { return do(t, apps[1], http.MethodGet, at, nil).Code == http.StatusOK }, 10*time.Second, 20*time.Millisecond)
}
