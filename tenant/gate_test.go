package tenant_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
)

// newStore returns a store with one tenant of each status, its slug the
// status's name, and the tenants acme and beta.
func newStore(tb testing.TB) *tenant.MemoryStore {
	tb.Helper()
	store := tenant.NewMemoryStore()
	create := func(t tenant.Tenant) tenant.Tenant {
		t, err := store.Create(tb.Context(), t)
		require.NoError(tb, err)
		return t
	}
	beta := acme()
	beta.ID, beta.Slug, beta.Name, beta.Domains = "tenant-beta", "beta", "Beta", []string{"beta.com"}
	create(acme())
	create(beta)
	for _, status := range []tenant.Status{tenant.StatusProvisioning, tenant.StatusActive, tenant.StatusReadOnly, tenant.StatusSuspended} {
		create(tenant.Tenant{ID: tenant.ID(status), Slug: string(status), Name: string(status), Status: status})
	}
	gone := create(tenant.Tenant{ID: "deleted", Slug: "deleted", Name: "deleted", Status: tenant.StatusActive})
	_, err := store.Delete(tb.Context(), gone.ID, gone.Version)
	require.NoError(tb, err)
	return store
}

func newGate(tb testing.TB, resolver tenant.Resolver, opts ...tenant.GateOption) *tenant.Gate {
	tb.Helper()
	directory, err := tenant.NewDirectory(newStore(tb))
	require.NoError(tb, err)
	g, err := tenant.NewGate(directory, resolver, opts...)
	require.NoError(tb, err)
	return g
}

func serve(g *tenant.Gate, next http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	g.Middleware(next).ServeHTTP(w, r)
	return w
}

func unreachable(t *testing.T) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Helper()
		t.Errorf("%s %s reached the handler", r.Method, r.URL)
	})
}

// whoami answers with the ID of the context's tenant, or why there is none.
var whoami = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	id, err := tenant.IDFromContext(r.Context())
	if err != nil {
		_, _ = io.WriteString(w, err.Error())
		return
	}
	_, _ = io.WriteString(w, id.String())
})

func TestGateLetsTheTenantIn(t *testing.T) {
	t.Parallel()
	var seen tenant.Tenant
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var err error
		seen, err = tenant.FromContext(r.Context())
		assert.NoError(t, err)
		sent, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.Equal(t, "sent", string(sent))
		w := r.Context().Value(otherKey{})
		assert.Equal(t, "seen", w, "the rest of the context must pass")
	})
	for _, finder := range []string{"directory", "store"} {
		t.Run(finder, func(t *testing.T) {
			store := newStore(t)
			var f tenant.Finder = store
			if finder == "directory" {
				var err error
				f, err = tenant.NewDirectory(store)
				require.NoError(t, err)
			}
			g, err := tenant.NewGate(f, tenant.Subdomain("example.com"))
			require.NoError(t, err)
			r := newRequest(t, http.MethodPost, "http://acme.example.com/orders")
			r.Body = io.NopCloser(&reader{text: "sent"})
			w := serve(g, next, r.WithContext(context.WithValue(r.Context(), otherKey{}, "seen")))
			want, err := store.Find(t.Context(), tenant.ByID("tenant-acme"))
			require.NoError(t, err)
			assert.Equal(t, http.StatusOK, w.Code)
			assert.Equal(t, want, seen)
		})
	}
}

type reader struct{ text string }

