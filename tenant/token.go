package tenant

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Claim finds the tenant named by a claim of a verified token, by ID unless
// told otherwise. The function returns the claims of the request's token, once
// it has verified the token; the request it is given has no body. For a request
// without a token it returns [ErrNoTenant] or no claims; for a token that it
// does not accept, an error wrapping [ErrInvalid]. A missing claim names no
// tenant; one that is not a string is malformed.
func Claim(name string, claims func(r *http.Request) (map[string]any, error), opts ...NameOption) Resolver {
	c, err := newNameConfig(KindID, opts)
	if name == "" || claims == nil {
		err = errors.Join(err, errors.New("tenant: Claim: want the claim's name and a function that verifies tokens"))
	}
	if err != nil {
		return broken{err}
	}
	return ResolverFunc(func(r *http.Request) (Match, error) {
		all, err := claims(r)
		if err != nil {
			return Match{}, err
		}
		value, ok := all[name]
		if !ok {
			return Match{}, ErrNoTenant
		}
		text, ok := value.(string)
		if !ok {
			return Match{}, invalid("Claim", "%s: want a string, got %T", name, value)
		}
		ref, err := c.kind.ref(text)
		if err != nil {
			return Match{}, fmt.Errorf("tenant: claim %s: %w", name, err)
		}
		return Match{Ref: ref}, nil
	})
}

// KeyOption says where [APIKey] finds the key. Several may be given.
type KeyOption func(*keyConfig)

type keyConfig struct {
	bearer  bool
	headers []string
	err     error // of the options
}

// KeyBearer takes the key from Authorization: Bearer.
func KeyBearer() KeyOption { return func(c *keyConfig) { c.bearer = true } }

// KeyHeader takes the key from a header of its own, such as X-API-Key.
func KeyHeader(name string) KeyOption {
	return func(c *keyConfig) {
		if !isToken(name) {
			c.err = errors.Join(c.err, fmt.Errorf("tenant: KeyHeader: %s cannot be a header's name", printable(name)))
		}
		c.headers = append(c.headers, http.CanonicalHeaderKey(name))
	}
}

// APIKey finds the tenant that an API key belongs to. The function returns its
// ID, an error wrapping [ErrNotFound] for an unknown or revoked key, [ErrNoTenant]
// for a credential of another sort, and any other error if it cannot tell. The
// key is taken from Authorization: Bearer and from X-API-Key, or from where the
// options say; two different keys in a request are malformed.
func APIKey(find func(ctx context.Context, key string) (ID, error), opts ...KeyOption) Resolver {
	var c keyConfig
	for _, opt := range opts {
		opt(&c)
	}
	if find == nil {
		c.err = errors.Join(c.err, errors.New("tenant: APIKey: nil function"))
	}
	if c.err != nil {
		return broken{c.err}
	}
	if len(opts) == 0 {
		c.bearer, c.headers = true, []string{"X-Api-Key"}
	}
	return noBody(func(r *http.Request) (Match, error) {
		key, err := c.key(r.Header)
		if err != nil {
			return Match{}, err
		}
		id, err := find(r.Context(), key)
		if err != nil {
			return Match{}, err
		}
		if err := id.Validate(); err != nil {
			return Match{}, err
		}
		return Match{Ref: ByID(id)}, nil
	})
}

// key returns the one key in header.
func (c keyConfig) key(header http.Header) (string, error) {
	key, found := "", false
	take := func(value string) error {
		if value == "" || found && value != key {
			return invalid("Key", "want one API key, not empty")
		}
		key, found = value, true
		return nil
	}
	for _, name := range c.headers {
		for _, value := range header[name] {
			if err := take(value); err != nil {
				return "", err
			}
		}
	}
	if c.bearer {
		for _, value := range header["Authorization"] {
			scheme, token, _ := strings.Cut(value, " ")
			if !strings.EqualFold(scheme, "Bearer") {
				continue
			}
			if err := take(strings.TrimLeft(token, " ")); err != nil {
				return "", err
			}
		}
	}
	if !found {
		return "", ErrNoTenant
	}
	return key, nil
}
