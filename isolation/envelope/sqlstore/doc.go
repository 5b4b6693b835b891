// Package sqlstore keeps wrapped data keys in PostgreSQL or SQLite.
//
//	store, err := sqlstore.New(db, sqlstore.Postgres)
//	err = store.Migrate(ctx)
//	keys, err := envelope.New(provider, store, envelope.WithJournal(journal))
//
// # Database
//
// The *sql.DB is the platform's own, not one over isolation.Pool, and better not the
// database with the data: a backup of the data should have no keys in it. Any driver
// of the database will do. Migrate creates tables whose names begin with
// tenancy_envelope_.
//
// A [Store] on a second database is a journal (envelope.WithJournal) that several
// machines share.
//
// # What is left of a destroyed key
//
// A row that is deleted is no more seen, but its bytes stay for a while: on
// PostgreSQL until VACUUM, and in the write-ahead log, its archive and replicas; on
// SQLite until the page is used again, unless the pragma secure_delete is on. They
// are wrapped: destroying the wrapping key makes an end of them (envelope.Keys.Rewrap).
//
// SQLite lets one connection write at a time. Give it time to wait for the others in
// the driver's own way, such as ?_pragma=busy_timeout(10000) with modernc.org/sqlite.
package sqlstore
