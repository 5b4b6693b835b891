package tenant

import (
	"errors"
	"fmt"
	"net/http"
)

// Kind says by which name a [Ref] names a tenant.
type Kind uint8

// The kinds of name.
const (
	KindID Kind = iota + 1
	KindSlug
	KindDomain
)

// String returns "ID", "slug" or "domain".
func (k Kind) String() string {
	switch k {
	case KindID:
		return "ID"
	case KindSlug:
		return "slug"
	case KindDomain:
		return "domain"
	default:
		return fmt.Sprintf("kind %d", uint8(k))
	}
}

// ref returns the Ref of a name that comes from outside, or an error that wraps
// ErrInvalid or ErrInvalidID.
func (k Kind) ref(name string) (Ref, error) {
	if k == KindDomain {
		host, err := NormalizeHost(name)
		if err != nil {
			return Ref{}, err
		}
		name = host
	}
	ref := Ref{k, name}
	if err := ref.Validate(); err != nil {
		return Ref{}, err
	}
	return ref, nil
}

// Ref names a tenant the way a request does: by ID, slug or domain. It is
// comparable. The zero Ref names none.
type Ref struct {
	kind Kind
	name string
}

// ByID returns the Ref of an ID.
func ByID(id ID) Ref { return Ref{KindID, string(id)} }

// BySlug returns the Ref of a slug.
func BySlug(slug string) Ref { return Ref{KindSlug, slug} }

// ByDomain returns the Ref of a domain, as [NormalizeHost] returns it.
func ByDomain(domain string) Ref { return Ref{KindDomain, domain} }

// Kind returns by which name r names a tenant; 0 for the zero Ref.
func (r Ref) Kind() Kind { return r.kind }

// Name returns the ID, slug or domain.
func (r Ref) Name() string { return r.name }

// String returns r for a log: the kind and the name, quoted and cut short.
func (r Ref) String() string { return fmt.Sprintf("%v %s", r.kind, printable(r.name)) }

// Validate returns nil if a tenant could have that name; else an error that
// wraps [ErrInvalid] or [ErrInvalidID]. Whoever looks a Ref up may take an
// invalid one as unknown without asking the store.
func (r Ref) Validate() error {
	switch r.kind {
	case KindID:
		return ID(r.name).Validate()
	case KindSlug:
		return ValidateSlug(r.name)
	case KindDomain:
		if host, err := NormalizeHost(r.name); err != nil || host != r.name {
			return invalid("Domain", "%s: want a host name as NormalizeHost returns it", printable(r.name))
		}
		return nil
	default:
		return ErrNoTenant
	}
}

// Match is what a [Resolver] found in a request.
type Match struct {
	Ref    Ref    // the tenant named
	Also   []Ref  // further names, which must be the same tenant's; see Agree
	Prefix string // leading part of the escaped path that named it, which the Gate strips for the handler
}

// Resolver finds the tenant that a request names. It must be safe for
// concurrent use and must not read the body.
type Resolver interface {
	// Resolve returns what r names. ErrNoTenant means that it names none;
	// an error wrapping ErrInvalid or ErrInvalidID, that the name is malformed.
	// Any other error means that the answer is unknown. It does not look the
	// tenant up.
	Resolve(r *http.Request) (Match, error)
}

// ResolverFunc is a function used as a [Resolver]. The request it is given has
// no body, so that the handler finds the body whole.
type ResolverFunc func(r *http.Request) (Match, error)

// Resolve calls f.
func (f ResolverFunc) Resolve(r *http.Request) (Match, error) { return f(withoutBody(r)) }

// withoutBody returns r, or a copy of it if it has a body.
func withoutBody(r *http.Request) *http.Request {
	if r.Body == nil || r.Body == http.NoBody {
		return r
	}
	r = r.WithContext(r.Context())
	r.Body, r.GetBody = http.NoBody, nil
	return r
}

// resolve asks resolver, and takes the zero Ref for no tenant.
func resolve(resolver Resolver, r *http.Request) (Match, error) {
	match, err := resolver.Resolve(r)
	if err == nil && match.Ref == (Ref{}) {
		err = ErrNoTenant
	}
	return match, err
}

// broken stands for a resolver that was put together wrongly. NewGate refuses
// it, so that resolvers can be nested without an error to check at each; used by
// hand it fails every request.
type broken struct{ err error }

func (b broken) Resolve(*http.Request) (Match, error) { return Match{}, b.err }

// usable returns why resolver can never work, or nil.
func usable(resolver Resolver) error {
	switch resolver := resolver.(type) {
	case nil:
		return errors.New("tenant: nil Resolver")
	case broken:
		return resolver.err
	case ResolverFunc:
		if resolver == nil {
			return errors.New("tenant: nil ResolverFunc")
		}
	}
	return nil
}
