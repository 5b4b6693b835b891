// Package bandwidth holds the bytes that a tenant moves, in and out, to its rates: by
// waiting, or by refusing.
//
//	shaper, err := bandwidth.New(bandwidth.ByPlan(enforcer, "ingress", "egress"))
//	handler := gate.Middleware(shaper.Middleware(api))
//
// [Shaper.Middleware] limits HTTP requests and responses, [Shaper.Conn] connections,
// [Shaper.Reader] and [Shaper.Writer] anything else. The tenant is the context's. A context
// without one is refused before anything moves; the platform's own is, too, unless
// [WithSystem] is given.
//
// # Limits
//
// A rate holds for all streams of a tenant in this process together: n processes that
// serve a tenant let it have n times as much. Over any span of T seconds, the streams
// deliver no more than Burst + T × BytesPerSecond. The zero [Rate] is no limit. A function
// that does not know a tenant's limits returns an error, and nothing moves.
//
// A burst of less than what moves in some milliseconds costs throughput, since no timer is
// more exact than that; the default of a second's worth costs none.
//
// Limits are asked for when a stream begins, and every [WithRefresh] from then on by a
// stream that moves bytes. New ones apply at once to all streams of the tenant; one that
// waits notices within a second. What was spent stays spent. If asking fails, so does the
// Read or Write, and the next one asks again.
//
// # What is charged
//
// Bytes move in quanta, see [WithQuantum]; where a quantum is not there, a second's worth is
// enough to move on. A write is charged before each quantum, and what was not written is
// paid back. A read is charged when the bytes are there, and returns when they are paid
// for. So a reader that has nothing to read takes nothing from the others, and the network
// may be ahead of the rate by a quantum for each stream. Bytes that could not be paid for
// are kept for the next Read.
//
// The fast paths of io.Copy (io.ReaderFrom and io.WriterTo) move the same quanta: files are
// not sent by sendfile.
//
// # Sharing
//
// The streams of a tenant queue for each quantum, first come, first served. So a stream that
// writes a gigabyte delays another one of the tenant by a quantum at a time. One that gives
// up leaves no gap. Nothing is held while bytes move, so a slow peer delays its own stream
// alone. Tenants share a lock for as long as it takes to look a tenant up when a stream
// begins.
//
// # Refusal
//
// With [WithRefusal] nothing waits: what does not fit fails with an [ExceededError], which
// says when there is room. [WithMaxWait] refuses what would have to wait for longer. A
// quantum is granted whole or not at all, unless it is more than a second's worth.
//
// # HTTP
//
// Bodies are counted as the handler reads and writes them: without headers, chunking and
// TLS, and without the rest of a body that the server reads itself after the handler. A
// shaped response takes longer, which http.Server.WriteTimeout has to allow for. Deadlines
// set by http.ResponseController end waiting, too. A hijacked connection is limited for as
// long as it lives, not only until the handler returns; it stops waiting when it is closed
// or a deadline passes.
//
// # Memory
//
// A tenant's state, about a kilobyte, is dropped when that makes no difference: both of its
// buckets are full, nobody waits, and its limits are due to be asked for again. It is never
// dropped for being the oldest, which would let a tenant spend twice. So there is as much
// as there are tenants that moved bytes lately. There are no goroutines: each stream
// that begins looks at a few tenants, and drops those that are idle.
package bandwidth
