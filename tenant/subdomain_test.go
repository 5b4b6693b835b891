package tenant_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
)

func TestSubdomainAndDomain(t *testing.T) {
	t.Parallel()
	subdomain := tenant.Subdomain("Example.com", tenant.Reserve("careers"))
	domain := tenant.Domain("example.com", tenant.PlatformHosts("example.net", "münchen.example"))
	none, malformed := tenant.ErrNoTenant, tenant.ErrInvalid
	tests := []struct {
		host      string
		subdomain any
		domain    any
	}{
		{"acme.example.com", tenant.BySlug("acme"), none},
		{"ACME.eXample.COM", tenant.BySlug("acme"), none},
		{"acme.example.com:8443", tenant.BySlug("acme"), none},
		{"acme.example.com.", tenant.BySlug("acme"), none},
		{"acme.example.com.:80", tenant.BySlug("acme"), none},
		{"ａｃｍｅ.ｅxample.com", tenant.BySlug("acme"), none},
		{"acme。example。com", tenant.BySlug("acme"), none},
		{"7.example.com", tenant.BySlug("7"), none},

		{"example.com", none, none},
		{"example.com.", none, none},
		{"www.example.com", none, none},
		{"API.example.com", none, none},
		{"careers.example.com", none, none},
		{"a.acme.example.com", none, none},
		{"www.acme.example.com", none, none},
		{"", none, none},
		{"localhost", none, none},
		{"localhost:8080", none, none},
		{"acme.localhost", none, none},
		{"intranet", none, none},
		{"com", none, none},
		{"127.0.0.1", none, none},
		{"127.0.0.1:8080", none, none},
		{"::1", none, none},
		{"[::1]", none, none},
		{"[::1]:8080", none, none},
		{"example.net", none, none},
		{"acme.example.net", none, none},
		{"a.xn--mnchen-3ya.example", none, none},

		{"acme.com", none, tenant.ByDomain("acme.com")},
		{"App.Acme.com:443", none, tenant.ByDomain("app.acme.com")},
		{"München.de", none, tenant.ByDomain("xn--mnchen-3ya.de")},
		{"acme.example.com.evil.com", none, tenant.ByDomain("acme.example.com.evil.com")},
		{"evil-example.com", none, tenant.ByDomain("evil-example.com")},
		{"acme.evilexample.com", none, tenant.ByDomain("acme.evilexample.com")},
		{"acme.example.co", none, tenant.ByDomain("acme.example.co")},
		{"notlocalhost.com", none, tenant.ByDomain("notlocalhost.com")},
		{"www.example.com.acme.com", none, tenant.ByDomain("www.example.com.acme.com")},

		{"xn--mnchen-3ya.example.com", malformed, none}, // no slug can be an A-label
		{"аcme.example.com", malformed, none},           // Cyrillic а
		{"xn--acme.example.com", malformed, malformed},
		{"xn--.example.com", malformed, malformed},
		{"acme_.example.com", malformed, malformed},
		{"-acme.example.com", malformed, malformed},
		{"acme..example.com", malformed, malformed},
		{"..example.com", malformed, malformed},
		{".example.com", malformed, malformed},
		{"..", malformed, malformed},
		{"acme.example.com..", malformed, malformed},
		{"acme%2eexample.com", malformed, malformed},
		{"acme.example.com%00.evil.com", malformed, malformed},
		{"acme.example.com\x00.evil.com", malformed, malformed},
		{"acme.example.com:80:80", malformed, malformed},
		{"acme.example.com:port", malformed, malformed},
		{"acme.example.com@evil.com", malformed, malformed},
		{"acme.example.com/evil.com", malformed, malformed},
		{"acme.example.com, evil.com", malformed, malformed},
		{" acme.example.com", malformed, malformed},
		{"*.example.com", malformed, malformed},
		{"0x7f.1", malformed, malformed},
		{"[::1", malformed, malformed},
		{strings.Repeat("a", 64) + ".example.com", malformed, malformed},
		{strings.Repeat("a.", 200) + "example.com", malformed, malformed},
		{strings.Repeat("a", 1<<20) + ".example.com", malformed, malformed},
	}
	for _, tt := range tests {
		r := newRequest(t, http.MethodGet, "/", host(tt.host))
		assertMatch(t, subdomain, r, tt.subdomain, "Subdomain of %.80q", tt.host)
		assertMatch(t, domain, r, tt.domain, "Domain of %.80q", tt.host)
	}
}