func (r *reader) Read(p []byte) (int, error) {
	n := copy(p, r.text)
	r.text = r.text[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestGateStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		slug   string
		method string
		want   int
		kind   string
	}{
		{"active", "GET", 200, ""},
		{"active", "POST", 200, ""},
		{"read-only", "GET", 200, ""},
		{"read-only", "HEAD", 200, ""},
		{"read-only", "OPTIONS", 200, ""},
		{"read-only", "POST", 403, "tenant-read-only"},
		{"read-only", "PUT", 403, "tenant-read-only"},
		{"read-only", "PATCH", 403, "tenant-read-only"},
		{"read-only", "DELETE", 403, "tenant-read-only"},
		{"read-only", "get", 403, "tenant-read-only"}, // methods are case-sensitive
		{"read-only", "PROPFIND", 403, "tenant-read-only"},
		{"provisioning", "GET", 503, "tenant-provisioning"},
		{"suspended", "GET", 403, "tenant-suspended"},
		{"suspended", "POST", 403, "tenant-suspended"},
		{"deleted", "GET", 410, "tenant-deleted"},
		{"unknown", "GET", 404, "tenant-not-found"},
	}
	g := newGate(t, tenant.Subdomain("example.com"))
	for _, tt := range tests {
		t.Run(tt.slug+" "+tt.method, func(t *testing.T) {
			t.Parallel()
			w := serve(g, whoami, newRequest(t, tt.method, "/", host(tt.slug+".example.com")))
			assert.Equal(t, tt.want, w.Code)
			assert.Equal(t, tt.want == 503, w.Header().Get("Retry-After") != "")
			if tt.want == 200 {
				assert.Equal(t, tt.slug, w.Body.String())
				return
			}
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			assert.Contains(t, w.Body.String(), fmt.Sprintf(`"type":"tag:tenancy-go.github.io,2026:problem:%s"`, tt.kind))
		})
	}
}

func TestGateStatusItDoesNotKnow(t *testing.T) {
	t.Parallel()
	finder := finderFunc(func(_ context.Context, ref tenant.Ref) (tenant.Tenant, error) {
		return tenant.Tenant{ID: tenant.ID(ref.Name()), Status: "frozen"}, nil
	})
	g, err := tenant.NewGate(finder, says(tenant.ByID("acme")))
	require.NoError(t, err)
	assert.Equal(t, http.StatusServiceUnavailable, serve(g, unreachable(t), newRequest(t, http.MethodGet, "/")).Code)
}

func TestGateWithReads(t *testing.T) {
	t.Parallel()
	g := newGate(t, tenant.Subdomain("example.com"), tenant.WithReads(func(r *http.Request) bool {
		assert.Equal(t, http.NoBody, r.Body)
		return tenant.IsRead(r) && r.URL.Path != "/logout" || r.URL.Path == "/search"
	}))
	for target, want := range map[string]int{"POST /search": 200, "POST /orders": 403, "GET /orders": 200, "GET /logout": 403} {
		var method, path string
		_, err := fmt.Sscan(target, &method, &path)
		require.NoError(t, err)
		r := newRequest(t, method, path, host("read-only.example.com"))
		r.Body = body{t}
		assert.Equal(t, want, serve(g, whoami, r).Code, target)
	}
}

// answer is all of a response that a client can see.
type answer struct {
	code   int
	header string
	body   string
}

