// Package redisquota keeps what tenants used in Redis, so that all replicas of a service
// hold them to the same limits.
//
//	client := redis.NewClient(&redis.Options{Addr: "redis:6379", ContextTimeoutEnabled: true})
//	store, err := redisquota.New(client) // a quota.Store, and a quota.Batcher
//
// It needs Redis 7 or later, alone or as a Redis Cluster. A [quota.Taking] is one round
// trip: one script that carries out all of it or, where it is refused, its returns alone.
//
// # Consistency
//
// Scripts run one after the other, so limits are exact whatever the number of clients.
// The answer to a Taking is remembered by its ID, for a minute unless the Taking says
// otherwise, as corrections do. Therefore Take repeats one whose connection broke, once
// and if its context has time left, and what the client of Redis repeats by itself (its
// option MaxRetries, 3 unless set) counts once, too.
//
// Redis acknowledges units before its replicas, or its disk, have them. A replica that is
// promoted knows neither the units of the last moments nor the answers to them: as many
// may be used once more as were acknowledged within the lag of the replication, and a
// Taking that is repeated then counts where it was lost. WAIT makes that rarer and proves
// nothing, since a replica that did not answer it may be promoted. The same goes for a
// restart and what was not yet on disk: appendfsync everysec loses a second or so. What
// must not be lost belongs into PostgreSQL.
//
// Every error other than those of [quota.Taking.Validate] wraps [quota.ErrUnavailable],
// save one: where the context had ended before, nothing was sent, and the error is the
// context's alone. Calls end with their context's deadline, which they should have. A
// client without one waits as its own options say, for seconds where nothing listens:
// see DialerRetries, ReadTimeout and MaxRetries.
//
// # Memory
//
// A counter is one hash. For a limit of three windows, with a short name and no key, Redis
// 7.0 takes 200 bytes for it, for a strict window 152, for what one process holds 136; each
// further process adds 36. A remembered answer takes 136 bytes for a minute, which is
// 8 MB for each thousand Takings per second; the last correction of each tenant in each
// process has one for a day.
//
// What has an end expires: rates when all their windows have passed, at the latest two
// lengths later, and what is held with the last holder. Only stock that is kept stays
// until it is not, so a tenant who leaves is forgotten by returning it. Redis must not
// evict keys (maxmemory-policy noeviction): one that it evicts has used nothing.
//
// # Cluster
//
// Names of keys have the tenant in braces, so all of a tenant is in one slot, and one
// Taking never spans two servers. One tenant is served by one server, which
// carries out 12,000 to 17,000 Takings of three windows per second where it shares two
// cores with its clients (BenchmarkTake). While a slot moves or a master
// fails, its tenants get errors, and the others do not notice. Renew says what is held of
// many tenants in one pipeline for each server, without being one step.
//
// # Time
//
// Time is that of the Redis server, so the clocks of replicas do not matter. Only the
// days, weeks and months of a calendar are found by the client: it sends when those around
// its own time end, which suffices as long as its clock is not 36 hours behind Redis' or
// 12 ahead. If the server's clock is set back, windows wait for it.
//
// # Numbers
//
// Counts are exact up to 2^53 units, also what of a rolling window still counts, and so
// are all times, to the nanosecond. Beyond, they are rounded where every limit is passed.
package redisquota
