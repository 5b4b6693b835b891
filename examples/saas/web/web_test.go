package web

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/examples/saas/workspace"
	"github.com/tenancy-go/tenancy/tenant"
)

func newTestUI(t *testing.T) *UI {
	t.Helper()
	ui, err := NewUI(Platform{Name: "Atrium", Isolation: "walls"}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return ui
}

func TestAssets(t *testing.T) {
	t.Parallel()
	ui := newTestUI(t)
	tests := []struct {
		target string
		status int
		cached bool
	}{
		{ui.assets.url("tokens.css"), http.StatusOK, true},
		{"/static/tokens.css", http.StatusOK, false},
		{"/static/tokens.css?v=old", http.StatusOK, false},
		{"/static/", http.StatusNotFound, false},
		{"/static/none.css", http.StatusNotFound, false},
		{"/static/x/tokens.css", http.StatusNotFound, false},
	}
	for _, tt := range tests {
		w := httptest.NewRecorder()
		ui.assets.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, tt.target, nil))
		assert.Equal(t, tt.status, w.Code, tt.target)
		assert.Equal(t, tt.cached, strings.Contains(w.Header().Get("Cache-Control"), "immutable"), tt.target)
	}
}

// TestRefuseTellsStrangersNothing checks that all errors that mean "not yours" look
// the same.
func TestRefuseTellsStrangersNothing(t *testing.T) {
	t.Parallel()
	ui := newTestUI(t)
	answer := func(err error) string {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Accept", "text/html")
		ui.Refuse(w, r, err)
		assert.Equal(t, http.StatusNotFound, w.Code, err)
		return w.Body.String()
	}
	want := answer(tenant.ErrNotFound)
	for _, err := range []error{tenant.ErrNoTenant, tenant.ErrInvalid, tenant.ErrInvalidID, tenant.ErrDisagree, tenant.ErrForeign} {
		assert.Equal(t, want, answer(err), err)
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	ui := newTestUI(t)
	tests := []struct {
		err    error
		accept string
		status int
		kind   string
	}{
		{&tenant.StatusError{Status: tenant.StatusSuspended}, "text/html", http.StatusForbidden, "text/html"},
		{&tenant.StatusError{Status: tenant.StatusDeleted}, "text/html,*/*", http.StatusGone, "text/html"},
		{&tenant.StatusError{Status: tenant.StatusProvisioning}, "text/html", http.StatusServiceUnavailable, "text/html"},
		{errors.New("store is away"), "text/html", http.StatusServiceUnavailable, "text/html"},
		{&tenant.StatusError{Status: tenant.StatusSuspended}, "*/*", http.StatusForbidden, "application/problem+json"},
	}
	for _, tt := range tests {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Accept", tt.accept)
		ui.Refuse(w, r, tt.err)
		assert.Equal(t, tt.status, w.Code, tt.err)
		assert.Contains(t, w.Header().Get("Content-Type"), tt.kind, tt.err)
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	hosts := Hosts{Domain: "localhost"}
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST:8080": true, "localhost.": true, "127.0.0.1:8080": true, "[::1]:8080": true, "[::1]": true, "10.0.0.1": true,
		"acme.localhost": false, "evil.example": false, "localhost.evil.example": false, "": false, "127.0.0.1.evil.example": false,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/t/acme/", nil)
		r.Host = host
		assert.Equal(t, want, hosts.isSite(r), host)
		_, err := hosts.AtSite(tenant.Path("/t/")).Resolve(r)
		assert.Equal(t, want, err == nil, host)
	}
}

func TestTenantHandler(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(TenantHandler{slog.NewTextHandler(&out, nil)}).With("a", 1)
	log.InfoContext(tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme"}), "with")
	log.InfoContext(t.Context(), "without")
	lines := strings.Split(out.String(), "\n")
	assert.Contains(t, lines[0], "msg=with a=1 tenant=acme")
	assert.NotContains(t, lines[1], "tenant")
}

func TestFuncs(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "AR", monogram("Acme Robotics"))
	assert.Equal(t, "ÄC", monogram("ä b c"))
	assert.Equal(t, "•", monogram("…"))
	assert.Equal(t, "0", number(0))
	assert.Equal(t, "999", number(999))
	assert.Equal(t, "1,234,567", number(1234567))
	assert.Equal(t, "1 word", plural(1, "word"))
	assert.Equal(t, "1,000 words", plural(1000, "word"))
	assert.Equal(t, []string{"a\nb", "c"}, paragraphs("a\nb\n\n\nc\n"))
	for d, want := range map[time.Duration]string{
		time.Second: "just now", 5 * time.Minute: "5 min ago", 3 * time.Hour: "3 h ago", 25 * time.Hour: "1 day ago", 30 * 24 * time.Hour: "2 Mar 2026",
	} {
		assert.Equal(t, want, ago(d, time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)))
	}
}

func TestChart(t *testing.T) {
	t.Parallel()
	c := chartOf([]workspace.DayCount{{}, {Count: workspace.Count{WordsIn: 30}}, {Count: workspace.Count{WordsIn: 60, WordsOut: 1}}})
	assert.Equal(t, []int{0, 40, 80}, []int{c.Lines[0].Value, c.Lines[1].Value, c.Lines[2].Value})
	assert.InDelta(t, (chartBottom-chartTop)*30/80, c.Bars[1].Height, 0.01)
	assert.Zero(t, c.Bars[0].Height)
	for n, want := range map[int]int{0: 2, 1: 2, 3: 4, 10: 10, 11: 20, 99: 100, 101: 200, 664: 800} {
		assert.Equal(t, want, roundUp(n), n)
	}
}

// TestTokensAreReadable checks the text colours of the style sheet on every ground
// they stand on, in light and dark.
func TestTokensAreReadable(t *testing.T) {
	t.Parallel()
	css, err := staticFiles.ReadFile("static/tokens.css")
	require.NoError(t, err)
	light, dark, found := strings.Cut(string(css), "prefers-color-scheme: dark")
	require.True(t, found)
	tokens := regexp.MustCompile(`--([a-z0-9-]+): (#[0-9a-f]{6});`)
	for mode, part := range map[string]string{"light": light, "dark": dark} {
		value := make(map[string]color)
		for _, m := range tokens.FindAllStringSubmatch(part, -1) {
			value[m[1]] = parseColor(m[2])
		}
		for _, ink := range []string{"ink", "ink-2", "ink-3"} {
			for _, ground := range []string{"paper", "surface", "sunken"} {
				assert.GreaterOrEqual(t, contrast(value[ink], value[ground]), readable, "%s on %s, %s", ink, ground, mode)
			}
		}
		assert.GreaterOrEqual(t, contrast(value["fatal"], value["fatal-ground"]), readable, mode)
		assert.GreaterOrEqual(t, contrast(value["warn"], value["warn-ground"]), readable, mode)
		assert.GreaterOrEqual(t, contrast(value["warn"], value["track"]), 3.0, "meters, %s", mode)
		assert.GreaterOrEqual(t, contrast(value["fatal"], value["track"]), 3.0, "meters, %s", mode)
		assert.GreaterOrEqual(t, contrast(value["on-fatal"], value["fatal"]), readable, mode)
		assert.GreaterOrEqual(t, contrast(value["line-strong"], value["surface"]), 3.0, "borders of fields, %s", mode)
	}
}
