package tenant_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
)

// trustedPeer is the address of the proxy that tests trust; requests come from
// it only where a test says so.
const trustedPeer = "10.1.2.3:40000"

func trusted() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }

type requestOption func(*http.Request)

func newRequest(tb testing.TB, method, target string, opts ...requestOption) *http.Request {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), method, target, nil)
	for _, opt := range opts {
		opt(r)
	}
	return r
}

func host(name string) requestOption { return func(r *http.Request) { r.Host = name } }

func from(peer string) requestOption { return func(r *http.Request) { r.RemoteAddr = peer } }

func header(name string, values ...string) requestOption {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
}

// assertMatch checks that resolver finds want in r: a Match, or an error.
func assertMatch(t *testing.T, resolver tenant.Resolver, r *http.Request, want any, msg ...any) {
	t.Helper()
	got, err := resolver.Resolve(r)
	switch want := want.(type) {
	case tenant.Ref:
		if assert.NoError(t, err, msg...) {
			assert.Equal(t, tenant.Match{Ref: want}, got, msg...)
		}
	case tenant.Match:
		if assert.NoError(t, err, msg...) {
			assert.Equal(t, want, got, msg...)
		}
	case error:
		assert.ErrorIs(t, err, want, msg...)
		if !errors.Is(want, tenant.ErrNoTenant) {
			assert.NotErrorIs(t, err, tenant.ErrNoTenant, msg...)
		}
	default:
		require.Fail(t, "want a Ref, a Match or an error", msg...)
	}
}

// claimsOfHeader stands for a verifier of tokens: the token is the claim.
func claimsOfHeader(r *http.Request) (map[string]any, error) {
	token := r.Header.Get("X-Token")
	switch token {
	case "":
		return nil, tenant.ErrNoTenant
	case "forged":
		return nil, tenant.ErrInvalid
	default:
		return map[string]any{"tenant": token, "admin": true}, nil
	}
}

// tenantOfKey stands for a store of API keys.
func tenantOfKey(_ context.Context, key string) (tenant.ID, error) {
	if id, ok := strings.CutPrefix(key, "key-of-"); ok {
		return tenant.ID(id), nil
	}
	return "", tenant.ErrNotFound
}

// body fails the test when it is read.
type body struct{ t *testing.T }

func (b body) Read([]byte) (int, error) {
	b.t.Error("the body was read")
	return 0, io.EOF
}

func (b body) Close() error { return nil }

func TestResolversLeaveTheBodyAlone(t *testing.T) {
	t.Parallel()
	resolvers := map[string]tenant.Resolver{
		"Subdomain":  tenant.Subdomain("example.com", tenant.TrustProxies(trusted()...)),
		"Domain":     tenant.Domain("example.org", tenant.TrustProxies(trusted()...)),
		"Path":       tenant.Path("/t/"),
		"Header":     tenant.Header("X-Tenant", trusted()),
		"Cookie":     tenant.Cookie("tenant"),
		"QueryParam": tenant.QueryParam("tenant"),
		"APIKey":     tenant.APIKey(tenantOfKey),
		"Claim": tenant.Claim("tenant", func(r *http.Request) (map[string]any, error) {
			return map[string]any{"tenant": r.PostFormValue("tenant") + "acme"}, nil
		}),
		"ResolverFunc": tenant.ResolverFunc(func(r *http.Request) (tenant.Match, error) {
			return tenant.Match{Ref: tenant.BySlug(r.FormValue("tenant"))}, nil
		}),
	}
	all := make([]tenant.Resolver, 0, len(resolvers))
	for _, resolver := range resolvers {
		all = append(all, resolver)
	}
	resolvers["First"], resolvers["Agree"] = tenant.First(all...), tenant.Agree(all...)

	for name, resolver := range resolvers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRequest(t, http.MethodPost, "/t/acme/?tenant=acme", host("acme.example.com"), from(trustedPeer),
				header("Content-Type", "application/x-www-form-urlencoded"), header("X-Tenant", "acme"),
				header("Cookie", "tenant=acme"), header("Authorization", "Bearer key-of-acme"))
			untouched := body{t}
			r.Body = untouched
			_, err := resolver.Resolve(r)
			require.NoError(t, err)
			assert.Equal(t, untouched, r.Body, "the handler must find the body")
			assert.Nil(t, r.PostForm, "the handler's own form must not be parsed early")
		})
	}
}

