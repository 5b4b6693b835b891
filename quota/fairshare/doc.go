// Package fairshare lets tenants share what a process has little of, such as slots to
// compute in or memory, by weight: however much one of them asks for, the others get their
// part.
//
//	slots, err := fairshare.New(16, fairshare.Equal(fairshare.Share{}))
//	hold, err := slots.Acquire(ctx, 1) // waits for the turn of ctx's tenant
//	defer hold.Release()
//
// [Scheduler.Middleware] does the same around a handler. Memory is a capacity in bytes,
// of which a request takes what it is going to need.
//
// The tenant is the context's. A context without one is refused with tenant.ErrNoTenant
// before anything else happens; the platform's own is too, unless [WithPlatform] is given.
//
// # What is shared
//
// Units by the time for which they are held. A tenant whose requests take ten times as
// long gets a tenth as many of them, and tenants that want more than they have get units
// by their weights. A free unit goes to whoever waits, whatever that tenant had before, and
// what nobody else wanted costs nothing later. Who comes back after a while has saved up
// nothing beyond the cost of its own request, and still stands behind if it had more than
// its part while others waited. Once nobody has or wants shared units, all are equal again.
//
// The order is start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) for several
// servers and requests of unknown length: a request is charged ahead for as long as its
// tenant mostly holds units, then for the time that it takes, as it takes it. Requests of
// one tenant are served in the order of their arrival. A grant costs time by the logarithm
// of the number of tenants that wait.
//
// Nobody is interrupted. So a tenant with one worker, which asks again only after it has
// released, finds its slot given away while others wait, and gets the next that is
// released: with ten slots in use that is a tenth of a hold later on average. Where that is
// too much there are [WithPatience] and Share.Dedicated.
//
// # Dedicated units
//
// Nobody else uses them, idle or not, and their tenant has them at once. They are set
// aside when the scheduler first hears of the tenant: call [Scheduler.Refresh] for each
// such tenant at the start. Otherwise they may be in use at its first request, which then
// gets the next that are released, before all others. A tenant that was deleted keeps its
// own until [Scheduler.Forget].
//
// # Big requests
//
// When it is the turn of a request for more units than are free, the free ones are kept for
// it until they are enough, and smaller requests wait, except for dedicated units. So it is
// never behind small ones for ever. What is idle meanwhile is charged to nobody.
//
// # What this cannot do
//
// Go has no limits on the processor time or the memory of a goroutine. This is admission:
// it bounds how much is at work, and trusts that it uses what it asked for and that
// it ends. A handler that starts goroutines and returns, or allocates more than it
// reserved, escapes. Where tenants run code of their own, give each a process and a
// control group (cgroups: cpu.max, memory.max).
//
// The units are one process's. With several, each has its own scheduler with its part of
// the whole.
package fairshare
