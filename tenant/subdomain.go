package tenant

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"strings"
)

// HostOption changes how [Subdomain] and [Domain] read a host.
type HostOption func(*hostConfig)

type hostConfig struct {
	proxies  peers
	reserved map[string]bool
	platform []string // hosts as NormalizeHost returns them
	err      error    // of the options
}

func (c *hostConfig) fail(err error) { c.err = errors.Join(c.err, err) }

// TrustProxies takes the host from X-Forwarded-Host in requests that come from one
// of the prefixes directly. Such a proxy must set or remove the header, whatever its
// client sent: a request in which it has several values is malformed. Without this
// option only Host counts.
func TrustProxies(prefixes ...netip.Prefix) HostOption {
	return func(c *hostConfig) {
		trusted, err := newPeers(prefixes)
		if err != nil {
			c.fail(err)
		}
		c.proxies = append(c.proxies, trusted...)
	}
}

// Reserve keeps further labels under the platform's domain from [Subdomain],
// besides those of [IsReservedSlug].
func Reserve(labels ...string) HostOption {
	return func(c *hostConfig) {
		for _, label := range labels {
			if !isLabel(label) {
				c.fail(fmt.Errorf("tenant: reserved label %s is not a lower-case DNS label", printable(label)))
			}
			c.reserved[label] = true
		}
	}
}

// PlatformHosts tells [Domain] of further hosts of the platform: they, and all
// under them, are nobody's own domain.
func PlatformHosts(hosts ...string) HostOption {
	return func(c *hostConfig) {
		for _, name := range hosts {
			host, err := platformHost(name)
			if err != nil {
				c.fail(err)
				continue
			}
			c.platform = append(c.platform, host)
		}
	}
}

func newHostConfig(base string, opts []HostOption) (hostConfig, error) {
	c := hostConfig{reserved: maps.Clone(reservedSlugs)}
	PlatformHosts(base)(&c)
	for _, opt := range opts {
		opt(&c)
	}
	return c, c.err
}

func platformHost(name string) (string, error) {
	host, err := NormalizeHost(name)
	if err == nil && strings.Contains(name, ":") {
		err = errors.New("want no port")
	}
	if err != nil {
		return "", fmt.Errorf("tenant: the platform's host %s: %w", printable(name), err)
	}
	return host, nil
}

type subdomain struct {
	hostConfig
	suffix string // "." and the platform's domain
}

// Subdomain finds the tenant whose slug is the label directly under base, the
// platform's own domain: acme in acme.example.com. Base itself, deeper names,
// reserved labels, IP addresses and other hosts name no tenant.
func Subdomain(base string, opts ...HostOption) Resolver {
	c, err := newHostConfig(base, opts)
	if err != nil {
		return broken{err}
	}
	return &subdomain{hostConfig: c, suffix: "." + c.platform[0]}
}

func (s *subdomain) Resolve(r *http.Request) (Match, error) {
	host, err := s.proxies.requestHost(r)
	if err != nil {
		return Match{}, err
	}
	label, ok := strings.CutSuffix(host, s.suffix)
	if !ok || strings.Contains(label, ".") || s.reserved[label] {
		return Match{}, ErrNoTenant
	}
	ref, err := KindSlug.ref(label)
	return Match{Ref: ref}, err
}

type domain struct{ hostConfig }

// Domain finds the tenant whose own domain the request was sent to. Base, the
// platform's own domain, and all under it name no tenant; nor do localhost and
// names under it, names without a dot, and IP addresses.
func Domain(base string, opts ...HostOption) Resolver {
	c, err := newHostConfig(base, append(opts[:len(opts):len(opts)], PlatformHosts("localhost")))
	if err != nil {
		return broken{err}
	}
	return &domain{c}
}

func (d *domain) Resolve(r *http.Request) (Match, error) {
	host, err := d.proxies.requestHost(r)
	if err != nil {
		return Match{}, err
	}
	if !strings.Contains(host, ".") {
		return Match{}, ErrNoTenant
	}
	for _, platform := range d.platform {
		if rest, ok := strings.CutSuffix(host, platform); ok && (rest == "" || strings.HasSuffix(rest, ".")) {
			return Match{}, ErrNoTenant
		}
	}
	return Match{Ref: ByDomain(host)}, nil
}
