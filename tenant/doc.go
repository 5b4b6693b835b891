// Package tenant carries the tenant of a request in its context and finds it
// from the request's host, path, header, cookie, query, token or API key.
//
//	directory, err := tenant.NewDirectory(store)
//	gate, err := tenant.NewGate(directory, tenant.Subdomain("example.com"))
//	handler := gate.Middleware(app) // app reads tenant.FromContext(r.Context())
//
// # Three states
//
// A context has a tenant ([NewContext]), or is the platform's own and says why
// ([System]), or has neither. The three never blur: [FromContext] fails with
// [ErrNoTenant] in the last two, and what needs a tenant refuses before it has
// any effect.
//
// # Names
//
// An [ID] is opaque and is never given out twice. A slug is the tenant's label
// under the platform's domain, and may change. A domain is the tenant's own. A
// request names a tenant by one of the three: a [Ref].
//
// # Failure
//
// Everything fails closed. An unknown, foreign or malformed tenant, and two
// resolvers that disagree, all look the same from outside: 404 as RFC 9457
// problem details. A request that names no tenant, such as one to the platform's
// own host, is 400, or goes to the handler of [WithPlatform]. By status, a tenant
// being made is 503, a suspended one 403, a deleted one 410. A store that cannot
// answer is 503.
package tenant
