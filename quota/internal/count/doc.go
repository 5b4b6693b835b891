// Package count has what all counters have in common, whoever keeps them: how the units
// of a window come back as time passes, how a burst is spread, and the counter that
// stores keep.
//
// Times are nanoseconds since 1970. The package knows neither plans nor tenants.
package count
