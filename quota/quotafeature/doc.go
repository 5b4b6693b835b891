// Package quotafeature answers OpenFeature with the features of tenants' plans.
//
//	provider := quotafeature.NewProvider(enforcer)            // a *quota.Enforcer
//	err := openfeature.SetNamedProviderAndWait("plans", provider)
//	client := openfeature.NewClient("plans")
//
// In a handler, with the request's context, whose tenant a tenant.Gate has set:
//
//	sso := client.Boolean(ctx, "sso", false, openfeature.EvaluationContext{})
//
// It is for code that speaks OpenFeature already: [quota.Account.Enabled] says the same
// hundreds of times as fast.
//
// # Tenant
//
// The tenant is the context's, and nothing else's: neither the targeting key nor an
// attribute selects one. Without a tenant, or a plan that is known, the answer is the
// caller's default, so let that be what a tenant without the feature gets.
//
// The targeting key is someone of the tenant, such as a user. With one, a feature that
// is rolled out to a percentage is rolled out to people, as [quota.Account.ValueFor]
// does; without, to tenants.
//
// # Details
//
// The reason is SPLIT for features that are rolled out to a percentage, with the variant
// "value" or "otherwise", and else TARGETING_MATCH. It is never STATIC: hooks may keep
// what is static by the name of the flag alone, and hand it to the next tenant.
//
// The metadata of a flag are plan, the name; version, the catalog's, as a text; layer,
// a [quota.Layer]; and origin, the name of the plan or override that has the value.
//
// Errors are:
//
//   - INVALID_CONTEXT without a tenant, as in a system context, and for a targeting key
//     that is no text;
//   - FLAG_NOT_FOUND for what the tenant's plan does not have;
//   - TYPE_MISMATCH for a value of another type; a whole number up to 2^53 may be asked
//     for as a float, and an object must be asked for with a default of the value's type
//     (bool, int64, float64 or string) or nil;
//   - GENERAL where the tenant's plan cannot be told.
package quotafeature