// TestGateHidesWhatItRefuses goes through a real server, so that what net/http
// adds is compared too.
func TestGateHidesWhatItRefuses(t *testing.T) {
	t.Parallel()
	foreign := tenant.WithMember(func(_ *http.Request, t tenant.Tenant) error {
		if t.ID == "tenant-acme" || t.Status != tenant.StatusActive {
			return fmt.Errorf("no membership of %s: %w", t.ID, tenant.ErrForeign)
		}
		return nil
	})
	g := newGate(t, tenant.Agree(tenant.Subdomain("example.com"), tenant.Cookie("tenant"), tenant.APIKey(tenantOfKey)), foreign)
	server := httptest.NewServer(g.Middleware(unreachable(t)))
	t.Cleanup(server.Close)

	ask := func(t *testing.T, method string, opts ...requestOption) answer {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL, nil)
		require.NoError(t, err)
		for _, opt := range opts {
			opt(r)
		}
		resp, err := server.Client().Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		resp.Header.Del("Date")
		return answer{resp.StatusCode, fmt.Sprint(resp.Header), string(text)}
	}

	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
		unknown := ask(t, method, host("nobody.example.com"))
		require.Equal(t, http.StatusNotFound, unknown.code)
		require.Equal(t, method == http.MethodHead, unknown.body == "")
		require.NotContains(t, unknown.body, "nobody")
		tests := map[string][]requestOption{
			"foreign":                     {host("acme.example.com")},
			"foreign to a suspended one":  {host("suspended.example.com")},
			"foreign to a deleted one":    {host("deleted.example.com")},
			"foreign to one being set up": {host("provisioning.example.com")},
			"malformed host":              {host("acme--.example.com")},
			"malformed A-label":           {host("xn--a.example.com")},
			"malformed cookie":            {header("Cookie", "tenant=../beta")},
			"repeated cookie":             {header("Cookie", "tenant=a; tenant=b")},
			"unknown ID":                  {header("Cookie", "tenant=nobody")},
			"unknown key":                 {host("beta.example.com"), header("X-API-Key", "guess")},
			"disagreeing at once":         {header("Cookie", "tenant=tenant-beta"), header("X-API-Key", "key-of-tenant-acme")},
			"disagreeing by lookup":       {host("beta.example.com"), header("Cookie", "tenant=active")},
			"one known, one unknown":      {host("beta.example.com"), header("Cookie", "tenant=nobody")},
		}
		for name, opts := range tests {
			t.Run(method+" "+name, func(t *testing.T) { assert.Equal(t, unknown, ask(t, method, opts...)) })
		}
	}
}

func TestGateWithoutTenantNamed(t *testing.T) {
	t.Parallel()
	w := serve(newGate(t, tenant.Subdomain("example.com")), unreachable(t), newRequest(t, http.MethodGet, "/", host("www.example.com")))
	assert.Equal(t, http.StatusBadRequest, w.Code)
	assert.Contains(t, w.Body.String(), "tenant-required")
}

func TestGateWithPlatform(t *testing.T) {
	t.Parallel()
	platform := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, [2]error{tenant.ErrNoTenant, tenant.ErrNoTenant}, stateOf(r.Context()).errors)
		w.WriteHeader(http.StatusTeapot)
	})
	g := newGate(t, tenant.Subdomain("example.com"), tenant.WithPlatform(platform))
	states := map[string]func(context.Context) context.Context{
		"none":   func(ctx context.Context) context.Context { return ctx },
		"tenant": func(ctx context.Context) context.Context { return tenant.NewContext(ctx, acme()) },
		"system": func(ctx context.Context) context.Context { return tenant.System(ctx, "leftover") },
	}
	for name, state := range states {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, h := range []string{"example.com", "www.example.com", "10.0.0.1:8080", "a.b.example.com"} {
				r := newRequest(t, http.MethodGet, "/", host(h))
				assert.Equal(t, http.StatusTeapot, serve(g, unreachable(t), r.WithContext(state(r.Context()))).Code, h)
			}
			for h, want := range map[string]int{"nobody.example.com": 404, "acme_.example.com": 404, "suspended.example.com": 403} {
				r := newRequest(t, http.MethodGet, "/", host(h))
				assert.Equal(t, want, serve(g, unreachable(t), r.WithContext(state(r.Context()))).Code, h)
			}
			r := newRequest(t, http.MethodGet, "/", host("beta.example.com"))
			assert.Equal(t, "tenant-beta", serve(g, whoami, r.WithContext(state(r.Context()))).Body.String())
		})
	}
}

// TestGatePlatformIsForResolversOnly guards against an ErrNoTenant from deeper
// down opening the platform's pages under a tenant's name.
func TestGatePlatformIsForResolversOnly(t *testing.T) {
	t.Parallel()
	finder := finderFunc(func(context.Context, tenant.Ref) (tenant.Tenant, error) { return tenant.Tenant{}, tenant.ErrNoTenant })
	g, err := tenant.NewGate(finder, tenant.Subdomain("example.com"), tenant.WithPlatform(unreachable(t)))
	require.NoError(t, err)
	assert.Equal(t, http.StatusBadRequest, serve(g, unreachable(t), newRequest(t, http.MethodGet, "/", host("acme.example.com"))).Code)
}

