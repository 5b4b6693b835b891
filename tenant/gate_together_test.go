package tenant_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

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
	var clients errgroup.Group
	for n := range 8 {
		c := client{t.Context(), server, slugs[n%2], slugs[1-n%2]}
		clients.Go(c.tryAll)
	}
	require.NoError(t, clients.Wait())
}

// client is a client of the tenant mine who has come by what is other's.
type client struct {
	ctx         context.Context
	server      *httptest.Server
	mine, other string
}

func (c client) tryAll() error {
	for _, a := range artefacts() {
		if err := c.served(a); err != nil {
			return err
		}
		for _, b := range artefacts() {
			if a.name == b.name {
				continue
			}
			if err := errors.Join(c.served(a, b), c.mixed(a, b)); err != nil {
				return err
			}
		}
	}
	return nil
}

// served checks that a request with artefacts of mine alone is served as mine.
func (c client) served(with ...artefact) error {
	names := ""
	got, err := c.send(func(r *http.Request) {
		for _, a := range with {
			a.put(r, c.mine)
			names += " " + a.name
		}
	})
	if want := "200 tenant-" + c.mine; err == nil && got != want {
		err = fmt.Errorf("named by%s: got %q, want %q", names, got, want)
	}
	return err
}

// mixed checks that a request that names mine by a and other by b is refused
// without a word on either. Host and domain are one header line, so there b
// takes the place of a, and the request is simply other's.
func (c client) mixed(a, b artefact) error {
	got, err := c.send(func(r *http.Request) {
		a.put(r, c.mine)
		b.put(r, c.other)
	})
	refused := strings.HasPrefix(got, "404 ") && !strings.Contains(got, c.mine) && !strings.Contains(got, c.other)
	if a.name+b.name == "hostdomain" || a.name+b.name == "domainhost" {
		refused = got == "200 tenant-"+c.other
	}
	if err == nil && !refused {
		err = fmt.Errorf("%s of %s with %s of %s: got %q", a.name, c.mine, b.name, c.other, got)
	}
	return err
}

// send returns the status and the body of the answer.
func (c client) send(put func(*http.Request)) (string, error) {
	r, err := http.NewRequestWithContext(c.ctx, http.MethodGet, c.server.URL+"/orders", nil)
	if err != nil {
		return "", err
	}
	put(r)
	resp, err := c.server.Client().Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", string(text)), err
}
