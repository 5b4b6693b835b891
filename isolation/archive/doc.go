// Package archive takes one tenant out of its home, puts it into another, and moves
// it between strategies, clusters and regions while it works.
//
//	archiver, err := archive.New(strategy, archive.Tables("orders", "items"))
//	manifest, err := archiver.Export(ctx, acme, file)
//	manifest, err = archiver.Restore(ctx, acme, file)      // all rows, or none
//	manifest, err = archiver.Clone(ctx, acme, copyOfAcme)
//
//	mover, err := archive.NewMover(journal, placements, map[string]*archive.Archiver{"shared": a, "dedicated": b})
//	record, err := mover.Move(ctx, acme, "dedicated")
//
// Rows are read and written through a pool, as the tenant: what confines the tenant
// keeps an archive from holding anybody else's rows. The strategy's administrative
// connection serves for catalogs, sequences and triggers alone.
//
// # What an archive is
//
// A stream of frames: a manifest, the rows of each table in the order of foreign keys,
// and at the end the manifest again with numbers and hashes of rows, all read in one
// snapshot and compressed by zstd. Each frame has a checksum and the last one the hash
// of all, so what is cut short or changed is refused ([ErrDamaged]), and
// [Archiver.Restore] commits only after the last one. [Encrypt] seals an archive;
// without it, whoever can change the file can make another that is well-formed.
//
// Values are spelt alike whatever database they come from, so equal rows have equal
// hashes in every strategy. PostgreSQL's values come back from SQLite byte by byte.
//
// # What is not in it
//
// Generated columns, and the tenant's column: it is filled in with the tenant that is
// restored. Views, functions, triggers and indexes: the strategy's migrations make them.
// Rows of tables that [Exclude] names. Sequences go on where they were, or after
// the largest number there is; a shared one never goes back, and its gaps tell how
// much others write, as row security cannot hide. A tenant whose numbers would take a
// shared one past the middle of its range, and more than a thousandth of what is left, is
// refused ([ErrUnsupported]): else one could end everybody's inserts.
//
// # SQLite
//
// A column of SQLite has the kind that its declared type tells, and SQLite turns
// values into others if that type sounds like a number. Declare what PostgreSQL has as
// numeric, json or uuid as NUMERIC_TEXT, JSON_TEXT and UUID_TEXT: the first part is the
// kind, and TEXT keeps SQLite from touching it. BOOLEAN, TIMESTAMP, DATE, INTEGER,
// REAL, BLOB and TEXT are as they should be. A value that does not come back as it was
// fails the restore ([ErrMismatch]): NaN, minus zero, and what the column turned into
// something else. Times finer than PostgreSQL's microseconds are refused there unless
// [RoundTimes] is given; other spellings of a time than the driver's become the
// driver's.
//
// # Circles
//
// Where tables refer to each other, or rows of one table to each other, references that
// may be null are set once all rows are there, and DEFERRABLE ones are checked at the
// end. Others are refused ([ErrCircle]).
//
// # Moving
//
// A move makes the new home, puts triggers on the tenant's tables that record the keys
// of changed rows, copies a snapshot, reads it back, and follows the changes in rounds.
// Then it shuts the home for writes, by a gate that the triggers look at under an
// advisory lock, which holds for all processes and for transactions under way, brings
// the last changes over, counts both sides, and changes the placement. What was copied
// was compared before, and what changed is compared as it comes, so the time without
// writes does not grow with the rows but by their counting. Every table needs a primary
// key.
//
// Writes that meet the shut gate fail with an error that [IsFrozen] knows: try the
// transaction again. The old home stays shut, so a process with an old placement
// cannot lose a write; it can read what is old until it hears of the change. After the
// grace time [Mover.Finish] removes it. In shared tables a trigger remains that refuses
// rows of tenants who left.
//
// Each step is in the journal before the next begins. After a crash, [Mover.Resume] goes
// on and [Mover.RollBack] undoes; after the placement was changed, only the former. A
// process that dies while the tenant is frozen leaves it frozen, since it cannot be
// known whether the placement is being changed: resume at start what [Journal.Open]
// returns. While a tenant moves, do not migrate its home; a move that notices copies
// anew. With rows that swap their unique values it copies anew, too.
//
// On SQLite, INSERT OR REPLACE deletes rows that conflict in another key than the
// primary one without telling triggers. A move notices by counting and copies anew, so
// it succeeds once none happens in between.
package archive
