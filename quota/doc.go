// Package quota decides how much tenants may use: requests per minute, hour, day and
// month, connections at once, storage and seats, models and features, by plans that
// are data.
//
//	catalog, err := quota.ParseCatalog(plansJSON)
//	enforcer, err := quota.New(quota.NewMemorySource(catalog))
//	gate, err := quota.NewGate(enforcer)                      // counts the limit "requests"
//	handler := tenants.Middleware(gate.Middleware(api))       // tenants is a tenant.Gate
//
// In a handler, and wherever a context has a tenant:
//
//	tokens := enforcer.Ref("tokens")                          // once, at the start
//	account, err := enforcer.Account(ctx)
//	grant, decision := account.Claim(ctx, quota.Claim{Limit: tokens, N: 2000})
//	if err := decision.Err(); err != nil { … }                // which limit, and when to come back
//	defer grant.Done()
//	…
//	grant.Settle(ctx, tokens, used)                           // what it really took
//
// # Plans
//
// A [Catalog] has all plans of a platform at one version. A tenant's plan is made of
// the platform's defaults, its plan, what its parent gives its children, and its own
// overrides, each with a reason and, if need be, an end; [Resolved] says where each
// value comes from. A limit, feature or resource that the plan does not have is
// refused: what is unlimited says so. Changes have effect within twice [WithRefresh] in
// all processes, and what was used stays used.
//
// # Windows
//
// All windows of a limit are decided in one atomic step, on one counter. [Rolling] is
// the sliding window counter: what was used in this minute, and the part of the
// minute before that still overlaps. It can let in more than the limit within a minute
// that lies across two, by at most the limit, when use is uneven. [Strict] never does,
// wherever one lays the window, and gives units back up to an eighth of it later.
// [Calendar] is what invoices say: the day or month of the tenant's time zone.
//
// While decisions come by the thousand, rolling and calendar windows read a time that
// is written down every millisecond, and may see an edge that much late. Strict
// windows read the exact time.
//
// # State
//
// What was used is in the memory of this process, and is never thrown away while it
// counts. An account stays while the process runs: about 700 bytes with three limits.
// Counters of keys that decide as new ones would make room for others; see
// [KeyedLimiter].
//
// Replicas that are to count together share a [Store] (see [WithStore]), in package
// redisquota or sqlquota. Then each decision is one call to it, unless the limit has a
// [Limit.Lease], by which a process takes units ahead and lets in without asking. What
// happens while the store is down is a matter of the limit: see [Outage].
package quota
