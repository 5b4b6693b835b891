// Package stocktake measures what tenants keep, such as the size of their databases, from
// time to time, and sets the counts of a limit of kind stock to it.
//
//	collector, err := stocktake.New(enforcer, store, "db_size", strategy.Size)
//	go collector.Run(ctx)
//	defer collector.Close()
//
// store is the host's tenant.Store, and strategy an isolation.Sizer, as all strategies of
// this module are; any function that measures a tenant will do. The plans have a limit like
//
//	db_size: {kind: stock, max: 10GiB, payment: true}
//
// which refuses what is claimed of it while the size is at the limit: claim what a request
// is about to write. Until the next round the count goes on from the last measurement.
//
// # Rounds
//
// A round lists the tenants, page by page, and measures those whose plan has the limit, a
// few at a time. One that cannot be measured keeps its count, is reported
// ([WithResults]), and keeps no other from being measured. A round begins an hour
// after the one before has ended, more or less: processes that were started together
// drift apart.
//
// # Processes
//
// Where counts are in the memory of each process, each needs a collector; where
// processes share a quota.Store, one of them does, and more do no harm. Measuring a tenant
// makes its account, which stays: about 700 bytes.
//
// # What is off
//
// A size says what was there when it was measured. What a grant that ended meanwhile has
// added may not be in it, and counts again from the next round on.
package stocktake