func TestGateAgreesByLookup(t *testing.T) {
	t.Parallel()
	g := newGate(t, tenant.Agree(
		tenant.First(tenant.Subdomain("example.com"), tenant.Domain("example.com")),
		tenant.Path("/t/"), tenant.Cookie("tenant"), tenant.QueryParam("domain", tenant.WithKind(tenant.KindDomain))))
	tests := []struct {
		host, target, cookie string
		want                 string // "" is 404
	}{
		{"acme.example.com", "/", "tenant-acme", "tenant-acme"},
		{"app.acme.com", "/", "tenant-acme", "tenant-acme"},
		{"app.acme.com", "/t/acme/", "tenant-acme", "tenant-acme"},
		{"app.acme.com", "/t/acme/?domain=xn--mnchen-3ya.de", "tenant-acme", "tenant-acme"},
		{"example.com", "/t/acme/", "", "tenant-acme"},
		{"acme.example.com", "/", "tenant-beta", ""},
		{"app.acme.com", "/", "tenant-beta", ""},
		{"app.acme.com", "/t/beta/", "", ""},
		{"beta.example.com", "/t/acme/", "", ""},
		{"app.acme.com", "/t/acme/?domain=beta.com", "tenant-acme", ""},
		{"app.acme.com", "/?domain=nobody.com", "", ""},
		{"acme.example.com", "/", "nobody", ""},
	}
	for _, tt := range tests {
		r := newRequest(t, http.MethodGet, tt.target, host(tt.host))
		if tt.cookie != "" {
			r.Header.Set("Cookie", "tenant="+tt.cookie)
		}
		w := serve(g, whoami, r)
		if tt.want == "" {
			assert.Equal(t, http.StatusNotFound, w.Code, "%v", tt)
			continue
		}
		assert.Equal(t, tt.want, w.Body.String(), "%v", tt)
	}
}

func TestGateWithMember(t *testing.T) {
	t.Parallel()
	down := errors.New("directory of users at 10.9.8.7 is down")
	g := newGate(t, tenant.Path("/t/"),
		tenant.WithMember(func(r *http.Request, owner tenant.Tenant) error {
			assert.Equal(t, owner.ID, stateOf(r.Context()).id)
			assert.Equal(t, http.NoBody, r.Body)
			if owner.ID == "tenant-beta" {
				return tenant.ErrForeign
			}
			return nil
		}),
		tenant.WithMember(func(r *http.Request, _ tenant.Tenant) error {
			if r.URL.Path == "/down" {
				return down
			}
			return nil
		}))
	tests := map[string]int{"/t/acme/x": 200, "/t/beta/x": 404, "/t/beta/down": 404, "/t/acme/down": 503, "/t/suspended/x": 403}
	for target, want := range tests {
		r := newRequest(t, http.MethodPost, target)
		r.Body = body{t}
		w := serve(g, whoami, r)
		assert.Equal(t, want, w.Code, target)
		assert.NotContains(t, w.Body.String(), "10.9.8.7")
		assert.Equal(t, body{t}, r.Body)
	}
}

func TestGateStoreFailure(t *testing.T) {
	t.Parallel()
	store := &fakeStore{MemoryStore: newStore(t)}
	store.fail(errors.New("dial tcp 10.9.8.7:5432: password secret refused"))
	g, err := tenant.NewGate(store, tenant.Subdomain("example.com"), tenant.WithPlatform(unreachable(t)))
	require.NoError(t, err)
	for _, name := range []string{"acme", "nobody"} {
		w := serve(g, unreachable(t), newRequest(t, http.MethodGet, "/", host(name+".example.com")))
		assert.Equal(t, http.StatusServiceUnavailable, w.Code)
		assert.Equal(t, "5", w.Header().Get("Retry-After"))
		assert.JSONEq(t, `{"status":503,"title":"The tenant cannot be determined at present",
			"type":"tag:tenancy-go.github.io,2026:problem:tenant-unavailable"}`, w.Body.String())
	}
}

