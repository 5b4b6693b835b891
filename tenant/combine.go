package tenant

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
)

type first []Resolver

// First asks the resolvers in turn and takes the first that names a tenant. Any
// error but [ErrNoTenant] ends the search: a malformed name never falls through
// to the next resolver. Without a resolver, or with a nil one, [NewGate] refuses
// it.
func First(resolvers ...Resolver) Resolver {
	if err := usableAll("First", resolvers); err != nil {
		return broken{err}
	}
	return first(slices.Clone(resolvers))
}

func (f first) Resolve(r *http.Request) (Match, error) {
	for _, resolver := range f {
		match, err := resolve(resolver, r)
		if !errors.Is(err, ErrNoTenant) {
			return match, err
		}
	}
	return Match{}, ErrNoTenant
}

type agree []Resolver

// Agree asks all resolvers. At least one must name a tenant, and all that do
// must name the same, else the request fails with [ErrDisagree]. Two IDs or two
// slugs are compared at once; other pairs by the [Gate], which looks each up.
// Any error of a resolver but [ErrNoTenant] ends the search. Without a
// resolver, or with a nil one, [NewGate] refuses it.
func Agree(resolvers ...Resolver) Resolver {
	if err := usableAll("Agree", resolvers); err != nil {
		return broken{err}
	}
	return agree(slices.Clone(resolvers))
}

func (a agree) Resolve(r *http.Request) (Match, error) {
	var all Match
	for _, resolver := range a {
		match, err := resolve(resolver, r)
		if errors.Is(err, ErrNoTenant) {
			continue
		}
		if err == nil {
			err = all.join(match)
		}
		if err != nil {
			return Match{}, err
		}
	}
	if all.Ref == (Ref{}) {
		return Match{}, ErrNoTenant
	}
	return all, nil
}

// join adds what other names to m. Also is m's own: only join appends to it.
func (m *Match) join(other Match) error {
	if err := m.add(other.Ref); err != nil {
		return err
	}
	for _, ref := range other.Also {
		if err := m.add(ref); err != nil {
			return err
		}
	}
	switch {
	case m.Prefix == "":
		m.Prefix = other.Prefix
	case other.Prefix != "" && other.Prefix != m.Prefix:
		return fmt.Errorf("%w: on the part of the path that names the tenant", ErrDisagree)
	}
	return nil
}

func (m *Match) add(ref Ref) error {
	if m.Ref == (Ref{}) {
		m.Ref = ref
		return nil
	}
	if m.Ref.differs(ref) || slices.ContainsFunc(m.Also, ref.differs) {
		return fmt.Errorf("%w: on the %v", ErrDisagree, ref.kind)
	}
	if ref != m.Ref && !slices.Contains(m.Also, ref) {
		m.Also = append(m.Also, ref)
	}
	return nil
}

// differs reports whether r and other cannot be the same tenant's. A tenant has
// one ID and one slug, but may have several domains.
func (r Ref) differs(other Ref) bool {
	return r.kind == other.kind && r.kind != KindDomain && r.name != other.name
}

type onHosts struct {
	hostConfig
	resolver Resolver
}

// OnHosts asks resolver only in requests that were sent to host, or to one of
// those given by [PlatformHosts]. With a [Path] it keeps /t/acme/ from naming a
// tenant under host names that are another's, or nobody's.
func OnHosts(resolver Resolver, host string, opts ...HostOption) Resolver {
	c, err := newHostConfig(host, opts)
	if err = errors.Join(err, usable(resolver)); err != nil {
		return broken{err}
	}
	return &onHosts{c, resolver}
}

func (o *onHosts) Resolve(r *http.Request) (Match, error) {
	host, err := o.proxies.requestHost(r)
	if err != nil {
		return Match{}, err
	}
	if !slices.Contains(o.platform, host) {
		return Match{}, ErrNoTenant
	}
	return resolve(o.resolver, r)
}

func usableAll(name string, resolvers []Resolver) error {
	if len(resolvers) == 0 {
		return fmt.Errorf("tenant: %s: want at least one Resolver", name)
	}
	var errs []error
	for _, resolver := range resolvers {
		if err := usable(resolver); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
