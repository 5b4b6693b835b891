// Package sqlquota counts what tenants use in PostgreSQL or SQLite, where all replicas of
// a service see it, and keeps plans and overrides there.
//
//	db, err := sql.Open("postgres", dsn)
//	store, err := sqlquota.New(db, sqlquota.Postgres)
//	err = store.Migrate(ctx)
//	taken, err := store.Take(ctx, taking) // a quota.Taking
//
// # Database
//
// The *sql.DB is the platform's own, as for package tenant/sqlstore: counters are not the
// tenants' to change. Any driver of the database will do. Migrate creates tables and, on
// PostgreSQL, functions whose names begin with tenancy_quota_, in the first schema of the
// search path. Whoever uses the store needs that schema in the search path, SELECT,
// INSERT, UPDATE and DELETE on the tables, and EXECUTE on the functions, which run with
// the caller's rights.
//
// SQLite lets one connection write at a time. Give it time to wait for the others, in the
// driver's own way; with modernc.org/sqlite:
//
//	file:quota.db?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)
//
// # Consistency
//
// On PostgreSQL a decision is one statement, and one round trip with github.com/lib/pq and
// with drivers that prepare statements by themselves. The requests of a tenant come one
// after the other, under an advisory lock of the transaction, and those of others do not
// wait for them. No order of charges leads to a deadlock, and nobody has to try again.
// That needs the isolation level READ COMMITTED: where the database has another by default,
// the store begins transactions of its own, with three more round trips.
//
// Time is the server's. Only the ends of calendar windows are worked out by the client;
// if the clocks differ by more than twelve hours, limits with such windows fail with an
// error that wraps quota.ErrUnavailable. On SQLite time is that of the computer.
//
// If a connection breaks before the answer is there, Take asks once more with the same
// ID, which counts once.
//
// # Durability
//
// What was answered outlives a crash of the server. With synchronous_commit=off, for
// instance in the connection's URL, PostgreSQL answers before the disk has it: a crash of
// the server then forgets the decisions of the last moments, up to three times
// wal_writer_delay (0.6 s by default), and lets as many units in again, or leaves as many
// returned units counted. Nothing is inconsistent after it. In the package's benchmark, on
// two busy cores with a fast disk, that took one tenant from 350 to 520 decisions a second
// and a thousand tenants from 1,500 to 1,900; the slower the disk, the more it is worth.
// Processes that lease units by the hundred need few decisions.
//
// # Size
//
// A counter with a rolling, a strict and a calendar window takes 460 bytes, and with its
// index and the room for updates 750 once the table is vacuumed. A remembered answer takes
// 300 bytes for a minute, that to the last correction of each tenant in each process for a
// day: busy tenants delete their own old ones as they go.
//
// # Pruning
//
// Counters that count nothing any more, and the last answers of tenants that went away,
// stay until Prune deletes them. Call it from time to time, in any process:
//
//	deleted, err := store.Prune(ctx, 10_000) // again while it deletes so many
//
// A limit per key has a counter for each key that anybody came with, as far as
// quota.WithMaxKeys lets each process add some. Stock is never pruned.
//
// # Security
//
// Keep the tables out of databases where tenants run SQL of their own. Decisions about a
// tenant go one after the other by an advisory lock, which PostgreSQL lets any role take
// that can connect: whoever holds another tenant's makes its decisions wait, until they
// time out.
//
// # PgBouncer
//
// The store keeps nothing in a session: any pooling mode will do, also the modes of
// transactions and, where READ COMMITTED is the default, of statements. Drivers that
// prepare statements need a PgBouncer that knows them, from 1.21 on; lib/pq does not.
// Migrate needs the server itself, or a pool of sessions.
//
// # Plans
//
// [Source] keeps every version of the catalog, and overrides. It sends a small query for
// each answer, and the document only when the version is new.
package sqlquota
