// Package schema isolates tenants by schema: one PostgreSQL database, in which
// each tenant has a schema of its own and a role that can use that schema alone.
//
//	strategy, err := schema.New(connector, schema.Admin(admin), schema.Migrations(files))
//	err = strategy.Provision(ctx, acme)
//	pool, err := isolation.New(strategy)
//	db := sql.OpenDB(pool)
//	rows, err := db.QueryContext(ctx, `SELECT id, total FROM orders`) // of acme's schema
//
// # How it holds
//
// A connection is confined by SET ROLE to the tenant's role, and by a search_path
// with the tenant's schema alone. The role has SELECT, INSERT, UPDATE and DELETE
// on the tables there, and nothing anywhere else, so that PostgreSQL itself
// refuses SELECT * FROM t_other.orders with 42501. The role owns nothing and
// creates nothing. Views and functions of a home run as the home's own owner at
// most, a role that cannot reach other homes either.
//
// Names come from the registry, table tenancy.homes, and never from a request.
// Each confinement makes sure that role and schema are still the ones that the
// registry named. [Strategy.Verify] looks for rights that were given by hand.
//
// # Injected SQL
//
// Whoever can put SQL of their own into a tenant's statement can call
// set_config('role', …) or set_config('search_path', …) and so become another
// tenant: PostgreSQL lets the session's login role take on any role that it is
// a member of. There are three tiers.
//
//   - By default, the hole is there. The pool refuses SET ROLE and the like as
//     statements, but not as function calls inside of one.
//   - [RevokeSetConfig] takes set_config away, and the languages that DO needs.
//   - [LoginRoles] gives each tenant's role a login of its own, so that there is
//     no other role to take on. Connections are not shared between tenants then.
//
// # What tenants share
//
// The catalogs: the names of other tenants' schemas, tables and roles can be
// read, their sizes and row estimates too. So can the payload of NOTIFY, by
// whoever listens, and advisory locks meet if their numbers do. Large objects are
// their creator's alone.
//
// # Extensions
//
// Functions, types and operators of an extension are found only where the tenant
// looks: in its own schema or in pg_catalog. Install the extension before the
// first Provision, in a schema on which you grant USAGE, and name its members with
// that schema.
//
// # Limits
//
// A server process keeps 74 to 215 KB for each schema of ten tables that it ever
// touched. So connections are closed after 250 tenants ([Strategy.TenantsPerConn]),
// at 18 to 54 MB each; isolation.MaxTenantsPerConn sets another number. Up to
// some 1,000 schemas a database is at ease; past 5,000, catalogs and pg_dump slow
// down.
package schema
