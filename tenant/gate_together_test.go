package tenant_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
)

// artefact is one way in which a request can name a tenant, given the tenant's
// slug: its ID is tenant- and the slug, its domain the slug and .com.
type artefact struct {
	name string
	put  func(r *http.Request, slug string)
}

func artefacts() []artefact {
	return []artefact{
		{"host", func(r *http.Request, slug string) { r.Host = slug + ".example.com" }},
		{"domain", func(r *http.Request, slug string) { r.Host = "app." + slug + ".org" }},
		{"path", func(r *http.Request, slug string) { r.URL.Path = "/t/" + slug + r.URL.Path }},
		{"header", func(r *http.Request, slug string) { r.Header.Set("X-Tenant", "tenant-"+slug) }},
		{"cookie", func(r *http.Request, slug string) { r.Header.Set("Cookie", "tenant=tenant-"+slug) }},
		{"query", func(r *http.Request, slug string) { r.URL.RawQuery = "tenant=" + slug }},
		{"claim", func(r *http.Request, slug string) { r.Header.Set("X-Token", "tenant-"+slug) }},
		{"key", func(r *http.Request, slug string) { r.Header.Set("X-API-Key", "key-of-tenant-"+slug) }},
	}
}

func agreeingServer(t *testing.T) *httptest.Server {
	t.Helper()
	store := tenant.NewMemoryStore()
	for _, slug := range []string{"acme", "beta"} {
		_, err := store.Create(t.Context(), tenant.Tenant{
			ID: tenant.ID("tenant-" + slug), Slug: slug, Name: slug, Status: tenant.StatusActive, Domains: []string{"app." + slug + ".org"},
		})
		require.NoError(t, err)
	}
	directory, err := tenant.NewDirectory(store)
	require.NoError(t, err)
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	g, err := tenant.NewGate(directory, tenant.Agree(
		tenant.First(tenant.Subdomain("example.com"), tenant.Domain("example.com")),
		tenant.Path("/t/"),
		tenant.Header("X-Tenant", loopback),
		tenant.Cookie("tenant"),
		tenant.QueryParam("tenant", tenant.WithKind(tenant.KindSlug)),
		tenant.Claim("tenant", claimsOfHeader),
		tenant.APIKey(tenantOfKey),
	))
	require.NoError(t, err)
	server := httptest.NewServer(g.Middleware(whoami))
	t.Cleanup(server.Close)
	return server
}

// TestTwoTenantsTogether sends, from many clients at once, every artefact of
// one tenant alone, with each of its own, and with each of the other's.
func TestTwoTenantsTogether(t *testing.T) {
	t.Parallel()
	server := agreeingServer(t)
	slugs := [2]string{"acme", "beta"}
	var clients sync.WaitGroup
	for client := range 8 {
		clients.Go(func() {
			mine, other := slugs[client%2], slugs[1-client%2]
			for _, a := range artefacts() {
				assertServedAs(t, server, mine, a)
				for _, b := range artefacts() {
					if a.name == b.name {
						continue
					}
					assertServedAs(t, server, mine, a, b)
					assertRefused(t, server, mine, other, a, b)
				}
			}
		})
	}
	clients.Wait()
}

func assertServedAs(t *testing.T, server *httptest.Server, slug string, with ...artefact) {
	t.Helper()
	names := ""
	code, text := send(t, server, func(r *http.Request) {
		for _, a := range with {
			a.put(r, slug)
			names += " " + a.name
		}
	})
	assert.Equal(t, "200 tenant-"+slug, fmt.Sprint(code, " ", text), "named by%s", names)
}

// assertRefused names slug by a and other by b. Host and domain are one header
// line, so b replaces a there, and the request is simply other's.
func assertRefused(t *testing.T, server *httptest.Server, slug, other string, a, b artefact) {
	t.Helper()
	code, text := send(t, server, func(r *http.Request) {
		a.put(r, slug)
		b.put(r, other)
	})
	if a.name+b.name == "hostdomain" || a.name+b.name == "domainhost" {
		assert.Equal(t, "200 tenant-"+other, fmt.Sprint(code, " ", text))
		return
	}
	assert.Equal(t, http.StatusNotFound, code, "%s of %s with %s of %s was served: %s", a.name, slug, b.name, other, text)
	assert.NotContains(t, text, "acme")
	assert.NotContains(t, text, "beta")
}

func send(t *testing.T, server *httptest.Server, put func(*http.Request)) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/orders", nil)
	if !assert.NoError(t, err) {
		return 0, ""
	}
	put(r)
	resp, err := server.Client().Do(r)
	if !assert.NoError(t, err) {
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	assert.NoError(t, err)
	return resp.StatusCode, string(text)
}
