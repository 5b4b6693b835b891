package tenant

import (
	"context"
	"fmt"
)

type contextKey struct{}

// scope is what a context carries: exactly one of tenant and reason is set, or
// neither, which hides an outer scope.
type scope struct {
	tenant *Tenant
	reason string
	prefix string // of the path, if that named the tenant
}

var noScope = &scope{}

// scopeContext carries a scope and its parent in one allocation.
type scopeContext struct {
	context.Context
	scope scope
}

func (c *scopeContext) Value(key any) any {
	if key == (contextKey{}) {
		return &c.scope
	}
	return c.Context.Value(key)
}

// ErrSystem is what [FromContext] returns in a system context. It wraps
// [ErrNoTenant], since there is none.
var ErrSystem = fmt.Errorf("%w: system context", ErrNoTenant)

// NewContext returns a context whose tenant is t. If t has no valid ID, the
// context has no tenant, even where ctx had one.
func NewContext(ctx context.Context, t Tenant) context.Context {
	if t.ID.Validate() != nil {
		return withScope(ctx, scope{})
	}
	return withScope(ctx, scope{tenant: &t})
}

// System returns a context for work on behalf of the platform itself, such as
// maintenance over all tenants. It has no tenant. The reason says why, for
// whoever reads the logs; without one the context is neither a system nor a
// tenant context.
func System(ctx context.Context, reason string) context.Context {
	return withScope(ctx, scope{reason: reason})
}

func withScope(ctx context.Context, s scope) context.Context {
	return &scopeContext{Context: ctx, scope: s}
}

// withoutScope returns ctx without the tenant or reason it may carry.
func withoutScope(ctx context.Context) context.Context {
	if *fromContext(ctx) == (scope{}) {
		return ctx
	}
	return withScope(ctx, scope{})
}

// FromContext returns the tenant of ctx. Without one the error is [ErrNoTenant];
// in a system context it is [ErrSystem]. Domains and Settings are shared by all
// who read the same tenant: treat them as read-only, or use [Tenant.Clone].
func FromContext(ctx context.Context) (Tenant, error) {
	s := fromContext(ctx)
	switch {
	case s.tenant != nil:
		return *s.tenant, nil
	case s.reason != "":
		return Tenant{}, ErrSystem
	default:
		return Tenant{}, ErrNoTenant
	}
}

// IDFromContext returns the ID of ctx's tenant, with the errors of
// [FromContext].
func IDFromContext(ctx context.Context) (ID, error) {
	s := fromContext(ctx)
	switch {
	case s.tenant != nil:
		return s.tenant.ID, nil
	case s.reason != "":
		return "", ErrSystem
	default:
		return "", ErrNoTenant
	}
}

// SystemReason returns the reason of a system context, and whether ctx is one.
func SystemReason(ctx context.Context) (string, bool) {
	s := fromContext(ctx)
	return s.reason, s.reason != ""
}

// PathPrefix returns the leading part of the request's escaped path that named the
// tenant, such as /t/acme, and that a [Gate] stripped: what links to the tenant's
// own pages begin with. It is empty where something else named the tenant.
func PathPrefix(ctx context.Context) string { return fromContext(ctx).prefix }

func fromContext(ctx context.Context) *scope {
	if s, ok := ctx.Value(contextKey{}).(*scope); ok {
		return s
	}
	return noScope
}