func TestGateDoesNotAskForMalformedNames(t *testing.T) {
	t.Parallel()
	store := &fakeStore{MemoryStore: newStore(t)}
	for _, ref := range []tenant.Ref{tenant.ByID("../acme"), tenant.BySlug("www"), tenant.BySlug(""), tenant.ByDomain("ACME.com")} {
		g, err := tenant.NewGate(store, says(ref))
		require.NoError(t, err)
		assert.Equal(t, http.StatusNotFound, serve(g, unreachable(t), newRequest(t, http.MethodGet, "/")).Code, ref)
		g, err = tenant.NewGate(store, says(tenant.Match{Ref: tenant.BySlug("acme"), Also: []tenant.Ref{ref}}))
		require.NoError(t, err)
		assert.Equal(t, http.StatusNotFound, serve(g, unreachable(t), newRequest(t, http.MethodGet, "/")).Code, ref)
	}
	assert.EqualValues(t, 4, store.reads.Load(), "only acme itself is asked for")
}

func TestGateTrustsNoFinderBlindly(t *testing.T) {
	t.Parallel()
	tests := map[string]tenant.Tenant{
		"another tenant": {ID: "tenant-beta", Slug: "beta", Status: tenant.StatusActive},
		"no tenant":      {},
		"without an ID":  {Slug: "acme", Status: tenant.StatusActive},
		"malformed ID":   {ID: "../acme", Slug: "acme", Status: tenant.StatusActive},
	}
	for name, found := range tests {
		for _, ref := range []tenant.Ref{tenant.ByID("acme"), tenant.BySlug("acme")} {
			finder := finderFunc(func(context.Context, tenant.Ref) (tenant.Tenant, error) { return found, nil })
			g, err := tenant.NewGate(finder, says(ref))
			require.NoError(t, err)
			w := serve(g, unreachable(t), newRequest(t, http.MethodGet, "/"))
			assert.Equal(t, http.StatusServiceUnavailable, w.Code, "%s by %v", name, ref)
		}
	}
}

func TestGateWithErrorHandler(t *testing.T) {
	t.Parallel()
	tests := []struct {
		host string
		want error
		id   tenant.ID // in the handler's context
	}{
		{"nobody.example.com", tenant.ErrNotFound, ""},
		{"acme_.example.com", tenant.ErrInvalid, ""},
		{"www.example.com", tenant.ErrNoTenant, ""},
		{"beta.example.com", tenant.ErrForeign, ""},
		{"suspended.example.com", tenant.ErrStatus, "suspended"},
	}
	for _, tt := range tests {
		t.Run(tt.host, func(t *testing.T) {
			t.Parallel()
			var got error
			var seen state
			g := newGate(t, tenant.Subdomain("example.com"),
				tenant.WithMember(func(_ *http.Request, owner tenant.Tenant) error {
					if owner.ID == "tenant-beta" {
						return tenant.ErrForeign
					}
					return nil
				}),
				tenant.WithErrorHandler(func(w http.ResponseWriter, r *http.Request, err error) {
					got, seen = err, stateOf(r.Context())
					tenant.WriteError(w, r, err)
				}))
			r := newRequest(t, http.MethodGet, "/", host(tt.host))
			w := serve(g, unreachable(t), r.WithContext(tenant.NewContext(r.Context(), acme())))
			require.ErrorIs(t, got, tt.want)
			assert.Equal(t, tt.id, seen.id, "what an outer middleware left must not be seen")
			assert.GreaterOrEqual(t, w.Code, 400)
		})
	}
	var status *tenant.StatusError
	g := newGate(t, tenant.Subdomain("example.com"),
		tenant.WithErrorHandler(func(_ http.ResponseWriter, _ *http.Request, err error) { assert.ErrorAs(t, err, &status) }))
	serve(g, unreachable(t), newRequest(t, http.MethodGet, "/", host("deleted.example.com")))
	assert.Equal(t, &tenant.StatusError{ID: "deleted", Status: tenant.StatusDeleted}, status)
}

