package web

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/tenancy-go/tenancy/tenant"
)

// Hosts knows the platform's own hosts.
type Hosts struct {
	Domain string // whose subdomains are workspaces, as tenant.NormalizeHost returns it
}

// isSite reports whether r was sent to the platform's own site: its domain, or an IP
// address, for browsers that do not find names under localhost.
func (h Hosts) isSite(r *http.Request) bool { return h.isDomain(r) || isIP(r.Host) }

func (h Hosts) isDomain(r *http.Request) bool {
	host, err := tenant.NormalizeHost(r.Host)
	return err == nil && host == h.Domain
}

func isIP(host string) bool {
	if _, err := netip.ParseAddrPort(host); err == nil {
		return true
	}
	_, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil
}

// AtSite lets resolver name tenants at the platform's own site alone, so that a path
// says nothing on a host that nobody has.
func (h Hosts) AtSite(resolver tenant.Resolver) tenant.Resolver {
	return tenant.ResolverFunc(func(r *http.Request) (tenant.Match, error) {
		if !h.isSite(r) {
			return tenant.Match{}, tenant.ErrNoTenant
		}
		return resolver.Resolve(r)
	})
}
