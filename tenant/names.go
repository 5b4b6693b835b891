package tenant

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// NameOption changes how a resolver reads a name.
type NameOption func(*nameConfig)

type nameConfig struct {
	kind Kind
	err  error // of the options
}

// WithKind says what the name is: [KindID], [KindSlug] or [KindDomain].
func WithKind(kind Kind) NameOption {
	return func(c *nameConfig) {
		if kind < KindID || kind > KindDomain {
			c.err = fmt.Errorf("tenant: WithKind: unknown %v", kind)
		}
		c.kind = kind
	}
}

func newNameConfig(kind Kind, opts []NameOption) (nameConfig, error) {
	c := nameConfig{kind: kind}
	for _, opt := range opts {
		opt(&c)
	}
	return c, c.err
}

// match returns what values, all that the request has under one name, stand for.
func (c nameConfig) match(field, name string, values []string) (Match, error) {
	switch len(values) {
	case 0:
		return Match{}, ErrNoTenant
	case 1:
		ref, err := c.kind.ref(values[0])
		if err != nil {
			return Match{}, fmt.Errorf("tenant: %s %s: %w", field, name, err)
		}
		return Match{Ref: ref}, nil
	default:
		return Match{}, invalid(field, "%s is given %d times; want it once", name, len(values))
	}
}

// Header finds the tenant named by a header, by ID unless told otherwise, in
// requests that come from one of the trusted peers directly: a gateway that
// sets or removes the header, whatever its client sent. From others the header
// names no tenant. Given more than once it is malformed.
func Header(name string, trusted []netip.Prefix, opts ...NameOption) Resolver {
	c, err := newNameConfig(KindID, opts)
	from, peersErr := newPeers(trusted)
	if !isToken(name) || http.CanonicalHeaderKey(name) == "Host" {
		err = errors.Join(err, fmt.Errorf("tenant: Header: %s cannot name a tenant", printable(name)))
	}
	if err = errors.Join(err, peersErr); err != nil {
		return broken{err}
	}
	key := http.CanonicalHeaderKey(name)
	return noBody(func(r *http.Request) (Match, error) {
		values := r.Header[key]
		if len(values) == 0 || !from.sent(r) {
			return Match{}, ErrNoTenant
		}
		return c.match("Header", key, values)
	})
}

// Cookie finds the tenant named by a cookie, by ID unless told otherwise. Sent
// more than once, as a sibling domain can bring about, it is malformed. Whoever
// sends the request chooses the cookie: join it to other evidence by [Agree], or
// check the caller by [WithMember].
func Cookie(name string, opts ...NameOption) Resolver {
	c, err := newNameConfig(KindID, opts)
	if !isToken(name) {
		err = errors.Join(err, fmt.Errorf("tenant: Cookie: %s cannot be a cookie's name", printable(name)))
	}
	if err != nil {
		return broken{err}
	}
	return noBody(func(r *http.Request) (Match, error) {
		return c.match("Cookie", name, cookies(r.Header["Cookie"], name))
	})
}

// cookies returns every value called name, well formed or not: http.Request's
// own methods drop what is malformed, which would let a wrong name pass for none.
func cookies(lines []string, name string) []string {
	var values []string
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			key, value, _ := strings.Cut(pair, "=")
			if strings.TrimSpace(key) != name {
				continue
			}
			value = strings.TrimSpace(value)
			if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' {
				value = value[1 : n-1]
			}
			values = append(values, value)
		}
	}
	return values
}

// QueryParam finds the tenant named by a parameter of the URL's query, never of a
// form, by ID unless told otherwise. Given more than once it is malformed. What
// is said of [Cookie] holds here too.
func QueryParam(name string, opts ...NameOption) Resolver {
	c, err := newNameConfig(KindID, opts)
	if name == "" {
		err = errors.Join(err, errors.New("tenant: QueryParam: empty name"))
	}
	if err != nil {
		return broken{err}
	}
	return noBody(func(r *http.Request) (Match, error) {
		return c.match("Query", name, parameters(r.URL.RawQuery, name))
	})
}

// parameters returns every value called name. A value that cannot be unescaped
// is returned as it stands, for the caller to refuse.
func parameters(query, name string) []string {
	var values []string
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(key)
		if err != nil || key != name {
			continue
		}
		if plain, err := url.QueryUnescape(value); err == nil {
			value = plain
		}
		values = append(values, value)
	}
	return values
}

// isToken reports whether s may name a header or cookie: a token (RFC 9110, 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// noBody is a resolver of this package that leaves the body alone.
type noBody func(r *http.Request) (Match, error)

func (f noBody) Resolve(r *http.Request) (Match, error) { return f(r) }