func TestHeader(t *testing.T) {
	t.Parallel()
	resolver := tenant.Header("x-tenant", append(trusted(), netip.MustParsePrefix("::ffff:192.168.0.0/112"),
		netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("2001:db8::1/128")))
	tests := []struct {
		name string
		peer string
		send []string
		want any
	}{
		{"trusted", trustedPeer, []string{"acme"}, tenant.ByID("acme")},
		{"trusted, mapped into IPv6", "[::ffff:10.0.0.1]:1", []string{"acme"}, tenant.ByID("acme")},
		{"trusted by a mapped prefix", "192.168.7.7:1", []string{"acme"}, tenant.ByID("acme")},
		{"trusted, IPv6", "[2001:db8::1]:1", []string{"acme"}, tenant.ByID("acme")},
		{"trusted, link-local with a zone", "[fe80::1%eth0]:1", []string{"acme"}, tenant.ByID("acme")},
		{"no header", trustedPeer, nil, tenant.ErrNoTenant},
		{"untrusted", "203.0.113.9:1", []string{"acme"}, tenant.ErrNoTenant},
		{"untrusted, IPv6", "[2001:db8::2]:1", []string{"acme"}, tenant.ErrNoTenant},
		{"untrusted and malformed", "203.0.113.9:1", []string{"a", "b"}, tenant.ErrNoTenant},
		{"no address", "", []string{"acme"}, tenant.ErrNoTenant},
		{"Unix socket", "@", []string{"acme"}, tenant.ErrNoTenant},
		{"address without a port", "10.1.2.3", []string{"acme"}, tenant.ErrNoTenant},
		{"repeated", trustedPeer, []string{"acme", "acme"}, tenant.ErrInvalid},
		{"list", trustedPeer, []string{"acme,beta"}, tenant.ErrInvalidID},
		{"empty", trustedPeer, []string{""}, tenant.ErrInvalidID},
		{"space", trustedPeer, []string{"acme "}, tenant.ErrInvalidID},
		{"upper case", trustedPeer, []string{"Acme"}, tenant.ErrInvalidID},
		{"very long", trustedPeer, []string{strings.Repeat("a", 1<<16)}, tenant.ErrInvalidID},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRequest(t, http.MethodGet, "/", from(tt.peer), header("X-Tenant", tt.send...),
				header("X-Forwarded-For", "10.1.2.3"), header("X-Real-Ip", "10.1.2.3"))
			assertMatch(t, resolver, r, tt.want)
		})
	}
}

func TestCookie(t *testing.T) {
	t.Parallel()
	resolver := tenant.Cookie("tenant")
	tests := []struct {
		lines []string
		want  any
	}{
		{nil, tenant.ErrNoTenant},
		{[]string{""}, tenant.ErrNoTenant},
		{[]string{"session=1; xtenant=acme; tenantx=acme; Tenant=acme"}, tenant.ErrNoTenant},
		{[]string{"tenant=acme"}, tenant.ByID("acme")},
		{[]string{"session=1;tenant=acme ; lang=de"}, tenant.ByID("acme")},
		{[]string{"session=1", `tenant="acme"`}, tenant.ByID("acme")},
		{[]string{"tenant=acme; tenant=beta"}, tenant.ErrInvalid},
		{[]string{"tenant=acme", "tenant=acme"}, tenant.ErrInvalid},
		{[]string{"tenant=\x00; tenant=acme"}, tenant.ErrInvalid}, // which net/http would drop
		{[]string{"tenant="}, tenant.ErrInvalidID},
		{[]string{"tenant"}, tenant.ErrInvalidID},
		{[]string{`tenant="`}, tenant.ErrInvalidID},
		{[]string{"tenant=acme,beta"}, tenant.ErrInvalidID},
		{[]string{"tenant=%61cme"}, tenant.ErrInvalidID},
		{[]string{"tenant=ac\"me"}, tenant.ErrInvalidID},
	}
	for _, tt := range tests {
		assertMatch(t, resolver, newRequest(t, http.MethodGet, "/", header("Cookie", tt.lines...)), tt.want, "%q", tt.lines)
	}
}

