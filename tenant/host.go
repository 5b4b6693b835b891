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
	name, ok := withoutPort(host)
	if name = strings.TrimSuffix(name, "."); ok && !isLowerHost(name) {
		name, ok = toASCII(name)
	}
	if !ok || !isHostname(name) {
		return "", invalid("Host", "%s: want a host name, with a port at most", printable(host))
	}
	return name, nil
}

// withoutPort returns host without its port, and whether it is well formed so
// far.
func withoutPort(host string) (string, bool) {
	if strings.IndexByte(host, ':') < 0 {
		return host, true
	}
	name, port, err := net.SplitHostPort(host)
	return name, err == nil && host[0] != '[' && isPort(port)
}

// toASCII maps name, and refuses one whose mapped form is not itself in that
// form: the mapping lets invalid UTF-8 through as U+FFFD.
func toASCII(name string) (string, bool) {
	if lower := strings.ToLower(name); isLowerHost(lower) && len(lower) == len(name) {
		return lower, true
	}
	mapped, err := idna.Lookup.ToASCII(name)
	if err != nil || mapped == name {
		return mapped, err == nil
	}
	again, err := idna.Lookup.ToASCII(mapped)
	return mapped, err == nil && again == mapped
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
// cost of one. A-labels, and others that IDNA keeps for itself by hyphens in the
// third and fourth place, go through the mapping, which checks them.
func isLowerHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.') {
			return false
		}
	}
	return !strings.Contains(s, "--")
}

func isHostname(s string) bool {
	if len(s) > 253 {
		return false
	}
	for more := true; more; {
		var label string
		label, s, more = strings.Cut(s, ".")
		if !isLabel(label) || !more && isNumber(label) {
			return false
		}
	}
	return true
}

// isNumber reports whether label, as the last one of a host, makes browsers and
// resolvers read the host as an IPv4 address, such as 127.1 or 0x7f.1.
func isNumber(label string) bool {
	digits, hex := strings.CutPrefix(label, "0x")
	for i := range len(digits) {
		if c := digits[i]; !(c >= '0' && c <= '9' || hex && c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}
