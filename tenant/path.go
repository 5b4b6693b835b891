package tenant

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

type pathResolver struct {
	nameConfig
	prefix string // "/" or "/…/"
}

// Path finds the tenant named by the first segment below prefix, by slug unless
// told otherwise: acme in /t/acme/orders, for the prefix "/t/". The handler sees
// the rest, /orders; RequestURI keeps the whole. Other paths, and prefix
// itself, name no tenant.
//
// A path that another program could take for a different tenant's is malformed:
// one with dot segments or an empty segment after the name, or with escapes in
// the prefix or the name. Other escapes reach the handler as they are.
func Path(prefix string, opts ...NameOption) Resolver {
	c, err := newNameConfig(KindSlug, opts)
	if err == nil && !isPathPrefix(prefix) {
		err = fmt.Errorf(`tenant: Path: prefix %s: want "/", or letters, digits, "-", "_" and "/" with a "/" at both ends`, printable(prefix))
	}
	if err != nil {
		return broken{err}
	}
	return &pathResolver{nameConfig: c, prefix: prefix}
}

// isPathPrefix reports whether s is the same escaped and plain, with no empty
// or dot segment.
func isPathPrefix(s string) bool {
	if !strings.HasPrefix(s, "/") || !strings.HasSuffix(s, "/") || strings.Contains(s, "//") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '/') {
			return false
		}
	}
	return true
}

func (p *pathResolver) Resolve(r *http.Request) (Match, error) {
	if !strings.HasPrefix(r.URL.Path, p.prefix) {
		return Match{}, ErrNoTenant
	}
	escaped := r.URL.EscapedPath()
	below, ok := strings.CutPrefix(escaped, p.prefix)
	if !ok {
		return Match{}, invalid("Path", "%s: want no escapes in %s", printable(escaped), p.prefix)
	}
	if below == "" {
		return Match{}, ErrNoTenant
	}
	name, rest, _ := strings.Cut(below, "/")
	if strings.HasPrefix(rest, "/") || hasDotSegment(r.URL.Path) {
		return Match{}, invalid("Path", "%s: want no dot segments, and no empty one after the name", printable(escaped))
	}
	ref, err := p.kind.ref(name)
	if err != nil {
		return Match{}, fmt.Errorf("tenant: path %s: %w", printable(escaped), err)
	}
	return Match{Ref: ref, Prefix: escaped[:len(p.prefix)+len(name)]}, nil
}

// hasDotSegment takes the plain path, so that it finds escaped segments too.
func hasDotSegment(path string) bool {
	if !strings.Contains(path, "/.") {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// stripPrefix returns a copy of u without prefix, a leading part of the escaped
// path that ends before a slash or at the end.
func stripPrefix(u *url.URL, prefix string) (*url.URL, error) {
	rest, ok := strings.CutPrefix(u.EscapedPath(), prefix)
	if rest == "" {
		rest = "/"
	}
	plain, err := url.PathUnescape(rest)
	if !ok || rest[0] != '/' || err != nil {
		return nil, fmt.Errorf("tenant: Match.Prefix %s is not made of whole leading segments of the path", printable(prefix))
	}
	stripped := *u
	stripped.Path, stripped.RawPath = plain, ""
	if stripped.EscapedPath() != rest {
		stripped.RawPath = rest
	}
	return &stripped, nil
}