func TestNewGateRefuses(t *testing.T) {
	t.Parallel()
	store, fine := tenant.NewMemoryStore(), tenant.Subdomain("example.com")
	kind := tenant.WithKind(0)
	resolvers := map[string]tenant.Resolver{
		"nil":                      nil,
		"nil function":             tenant.ResolverFunc(nil),
		"empty First":              tenant.First(),
		"empty Agree":              tenant.Agree(),
		"First of nil":             tenant.First(fine, nil),
		"Agree of nil":             tenant.Agree(fine, tenant.ResolverFunc(nil)),
		"deep down":                tenant.First(fine, tenant.Agree(fine, tenant.First(fine, tenant.Path("t")))),
		"base empty":               tenant.Subdomain(""),
		"base with a port":         tenant.Subdomain("example.com:443"),
		"base an address":          tenant.Domain("10.0.0.1"),
		"platform host":            tenant.Domain("example.com", tenant.PlatformHosts("a b")),
		"reserved label":           tenant.Subdomain("example.com", tenant.Reserve("a.b")),
		"no proxies":               tenant.Subdomain("example.com", tenant.TrustProxies()),
		"zero prefix":              tenant.Subdomain("example.com", tenant.TrustProxies(netip.Prefix{})),
		"header without peers":     tenant.Header("X-Tenant", nil),
		"header with a zero peer":  tenant.Header("X-Tenant", append(trusted(), netip.Prefix{})),
		"header without a name":    tenant.Header("", trusted()),
		"header named Host":        tenant.Header("host", trusted()),
		"header of an unknown":     tenant.Header("X-Tenant", trusted(), kind),
		"cookie's name":            tenant.Cookie("a b"),
		"cookie of an unknown":     tenant.Cookie("tenant", kind),
		"parameter without a name": tenant.QueryParam(""),
		"parameter of an unknown":  tenant.QueryParam("tenant", kind),
		"claim without a name":     tenant.Claim("", claimsOfHeader),
		"claim without a verifier": tenant.Claim("tenant", nil),
		"claim of an unknown":      tenant.Claim("tenant", claimsOfHeader, kind),
		"key without a store":      tenant.APIKey(nil),
		"key's header":             tenant.APIKey(tenantOfKey, tenant.KeyHeader("a b")),
		"path empty":               tenant.Path(""),
		"path without slash":       tenant.Path("t/"),
		"path without end":         tenant.Path("/t"),
		"path with dots":           tenant.Path("/../"),
		"path with escapes":        tenant.Path("/%74/"),
		"path with empty segment":  tenant.Path("/t//"),
		"path of an unknown":       tenant.Path("/t/", kind),
	}
	for name, resolver := range resolvers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tenant.NewGate(store, resolver)
			require.Error(t, err)
			assert.Contains(t, err.Error(), "tenant: ")
			if resolver != nil && name != "nil function" {
				_, err = resolver.Resolve(newRequest(t, http.MethodGet, "/"))
				require.Error(t, err, "used by hand it must fail")
				assert.NotErrorIs(t, err, tenant.ErrNoTenant, "or it would pass for a request without a tenant")
			}
		})
	}
	options := map[string]tenant.GateOption{
		"platform": tenant.WithPlatform(nil), "member": tenant.WithMember(nil),
		"reads": tenant.WithReads(nil), "error handler": tenant.WithErrorHandler(nil),
	}
	for name, option := range options {
		_, err := tenant.NewGate(store, fine, option)
		require.Error(t, err, name)
	}
	_, err := tenant.NewGate(nil, fine)
	require.Error(t, err)
}