func TestQueryParam(t *testing.T) {
	t.Parallel()
	resolver := tenant.QueryParam("tenant")
	tests := map[string]any{
		"":                                tenant.ErrNoTenant,
		"x=1&tenants=acme&Tenant=acme":    tenant.ErrNoTenant,
		"x=1;tenant=acme":                 tenant.ErrNoTenant,
		"%zz=1&q=100%":                    tenant.ErrNoTenant,
		"tenant=acme":                     tenant.ByID("acme"),
		"%74enant=%61cme":                 tenant.ByID("acme"),
		"a=1&tenant=acme&b=%zz":           tenant.ByID("acme"),
		"tenant=acme&tenant=beta":         tenant.ErrInvalid,
		"tenant=acme&tenant=acme":         tenant.ErrInvalid,
		"tenant=acme&%74enant=beta":       tenant.ErrInvalid,
		"tenant=acme;tenant=beta":         tenant.ErrInvalidID,
		"tenant=":                         tenant.ErrInvalidID,
		"tenant":                          tenant.ErrInvalidID,
		"tenant=%zz":                      tenant.ErrInvalidID,
		"tenant=acme%00":                  tenant.ErrInvalidID,
		"tenant=acme+beta":                tenant.ErrInvalidID,
		"tenant[]=acme&tenant=..%2Fother": tenant.ErrInvalidID,
	}
	for query, want := range tests {
		r := newRequest(t, http.MethodGet, "/")
		r.URL.RawQuery = query
		assertMatch(t, resolver, r, want, query)
	}
}

func TestWithKind(t *testing.T) {
	t.Parallel()
	r := newRequest(t, http.MethodGet, "/t/acme?slug=acme&reserved=www&domain=App.Acme.com&id=tenant-1&bad=a_b", header("Cookie", "slug=acme"))
	tests := []struct {
		resolver tenant.Resolver
		want     any
	}{
		{tenant.QueryParam("slug", tenant.WithKind(tenant.KindSlug)), tenant.BySlug("acme")},
		{tenant.QueryParam("reserved", tenant.WithKind(tenant.KindSlug)), tenant.ErrInvalid},
		{tenant.QueryParam("domain", tenant.WithKind(tenant.KindDomain)), tenant.ByDomain("app.acme.com")},
		{tenant.QueryParam("bad", tenant.WithKind(tenant.KindDomain)), tenant.ErrInvalid},
		{tenant.QueryParam("id", tenant.WithKind(tenant.KindID)), tenant.ByID("tenant-1")},
		{tenant.Cookie("slug", tenant.WithKind(tenant.KindSlug)), tenant.BySlug("acme")},
		{tenant.Path("/t/", tenant.WithKind(tenant.KindID)), tenant.Match{Ref: tenant.ByID("acme"), Prefix: "/t/acme"}},
	}
	for i, tt := range tests {
		assertMatch(t, tt.resolver, r, tt.want, i)
	}
}