func TestForwardedHost(t *testing.T) {
	t.Parallel()
	resolver := tenant.Subdomain("example.com", tenant.TrustProxies(trusted()...))
	naive := tenant.Subdomain("example.com")
	tests := []struct {
		name      string
		peer      string
		forwarded []string
		want      any // with Host beta.example.com
	}{
		{"trusted", trustedPeer, []string{"acme.example.com"}, tenant.BySlug("acme")},
		{"trusted, with space and port", trustedPeer, []string{" ACME.example.com:443 "}, tenant.BySlug("acme")},
		{"trusted, platform's host", trustedPeer, []string{"www.example.com"}, tenant.ErrNoTenant},
		{"trusted, malformed", trustedPeer, []string{"acme_x.example.com"}, tenant.ErrInvalid},
		{"trusted, none", trustedPeer, nil, tenant.BySlug("beta")},
		{"trusted, empty", trustedPeer, []string{""}, tenant.BySlug("beta")},
		{"trusted, a list", trustedPeer, []string{"acme.example.com, evil.com"}, tenant.ErrInvalid},
		{"trusted, two headers", trustedPeer, []string{"acme.example.com", "acme.example.com"}, tenant.ErrInvalid},
		{"untrusted", "203.0.113.9:1", []string{"acme.example.com"}, tenant.BySlug("beta")},
		{"untrusted, malformed", "203.0.113.9:1", []string{"acme_x.example.com"}, tenant.BySlug("beta")},
		{"no address", "", []string{"acme.example.com"}, tenant.BySlug("beta")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRequest(t, http.MethodGet, "/", host("beta.example.com"), from(tt.peer),
				header("X-Forwarded-Host", tt.forwarded...), header("X-Forwarded-For", "10.1.2.3"),
				header("Forwarded", "host=acme.example.com"), header("X-Original-Host", "acme.example.com"))
			assertMatch(t, resolver, r, tt.want)
			assertMatch(t, naive, r, tenant.BySlug("beta"), "without TrustProxies only Host counts")
		})
	}
}

func FuzzSubdomain(f *testing.F) {
	for _, name := range []string{
		"acme.example.com", "ACME.example.com.:80", "acme.example.com.evil.com", "evil-example.com", "www.example.com",
		"a.b.example.com", "xn--a.example.com", "ａ.example.com", "..", "[::1]:80", "acme\x00.example.com",
	} {
		f.Add(name, name)
	}
	subdomain := tenant.Subdomain("example.com", tenant.TrustProxies(trusted()...))
	domain := tenant.Domain("example.com", tenant.TrustProxies(trusted()...))
	f.Fuzz(func(t *testing.T, name, forwarded string) {
		r := newRequest(t, http.MethodGet, "/", host(name), header("X-Forwarded-Host", forwarded))
		match, err := subdomain.Resolve(r)
		_, domainErr := domain.Resolve(r)
		if err == nil {
			normal, normalErr := tenant.NormalizeHost(name)
			require.NoError(t, normalErr)
			assert.Equal(t, match.Ref.Name()+".example.com", normal, "an untrusted peer chose the tenant")
			require.NoError(t, tenant.ValidateSlug(match.Ref.Name()))
			require.ErrorIs(t, domainErr, tenant.ErrNoTenant, "two resolvers claim one host")
			return
		}
		assert.True(t, errors.Is(err, tenant.ErrNoTenant) || errors.Is(err, tenant.ErrInvalid), err)
	})
}
