package tenant

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/tenancy-go/tenancy/internal/clientaddr"
)

// peers are the addresses whose word about a request is taken.
type peers clientaddr.Proxies

func newPeers(prefixes []netip.Prefix) (peers, error) {
	if len(prefixes) == 0 {
		return nil, errors.New("tenant: no trusted peers given; want at least one netip.Prefix")
	}
	trusted, err := clientaddr.New(prefixes...)
	if err != nil {
		return nil, fmt.Errorf("tenant: %w", err)
	}
	return peers(trusted), nil
}

// sent reports whether r comes from one of p directly. An address that is not
// one, such as a Unix socket's, is nobody's.
func (p peers) sent(r *http.Request) bool {
	if len(p) == 0 {
		return false
	}
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && clientaddr.Proxies(p).Trusts(remote.Addr().Unmap().WithZone(""))
}

// requestHost returns the host that r was sent to, as NormalizeHost does:
// X-Forwarded-Host if a trusted peer sent it, else Host. Several values are
// malformed, since a client may have sent one of them. A request that has no host,
// or an IP address, names no tenant.
func (p peers) requestHost(r *http.Request) (string, error) {
	name := r.Host
	if forwarded := r.Header["X-Forwarded-Host"]; len(forwarded) > 0 && p.sent(r) {
		value := strings.TrimSpace(forwarded[0])
		if len(forwarded) > 1 || strings.Contains(value, ",") {
			return "", invalid("Host", "X-Forwarded-Host has several values; want one")
		}
		if value != "" {
			name = value
		}
	}
	if name == "" {
		return "", ErrNoTenant
	}
	host, err := NormalizeHost(name)
	if err != nil && isAddress(name) {
		return "", ErrNoTenant
	}
	return host, err
}

// isAddress reports whether host is an IP address in its usual notation, with
// or without a port.
func isAddress(host string) bool {
	if _, err := netip.ParseAddrPort(host); err == nil {
		return true
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			host = inner
		}
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}
