package tenant_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
)

func TestOnHosts(t *testing.T) {
	t.Parallel()
	proxy := tenant.TrustProxies(netip.MustParsePrefix("10.0.0.0/8"))
	resolver := tenant.OnHosts(tenant.Path("/t/"), "Example.com", tenant.PlatformHosts("example.org"), proxy)
	tests := []struct {
		host, forwarded string
		want            error
	}{
		{host: "example.com"},
		{host: "EXAMPLE.com.:8080"},
		{host: "example.org"},
		{host: "proxy.internal", forwarded: "example.com"},
		{host: "www.example.com", want: tenant.ErrNoTenant},
		{host: "acme.example.com", want: tenant.ErrNoTenant},
		{host: "evil.example", want: tenant.ErrNoTenant},
		{host: "example.com.evil.example", want: tenant.ErrNoTenant},
		{host: "127.0.0.1:8080", want: tenant.ErrNoTenant},
		{host: "example.com", forwarded: "evil.example", want: tenant.ErrNoTenant},
		{host: "exa mple.com", want: tenant.ErrInvalid},
	}
	for _, tt := range tests {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/t/acme/orders", nil)
		r.Host, r.RemoteAddr = tt.host, "10.1.2.3:4"
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-Host", tt.forwarded)
		}
		match, err := resolver.Resolve(r)
		if tt.want != nil {
			assert.ErrorIs(t, err, tt.want, tt.host)
			continue
		}
		if assert.NoError(t, err, tt.host) {
			assert.Equal(t, tenant.Match{Ref: tenant.BySlug("acme"), Prefix: "/t/acme"}, match, tt.host)
		}
	}
}

func TestOnHostsRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, resolver := range map[string]tenant.Resolver{
		"no resolver":     tenant.OnHosts(nil, "example.com"),
		"broken resolver": tenant.OnHosts(tenant.Path("x"), "example.com"),
		"no host":         tenant.OnHosts(tenant.Path("/"), ""),
		"bad host":        tenant.OnHosts(tenant.Path("/"), "example.com", tenant.PlatformHosts("a b")),
	} {
		_, err := tenant.NewGate(tenant.NewMemoryStore(), tenant.First(resolver))
		assert.Error(t, err, name)
	}
}

func TestPathPrefix(t *testing.T) {
	t.Parallel()
	store := tenant.NewMemoryStore()
	_, err := store.Create(t.Context(), tenant.Tenant{ID: "tenant-a", Slug: "acme", Name: "Acme", Status: tenant.StatusActive})
	require.NoError(t, err)
	gate := newGateOver(t, store, tenant.First(tenant.Path("/t/"), tenant.Subdomain("example.com")))
	for url, want := range map[string]string{
		"http://example.com/t/acme/orders": "/t/acme /orders",
		"http://example.com/t/acme":        "/t/acme /",
		"http://acme.example.com/orders":   " /orders",
	} {
		var got string
		handler := gate.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got = tenant.PathPrefix(r.Context()) + " " + r.URL.Path
		}))
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, nil))
		assert.Equal(t, want, got, url)
	}
	assert.Empty(t, tenant.PathPrefix(t.Context()))
	assert.Empty(t, tenant.PathPrefix(tenant.System(t.Context(), "test")))
}

func newGateOver(t *testing.T, finder tenant.Finder, resolver tenant.Resolver) *tenant.Gate {
	t.Helper()
	gate, err := tenant.NewGate(finder, resolver)
	require.NoError(t, err)
	return gate
}
