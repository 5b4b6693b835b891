// Package route lets each tenant have its own strategy and its own servers, under
// one *sql.DB.
//
//	router, err := route.New([]route.Cell{
//		{Name: "eu-shared", Region: "eu", Strategy: rows},
//		{Name: "eu-own", Region: "eu", Strategy: databases},
//		{Name: "us-shared", Region: "us", Strategy: schemas},
//	}, route.ByPlan(map[string]string{"free": "eu-shared", "pro": "eu-own"}), route.Record(store))
//	pool, err := isolation.New(router)
//	go router.Follow(ctx, store) // until ctx ends; see its error
//
// # Cells and placements
//
// A [Cell] is a strategy over one cluster. A [Rule] chooses a tenant's cell: by plan,
// by region or by a function. With [Record], it chooses once, when the tenant is
// provisioned; from then on the recorded [Placement] decides, so that a change of plan
// moves nobody away from their data. Without Record the rule is asked for every
// statement: use that where it depends on nothing that changes.
//
// A tenant without a placement is refused with [ErrUnplaced], which wraps
// isolation.ErrNotProvisioned, before anything is sent. There is no default to fall
// back to.
//
// # Regions
//
// A tenant is let into a cell only if the cell's region is the one in the tenant's
// record, where it has one, and the one pinned in its placement. Anything else is a
// [RegionError], also for a placement that was written by hand. A pin is never
// replaced: [Store] lets it be lifted and set again, in two steps that say so.
//
// # Moves
//
// [Router.Update] makes a new placement take effect in this process before it
// returns: statements that begin from then on run at the new place, also those that
// were waiting for a connection. What had begun is let finish where it began; its
// connections are closed when they come back, and idle ones at once. Pool.Drain waits
// for that.
//
// Other processes hear of it by [Router.Follow], within milliseconds, and if that
// fails, within [MaxAge] (30 seconds unless set): a placement older than that is read
// again, and when the store fails, the tenant is refused rather than served at what
// may be the old place.
//
// # The platform itself
//
// A system context (tenant.System) means the cell that [InCell] names, or that of the
// option [SystemCell].
package route
