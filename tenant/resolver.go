package tenant

import (
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

// ResolverFunc is a function used as a [Resolver].
type ResolverFunc func(r *http.Request) (Match, error)

// Resolve calls f.
func (f ResolverFunc) Resolve(r *http.Request) (Match, error) { return f(r) }