func TestClaim(t *testing.T) {
	t.Parallel()
	down := errors.New("key server is down")
	tests := []struct {
		name   string
		claims map[string]any
		err    error
		want   any
	}{
		{"named", map[string]any{"tenant": "acme"}, nil, tenant.ByID("acme")},
		{"no token", nil, nil, tenant.ErrNoTenant},
		{"no token, said so", nil, tenant.ErrNoTenant, tenant.ErrNoTenant},
		{"other claims", map[string]any{"sub": "ada"}, nil, tenant.ErrNoTenant},
		{"a number", map[string]any{"tenant": 7.0}, nil, tenant.ErrInvalid},
		{"null", map[string]any{"tenant": nil}, nil, tenant.ErrInvalid},
		{"a list", map[string]any{"tenant": []any{"acme"}}, nil, tenant.ErrInvalid},
		{"empty", map[string]any{"tenant": ""}, nil, tenant.ErrInvalidID},
		{"malformed", map[string]any{"tenant": "../acme"}, nil, tenant.ErrInvalidID},
		{"not verified", map[string]any{"tenant": "acme"}, tenant.ErrInvalid, tenant.ErrInvalid},
		{"cannot tell", map[string]any{"tenant": "acme"}, down, down},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			resolver := tenant.Claim("tenant", func(*http.Request) (map[string]any, error) { return tt.claims, tt.err })
			assertMatch(t, resolver, newRequest(t, http.MethodGet, "/"), tt.want)
		})
	}
}

func TestAPIKey(t *testing.T) {
	t.Parallel()
	var (
		standard = tenant.APIKey(tenantOfKey)
		bearer   = tenant.APIKey(tenantOfKey, tenant.KeyBearer())
		own      = tenant.APIKey(tenantOfKey, tenant.KeyHeader("x-acme-key"))
		none     = header("X-None")
	)
	authorization := func(values ...string) requestOption { return header("Authorization", values...) }
	tests := []struct {
		name     string
		resolver tenant.Resolver
		a, b     requestOption
		want     any
	}{
		{"no key", standard, none, none, tenant.ErrNoTenant},
		{"bearer", standard, authorization("Bearer key-of-acme"), none, tenant.ByID("acme")},
		{"bearer, any case", standard, authorization("bEARER  key-of-acme"), none, tenant.ByID("acme")},
		{"header", standard, header("X-API-Key", "key-of-acme"), none, tenant.ByID("acme")},
		{"both the same", standard, authorization("Bearer key-of-acme"), header("X-API-Key", "key-of-acme"), tenant.ByID("acme")},
		{"both, different", standard, authorization("Bearer key-of-acme"), header("X-API-Key", "key-of-beta"), tenant.ErrInvalid},
		{"two bearers", standard, authorization("Bearer key-of-acme", "Bearer key-of-beta"), none, tenant.ErrInvalid},
		{"another scheme", standard, authorization("Basic key-of-acme"), none, tenant.ErrNoTenant},
		{"another scheme and a key", standard, authorization("Basic x"), header("X-API-Key", "key-of-acme"), tenant.ByID("acme")},
		{"empty bearer", standard, authorization("Bearer "), none, tenant.ErrInvalid},
		{"empty header", standard, header("X-API-Key", ""), none, tenant.ErrInvalid},
		{"unknown key", standard, authorization("Bearer guess"), none, tenant.ErrNotFound},
		{"store returns an empty ID", standard, authorization("Bearer key-of-"), none, tenant.ErrInvalidID},
		{"bearer alone", bearer, header("X-API-Key", "key-of-acme"), none, tenant.ErrNoTenant},
		{"bearer alone, given", bearer, authorization("Bearer key-of-acme"), header("X-API-Key", "key-of-beta"), tenant.ByID("acme")},
		{"own header", own, authorization("Bearer key-of-beta"), header("X-Acme-Key", "key-of-acme"), tenant.ByID("acme")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assertMatch(t, tt.resolver, newRequest(t, http.MethodGet, "/", tt.a, tt.b), tt.want)
		})
	}
}

func TestRefString(t *testing.T) {
	t.Parallel()
	assert.Equal(t, `ID "tenant-1"`, tenant.ByID("tenant-1").String())
	assert.Equal(t, `slug "acme"`, tenant.BySlug("acme").String())
	assert.Equal(t, `domain "a\nb"`, tenant.ByDomain("a\nb").String())
	assert.Equal(t, `kind 0 ""`, tenant.Ref{}.String())
	require.ErrorIs(t, tenant.Ref{}.Validate(), tenant.ErrNoTenant)
	require.ErrorIs(t, tenant.ByDomain("Acme.com").Validate(), tenant.ErrInvalid)
	assert.NoError(t, tenant.ByDomain("acme.com").Validate())
}
