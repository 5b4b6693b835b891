// Package cache keeps values in memory for each tenant, so that no tenant sees, or
// pushes out, what another has there.
//
//	reports, err := cache.New[string, Report](cache.PerTenant(500), cache.TTL(time.Minute))
//	report, err := reports.Load(ctx, "2026-11", func(ctx context.Context) (Report, error) {
//		return query(ctx, db, "2026-11") // for ctx's tenant
//	})
//
// The tenant is the context's. A context without one is refused with tenant.ErrNoTenant
// before anything is looked up or loaded; the platform's own is, too.
//
// # Budgets
//
// Each tenant has room for [PerTenant] values, and loses its own least recently used one
// when it needs more. [MaxEntries] bounds all tenants together: when that is reached, the
// tenant that holds the most loses its least recently used value. So a tenant that holds
// no more than its share, MaxEntries divided by the number of tenants with values, loses
// nothing to the others, whatever they do.
//
// # Loading
//
// [Cache.Load] loads a missing value once for all who ask at the same time. The load goes
// on when the one who asked first gives up, and is cancelled when all have. A loader that
// panics gives everybody an error wrapping [ErrPanic]. Errors are not kept, unless
// [ErrorTTL] says so. What was loading when its key was set, removed or purged is handed
// to those who waited, but not kept.
//
// Values are shared: treat them as read-only.
package cache
