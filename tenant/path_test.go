package tenant_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
)

func TestPath(t *testing.T) {
	t.Parallel()
	resolver := tenant.Path("/t/")
	acme := tenant.Match{Ref: tenant.BySlug("acme"), Prefix: "/t/acme"}
	none, malformed := tenant.ErrNoTenant, tenant.ErrInvalid
	tests := map[string]any{
		"/t/acme":                        acme,
		"/t/acme/":                       acme,
		"/t/acme/orders":                 acme,
		"/t/acme/files/a%2Fb":            acme,
		"/t/acme/a//b":                   acme,
		"/t/acme/.well-known/x":          acme,
		"/t/acme/...":                    acme,
		"/t/acme/t/beta":                 acme,
		"/":                              none,
		"/t":                             none,
		"/t/":                            none,
		"/T/acme/":                       none,
		"/tt/acme/":                      none,
		"/x/t/acme/":                     none,
		"//t/acme/":                      none,
		"/./t/acme/":                     none,
		"/x/../t/acme/":                  none,
		"/t//":                           malformed,
		"/t//acme":                       malformed,
		"/t/acme//orders":                malformed,
		"/t/acme/%2Forders":              acme, // the escape stays one for the handler
		"/t/Acme/":                       malformed,
		"/t/www/":                        malformed,
		"/t/acme_x/":                     malformed,
		"/t/.":                           malformed,
		"/t/..":                          malformed,
		"/t/acme/..":                     malformed,
		"/t/acme/../beta/":               malformed,
		"/t/acme/./x":                    malformed,
		"/t/acme/%2e%2E/beta/":           malformed,
		"/t/acme/.%2e/beta/":             malformed,
		"/t/acme/x%2F..%2F..%2Fbeta":     malformed,
		"/t/acme%2Fbeta/":                malformed,
		"/t/acme%2F..%2Fbeta/":           malformed,
		"/t/%61cme/":                     malformed,
		"/t/acme%00/":                    malformed,
		"/t/acme%20/":                    malformed,
		"/t/acme;x=1/":                   malformed,
		"/%74/acme/":                     malformed,
		"/t%2Facme/":                     malformed,
		"/t%2facme%2fbeta":               malformed,
		"/t/acmé/":                       malformed,
		"/t/" + strings.Repeat("a", 64):  malformed,
		"/t/" + strings.Repeat("a", 1e6): malformed,
	}
	for path, want := range tests {
		r := newRequest(t, http.MethodGet, "/")
		u, err := url.ParseRequestURI(path)
		require.NoError(t, err, path)
		r.URL = u
		assertMatch(t, resolver, r, want, "%.80s", path)
	}
}

func TestPathAtTheRoot(t *testing.T) {
	t.Parallel()
	resolver := tenant.Path("/")
	assertMatch(t, resolver, newRequest(t, http.MethodGet, "/acme/orders"),
		tenant.Match{Ref: tenant.BySlug("acme"), Prefix: "/acme"})
	assertMatch(t, resolver, newRequest(t, http.MethodGet, "/"), tenant.ErrNoTenant)
}

func TestGateStripsThePath(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"/t/acme":                "/",
		"/t/acme/":               "/",
		"/t/acme/orders/7":       "/orders/7",
		"/t/acme/a%2Fb":          "/a%2Fb",
		"/t/acme/%2F%2Fevil.com": "/%2F%2Fevil.com",
		"/t/acme/a%20b":          "/a%20b",
		"/t/acme/%C3%A9":         "/%C3%A9",
		"/t/acme/a!b":            "/a!b",
		"/t/acme/%41":            "/%41",
		"/t/acme/a//b":           "/a//b",
		"/t/acme/t/acme/x":       "/t/acme/x",
	}
	for path, rest := range tests {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			r := newRequest(t, http.MethodGet, path+"?q=1%2F")
			before := *r.URL
			var seen *http.Request
			g := newGate(t, tenant.Path("/t/"))
			w := serve(g, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r }), r)

			require.Equal(t, http.StatusOK, w.Code)
			want, err := url.ParseRequestURI(rest + "?q=1%2F")
			require.NoError(t, err)
			assert.Equal(t, want, seen.URL, "the handler must see what it would without the prefix")
			assert.Equal(t, path+"?q=1%2F", seen.RequestURI)
			assert.Equal(t, before, *r.URL, "the caller's request must stay as it was")
		})
	}
}

func TestGateRefusesAPrefixThatIsNone(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"/t/ac", "/t/acme/", "t/acme", "/x", "/t/acme/orders/7/8", "/t/acme/orders%2F7"} {
		g := newGate(t, tenant.ResolverFunc(func(*http.Request) (tenant.Match, error) {
			return tenant.Match{Ref: tenant.BySlug("acme"), Prefix: prefix}, nil
		}))
		w := serve(g, unreachable(t), newRequest(t, http.MethodGet, "/t/acme/orders/7"))
		assert.Equal(t, http.StatusServiceUnavailable, w.Code, prefix)
	}
}

func FuzzPath(f *testing.F) {
	for _, path := range []string{
		"/t/acme/orders", "/t/acme", "/t/", "/t/acme%2Fbeta", "/t/acme/%2e%2e/beta", "/%74/acme", "/t/acme//x", "/t/acme/a%2Fb?q",
	} {
		f.Add(path)
	}
	resolver := tenant.Path("/t/")
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return // net/http refuses it
		}
		r := newRequest(t, http.MethodGet, "/")
		r.URL = u
		match, err := resolver.Resolve(r)
		if err != nil {
			assert.True(t, errors.Is(err, tenant.ErrNoTenant) || errors.Is(err, tenant.ErrInvalid), err)
			return
		}
		name := match.Ref.Name()
		require.NoError(t, tenant.ValidateSlug(name))
		assert.Equal(t, "/t/"+name, match.Prefix)
		for _, reading := range []string{u.Path, u.EscapedPath(), u.JoinPath().Path} {
			assert.True(t, reading == match.Prefix || strings.HasPrefix(reading, match.Prefix+"/"),
				"%q can be read as %q, which names another tenant", path, reading)
		}
	})
}
