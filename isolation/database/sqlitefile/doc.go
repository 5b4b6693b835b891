// Package sqlitefile keeps each tenant in a SQLite file of its own: database per
// tenant without a server.
//
//	strategy, err := sqlitefile.New("/var/lib/app/tenants", sqlitefile.Migrations(files))
//	pool, err := isolation.New(strategy, isolation.MaxConns(100))
//	err = strategy.Provision(ctx, acme)
//	db := sql.OpenDB(pool)
//
// # How it holds
//
// A connection has one tenant's file open and never another's. An authorizer,
// asked by SQLite for everything a statement compiles to, denies ATTACH, DETACH,
// VACUUM INTO, load_extension and every pragma that does more than describe the
// tenant's own tables: such statements fail with SQLite's "not authorized" or
// "authorization denied", unless the pool refuses them before
// ([isolation.ErrControl]). It answers
// for the connections of this package alone. Files are opened in defensive mode,
// with trusted_schema off, foreign keys on and "text" in double quotes being a
// name, never a string. Files are never created by being opened: a tenant without
// one is isolation.ErrNotProvisioned.
//
// What is done with the bare connection ([isolation.Raw]) is the host's own
// affair: that one can attach and back up.
//
// # Files
//
// A tenant's file is t-<ID>.db in the directory, with its -wal and -shm beside
// it while in use. A directory .tenancy has a lock and unfinished work. Give the
// directory to nobody else; [Strategy.Verify] checks it. It must be on a local
// disk, since SQLite's WAL needs shared memory. Several processes of one machine
// may use it.
//
// An open connection holds up to three file descriptors and about 150 KB. The
// pool's MaxConns bounds them: it closes the connection longest idle when
// another tenant needs its place, so 100 connections serve 10,000 tenants with at
// most 300 descriptors.
//
// # Writing
//
// A file has one writer at a time. BeginTx takes the write lock at once, and
// whoever waits for it waits up to [BusyTimeout] or the end of the context. A
// read-only transaction (sql.TxOptions) takes no lock, and is for code that reads.
// Times are stored as text in UTC, and read as such.
//
// VACUUM runs as a statement of its own, without comments.
//
// # Migrations
//
// [Strategy.Provision] copies a template that the migrations made once.
// Migrations run with foreign keys off, so that one may rebuild a table which
// others refer to, as SQLite's ALTER TABLE often demands; before they commit,
// every reference is checked, and a broken one undoes them all.
//
// # The platform's own data
//
// There is no system place: a system context gets isolation.ErrNoSystem. Tables
// of the platform belong to a *sql.DB of their own.
package sqlitefile
