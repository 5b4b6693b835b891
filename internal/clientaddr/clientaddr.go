package clientaddr

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the addresses of proxies whose word is taken. None trusts nobody.
type Proxies []netip.Prefix

// ErrUnknown means that a request comes from no address, such as over a Unix socket.
var ErrUnknown = errors.New("the client's address is not known")

// New returns the proxies with addresses in prefixes.
func New(prefixes ...netip.Prefix) (Proxies, error) {
	var p Proxies
	for _, prefix := range prefixes {
		if !prefix.IsValid() {
			return nil, fmt.Errorf("trusted proxy %v is not a valid netip.Prefix", prefix)
		}
		if addr := prefix.Addr(); addr.Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)
		}
		p = append(p, prefix.Masked())
	}
	return p, nil
}

// Trusts reports whether addr is a proxy's.
func (p Proxies) Trusts(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// Of returns the address that r comes from: of the chain that X-Forwarded-For and the
// connection make, the last that is no proxy's. What stands before it in the chain,
// the client may have made up.
func (p Proxies) Of(r *http.Request) (netip.Addr, error) {
	addr, err := Parse(r.RemoteAddr)
	if err != nil || len(p) == 0 {
		return addr, err
	}
	lines := r.Header["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		for line, more := lines[i], true; more; {
			var last string
			if comma := strings.LastIndexByte(line, ','); comma >= 0 {
				line, last = line[:comma], line[comma+1:]
			} else {
				last, more = line, false
			}
			if !p.Trusts(addr) {
				return addr, nil
			}
			before, err := Parse(strings.TrimSpace(last))
			if err != nil {
				return addr, nil // a proxy that says what is no address: it must do itself
			}
			addr = before
		}
	}
	return addr, nil
}

// Parse reads an address, with or without a port.
func Parse(s string) (netip.Addr, error) {
	if withPort, err := netip.ParseAddrPort(s); err == nil {
		return withPort.Addr().Unmap().WithZone(""), nil
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		return netip.Addr{}, ErrUnknown
	}
	return addr.Unmap().WithZone(""), nil
}

// Network returns what of addr belongs to one customer of a network: an IPv4 address
// itself, and the first 64 bits of an IPv6 address, since whoever has one has them
// all (RFC 6177).
func Network(addr netip.Addr) netip.Prefix {
	if addr.Is4() {
		return netip.PrefixFrom(addr, 32)
	}
	network, _ := addr.Prefix(64)
	return network
}
