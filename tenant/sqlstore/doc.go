// Package sqlstore keeps tenants in PostgreSQL or SQLite.
//
//	db, err := sql.Open("postgres", dsn)
//	store, err := sqlstore.New(db, sqlstore.Postgres, sqlstore.WithListener(dsn))
//	err = store.Migrate(ctx)
//	directory, err := tenant.NewDirectory(store)
//	go directory.Follow(ctx, store) // until ctx ends; see its error
//
// # Database
//
// The *sql.DB is the platform's own, not one over isolation.Pool: the registry
// of tenants belongs to no tenant. Any driver of the database will do. Migrate
// creates tables whose names begin with tenancy_, on PostgreSQL in the first
// schema of the search path.
//
// SQLite lets one connection write at a time. Give it time to wait for the
// others, and let readers go on meanwhile, in the driver's own way; with
// modernc.org/sqlite:
//
//	file:tenants.db?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)
//
// # Changes
//
// Watch tells of changes made by any process, and by hand in SQL too, since a
// trigger notes them. On PostgreSQL it listens on a connection of its own
// through github.com/lib/pq, whatever driver the *sql.DB has; that connection
// must reach the server itself, not a pooler in transaction mode. On SQLite it
// looks once a second.
package sqlstore
