package tenant

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Gate lets requests in as their tenant: it finds the tenant that a request
// names, checks that the tenant may be used, and puts it into the context.
type Gate struct {
	finder   sharedFinder
	resolver Resolver
	config   gateConfig
}

// sharedFinder is a Finder that can hand out a record without copying it.
// Nobody changes the record.
type sharedFinder interface {
	findShared(ctx context.Context, ref Ref) (*Tenant, error)
}

type copyingFinder struct{ Finder }

func (f copyingFinder) findShared(ctx context.Context, ref Ref) (*Tenant, error) {
	t, err := f.Find(ctx, ref)
	if err != nil {
		return nil, err
	}
	return &t, nil
}

// GateOption changes how a [Gate] works.
type GateOption func(*gateConfig)

type gateConfig struct {
	platform http.Handler // nil refuses requests that name no tenant
	members  []func(*http.Request, Tenant) error
	reads    func(*http.Request) bool
	onError  func(http.ResponseWriter, *http.Request, error)
	err      error // of the options
}

func (c *gateConfig) need(given bool, option string) {
	if !given {
		c.err = errors.Join(c.err, fmt.Errorf("tenant: %s: nil argument", option))
	}
}

// WithPlatform serves requests that name no tenant, such as those to the
// platform's own host. Their context has no tenant. Without this option they
// are refused.
//
// They include those to hosts that nobody has: any name that points to the
// server's address. A handler that should show itself at its own hosts alone
// compares r.Host.
func WithPlatform(handler http.Handler) GateOption {
	return func(c *gateConfig) {
		c.need(handler != nil, "WithPlatform")
		c.platform = handler
	}
}

// WithMember checks that the caller belongs to the tenant. The function returns
// an error wrapping [ErrForeign] for one who does not, and any other error if it
// cannot tell. The request it is given has the tenant in its context, and no
// body. It is asked whatever the tenant's status is, so that strangers do not
// learn the status. Of several functions all are asked.
func WithMember(member func(r *http.Request, t Tenant) error) GateOption {
	return func(c *gateConfig) {
		c.need(member != nil, "WithMember")
		c.members = append(c.members, member)
	}
}

// WithReads says which requests a read-only tenant may make. The default is
// [IsRead]. The request it is given has no body.
func WithReads(reads func(r *http.Request) bool) GateOption {
	return func(c *gateConfig) {
		c.need(reads != nil, "WithReads")
		c.reads = reads
	}
}

// WithErrorHandler answers refused requests instead of [WriteError]. When the
// tenant's status is the reason, the request's context has the tenant, for a
// page in its name; else it has none.
func WithErrorHandler(handler func(w http.ResponseWriter, r *http.Request, err error)) GateOption {
	return func(c *gateConfig) {
		c.need(handler != nil, "WithErrorHandler")
		c.onError = handler
	}
}

// IsRead reports whether r's method is a safe one (RFC 9110, 9.2.1): GET, HEAD,
// OPTIONS or TRACE.
func IsRead(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	default:
		return false
	}
}

// NewGate returns a Gate that finds tenants by resolver and looks them up with
// finder, mostly a [Directory]. It refuses a resolver that was put together
// wrongly, at any depth of [First] and [Agree].
func NewGate(finder Finder, resolver Resolver, opts ...GateOption) (*Gate, error) {
	if finder == nil {
		return nil, errors.New("tenant: NewGate: nil Finder")
	}
	if err := usable(resolver); err != nil {
		return nil, err
	}
	g := &Gate{resolver: resolver, config: gateConfig{reads: IsRead, onError: WriteError}}
	for _, opt := range opts {
		opt(&g.config)
	}
	if g.config.err != nil {
		return nil, g.config.err
	}
	var ok bool
	if g.finder, ok = finder.(sharedFinder); !ok {
		g.finder = copyingFinder{finder}
	}
	return g, nil
}

// Middleware returns a handler that calls next for each request whose tenant
// may be used, with the tenant in the context and without the part of the path
// that named it. It refuses the others; see [WriteError].
func (g *Gate) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		match, err := resolve(g.resolver, r)
		if errors.Is(err, ErrNoTenant) && g.config.platform != nil {
			g.config.platform.ServeHTTP(w, bare(r))
			return
		}
		var t *Tenant
		if err == nil {
			t, err = g.find(r.Context(), match)
		}
		if err != nil {
			g.config.onError(w, bare(r), err)
			return
		}
		g.enter(w, r, next, t, match.Prefix)
	})
}

// bare returns r without the tenant or system state that its context may have.
func bare(r *http.Request) *http.Request {
	ctx := r.Context()
	if without := withoutScope(ctx); without != ctx {
		return r.WithContext(without)
	}
	return r
}

// find returns the tenant that all of match names.
func (g *Gate) find(ctx context.Context, match Match) (*Tenant, error) {
	t, err := g.lookup(ctx, match.Ref)
	if err != nil {
		return nil, err
	}
	for _, ref := range match.Also {
		id := ID(ref.name)
		if ref.kind != KindID {
			other, err := g.lookup(ctx, ref)
			if err != nil {
				return nil, err
			}
			id = other.ID
		}
		if id != t.ID {
			return nil, fmt.Errorf("%w: %v and %v", ErrDisagree, match.Ref, ref)
		}
	}
	return t, nil
}

// lookup returns the tenant with the name ref, and trusts no finder that
// returns one with another name.
func (g *Gate) lookup(ctx context.Context, ref Ref) (*Tenant, error) {
	if err := ref.Validate(); err != nil {
		return nil, err
	}
	t, err := g.finder.findShared(ctx, ref)
	if err != nil {
		return nil, err
	}
	if t.ID.Validate() != nil ||
		ref.kind == KindID && string(t.ID) != ref.name ||
		ref.kind == KindSlug && t.Slug != ref.name {
		return nil, fmt.Errorf("tenant: the Finder returned tenant %s for %v", printable(string(t.ID)), ref)
	}
	return t, nil
}

// enter calls next as t, if caller and status allow it.
func (g *Gate) enter(w http.ResponseWriter, r *http.Request, next http.Handler, t *Tenant, prefix string) {
	inside := r.WithContext(withScope(r.Context(), scope{tenant: t, prefix: prefix}))
	if prefix != "" {
		stripped, err := stripPrefix(r.URL, prefix)
		if err != nil {
			g.config.onError(w, bare(r), err)
			return
		}
		inside.URL = stripped
	}
	for _, member := range g.config.members {
		if err := member(withoutBody(inside), *t); err != nil {
			g.config.onError(w, bare(r), err)
			return
		}
	}
	if !g.allows(inside, t.Status) {
		g.config.onError(w, inside, &StatusError{ID: t.ID, Status: t.Status})
		return
	}
	next.ServeHTTP(w, inside)
}

func (g *Gate) allows(r *http.Request, status Status) bool {
	switch status {
	case StatusActive:
		return true
	case StatusReadOnly:
		return g.config.reads(withoutBody(r))
	default:
		return false
	}
}
