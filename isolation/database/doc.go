// Package database isolates tenants by database: each has a PostgreSQL database
// of its own on one server.
//
//	strategy, err := database.New(connector, database.Admin(admin), database.Migrations(files))
//	err = strategy.Provision(ctx, acme)
//	pool, err := isolation.New(strategy)
//	db := sql.OpenDB(pool)
//	rows, err := db.QueryContext(ctx, `SELECT id, total FROM orders`) // of acme's database
//
// # How it holds
//
// A PostgreSQL session belongs to one database for life, and SQL cannot name
// another, so what a tenant's statement reads and writes, injected or not, is in the
// tenant's database. [Strategy.Confine] refuses a connection of another database
// without asking the server, and each new connection makes sure that the database
// is marked as that tenant's home. As connections never pass from one tenant to
// another, nothing on them is cleared: settings and locks that a tenant leaves are
// found by that tenant alone.
//
// All tenants' connections log in as one role, and PostgreSQL lets a role change its
// own password and settings (ALTER ROLE CURRENT_USER …), which would lock all
// tenants out, and end its other sessions. The pool refuses such statements; one that
// a function runs, it cannot see. Where SQL can be injected, or tenants write their
// own, keep the login role's password from whoever can reach the server, and let
// pg_hba.conf admit the role from the application's hosts alone.
//
// The extensions dblink and postgres_fdw, which open further connections, must
// not be usable by the login role; they are not unless the migrations say so.
//
// # Homes
//
// A home is cloned from a template, a database that has run the migrations and
// accepts no connections. It is made under another name, gets its rights, and is
// renamed into place last, so a home that a kill left unfinished is never seen.
// The login role has SELECT, INSERT, UPDATE and DELETE on tables and USAGE on
// sequences and schemas, creates nothing, and PUBLIC may not connect.
//
// Homes are named after their tenant. A comment on the database says whose home it
// is. A database of that name without the comment is never taken over nor dropped.
//
// # What tenants share
//
// The server's catalogs: names of databases and roles, and who is connected. The
// statements of other sessions are visible to the same login role in
// pg_stat_activity, so bind values as parameters.
//
// # Costs
//
// A database takes about 8 MB on disk, and a connection serves one tenant, so a
// pool over many tenants opens and closes connections as they take turns. Give it
// enough for the tenants that are active at a time.
package database
