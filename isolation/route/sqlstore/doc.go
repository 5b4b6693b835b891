// Package sqlstore keeps the placements of tenants in PostgreSQL or SQLite.
//
//	store, err := sqlstore.New(db, sqlstore.Postgres, sqlstore.WithListener(dsn))
//	err = store.Migrate(ctx)
//	router, err := route.New(cells, rule, route.Record(store))
//	go router.Follow(ctx, store) // until ctx ends; see its error
//
// The *sql.DB is the platform's own, not one over isolation.Pool: where tenants live
// must be known before any of them is served. Any driver of the database will do.
// Migrate creates tables whose names begin with tenancy_placement, on PostgreSQL in the
// first schema of the search path. What a method has reported as done is committed.
//
// # Changes
//
// Watch tells of changes made by any process, and by hand in SQL too, since a trigger
// notes them. On PostgreSQL it listens on a connection of its own, which must reach the
// server itself, not a pooler in transaction mode. On SQLite it looks once a second.
package sqlstore
