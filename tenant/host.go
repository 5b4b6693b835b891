package tenant

import (
	"net"
	"strings"

	"golang.org/x/net/idna"
)

// maxHostLen is well above what 253 ASCII bytes can stand for, and bounds the
// work that a hostile name makes.
const maxHostLen = 1024

// NormalizeHost returns the host name of host, which may carry a port, in the
// one form that tenants are looked up by: lower case, ASCII (A-labels of
// IDNA 2008, mapped by UTS #46), without port and trailing dot. An IP address in
// any notation, and anything that is not a host name, is refused with a
// [FieldError] that wraps [ErrInvalid].
func NormalizeHost(host string) (string, error) {
	if len(host) > maxHostLen {
		return "", invalid("Host", "want at most 253 bytes, got %d", len(host))
	}
	name := host
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		h, port, err := net.SplitHostPort(name)
		if err != nil || !isPort(port) {
			return "", invalid("Host", "%s: want a host name, with a port at most", printable(host))
		}
		name = h
	}
	name = strings.TrimSuffix(name, ".")
	if !isLowerHost(name) {
		var err error
		if name, err = idna.Lookup.ToASCII(name); err != nil {
			return "", invalid("Host", "%s: want a host name", printable(host))
		}
	}
	if !isHostname(name) {
		return "", invalid("Host", "%s: want a host name", printable(host))
	}
	return name, nil
}

func isPort(s string) bool {
	if s == "" || len(s) > 5 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// isLowerHost reports whether s needs no mapping: the common case, without the
// cost of one. A-labels go through the mapping, which checks them.
func isLowerHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.') {
			return false
		}
	}
	return !strings.Contains(s, "xn--")
}

func isHostname(s string) bool {
	if len(s) > 253 {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
		last = label
	}
	return !isNumber(last)
}

// isNumber reports whether label, as the last one of a host, makes browsers and
// resolvers read the host as an IPv4 address, such as 127.1 or 0x7f.1.
func isNumber(label string) bool {
	digits := "0123456789"
	if rest, ok := strings.CutPrefix(label, "0x"); ok {
		label, digits = rest, "0123456789abcdef"
	}
	return strings.Trim(label, digits) == ""
}
