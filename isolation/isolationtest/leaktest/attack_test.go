package leaktest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/isolationtest/leaktest"
)

// TestSwapsAtEveryPlace uses values in all parts of requests.
func TestSwapsAtEveryPlace(t *testing.T) {
	t.Parallel()
	app := openBoard(ownWall)
	board := app.Handler
	app.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/any") {
			if r.Method == http.MethodPost {
				http.SetCookie(w, &http.Cookie{Name: "last", Value: "of-" + r.Host})
			}
			board.ServeHTTP(w, r)
		}
	})
	s := &app.Scenarios[0]
	s.Vars = map[string]string{"label": "{{canary}}"}
	s.Header = http.Header{"X-Always": {"{{label}}"}}
	s.Steps = append(s.Steps,
		leaktest.Step{Path: "/any?at={{text}}", Header: http.Header{"If-Match": {"{{text}}"}}, Cookies: map[string]string{"chosen": "{{text}}"}},
		leaktest.Step{Path: "/any", Form: map[string]string{"field": "{{text}}"}},
		leaktest.Step{Path: "/any", JSON: `{"field": "{{text}}"}`},
		leaktest.Step{Path: "/any", Multipart: []leaktest.Part{{Name: "part", Content: "{{text}}"}}},
		leaktest.Step{Path: "/any", Body: "<a>{{text}}</a>"},
	)
	report, err := leaktest.FindLeaks(t.Context(), app)
	require.NoError(t, err)
	require.NoError(t, report.Err(), "%s", report)
	tried := make(map[string]bool)
	for _, v := range report.Coverage.Values {
		tried[v.Name+" in "+v.Place] = v.Tried > 0
	}
	for _, want := range []string{
		"text in path", "text in query", "text in header If-Match", "label in header X-Always", "text in cookie chosen", "text in form field field",
		"text in JSON body", "text in multipart field part", "text in body", "cookie last in cookie last",
	} {
		assert.True(t, tried[want], "%s: %v", want, tried)
	}
}

// TestConfusesPrograms has programs that find the tenant in one place too many. Users prove
// who they are by a header; each program believes them anywhere.
func TestConfusesPrograms(t *testing.T) {
	t.Parallel()
	tests := map[string]func(r *http.Request, own string) string{
		"the right one": func(_ *http.Request, own string) string { return own },
		"the last path that names a tenant": func(r *http.Request, own string) string {
			for _, segment := range strings.Split(r.URL.Path, "/t/") {
				if name, _, _ := strings.Cut(segment, "/"); name == "acme" || name == "globex" {
					own = name
				}
			}
			return own
		},
		"X-Original-URL": func(r *http.Request, own string) string {
			if name, _, ok := strings.Cut(strings.TrimPrefix(r.Header.Get("X-Original-Url"), "/t/"), "/"); ok {
				return name
			}
			return own
		},
		"the last of two headers": func(r *http.Request, own string) string {
			if named := r.Header.Values("X-Name"); len(named) > 1 {
				return named[1]
			}
			return own
		},
		"a cookie": func(r *http.Request, own string) string {
			if c, err := r.Cookie("workspace"); err == nil {
				return c.Value
			}
			return own
		},
		"the first label of the host": func(r *http.Request, own string) string {
			if label, _, _ := strings.Cut(r.Host, "."); label == "acme" || label == "globex" {
				return label
			}
			return own
		},
	}
	for name, resolve := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := openBoard(ownWall)
			board := app.Handler
			for i, at := range app.Tenants {
				app.Tenants[i].Address = leaktest.Address{Host: "example.com", Base: "/t/" + at.Slug, Header: http.Header{"X-Name": {at.Slug}}}
				app.Tenants[i].Also = []leaktest.Address{{Host: at.Slug + ".example.com"}}
				app.Tenants[i].Credentials = http.Header{"Authorization": {"Bearer " + at.Slug}}
			}
			app.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				own := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
				named := resolve(r, own)
				if i := strings.LastIndex(r.URL.Path, "/t/"); i >= 0 {
					_, below, _ := strings.Cut(r.URL.Path[i+3:], "/")
					r.URL.Path = "/" + below
				}
				r.Host = named + ".example.com"
				board.ServeHTTP(w, r)
			})
			report, err := leaktest.FindLeaks(t.Context(), app)
			require.NoError(t, err)
			if name == "the right one" {
				assert.NoError(t, report.Err(), "%s", report)
				return
			}
			_, found := find(report, leaktest.Leak, "GET /wall", "body of the answer")
			assert.True(t, found, "%s", report)
		})
	}
}

// TestSharedHost has tenants whom the path alone tells apart, and who need not prove who they
// are: whoever goes to a tenant's path is that tenant.
func TestSharedHost(t *testing.T) {
	t.Parallel()
	app := openBoard(ownWall)
	board := app.Handler
	for i, at := range app.Tenants {
		app.Tenants[i].Address = leaktest.Address{Base: "/" + at.Slug}
	}
	app.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, below, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		r.Host, r.URL.Path = name+".example.com", "/"+below
		board.ServeHTTP(w, r)
	})
	leaktest.TestApplication(t, app)
}

// TestPanics counts requests that a server would have answered by hanging up.
func TestPanics(t *testing.T) {
	t.Parallel()
	app := openBoard(ownWall)
	board := app.Handler
	app.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/texts/") && !strings.HasPrefix(r.URL.Path, "/texts/"+strings.TrimSuffix(r.Host, ".example.com")) {
			panic(fmt.Sprint("no text ", r.URL.Path))
		}
		board.ServeHTTP(w, r)
	})
	report, err := leaktest.FindLeaks(t.Context(), app)
	require.NoError(t, err)
	assert.Positive(t, report.Coverage.Panics)
	assert.NoError(t, report.Err(), "%s", report)

	app = openBoard(ownWall)
	app.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("always") })
	report, err = leaktest.FindLeaks(t.Context(), app)
	require.NoError(t, err)
	assert.ErrorIs(t, report.Err(), leaktest.ErrUnproven)
}
