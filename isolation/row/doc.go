// Package row keeps the tenants' rows apart in tables that they share, by
// PostgreSQL's row-level security. It needs PostgreSQL 14 or later.
//
//	runtime, err := postgres.NewConnector("postgres://app:…@db/saas")
//	admin, err := postgres.NewConnector("postgres://owner:…@db/saas")
//	err = postgres.EnsureRole(ctx, sql.OpenDB(admin), "app", password) // once, whom runtime logs in as
//	strategy, err := row.New(runtime, row.Admin(admin), row.Migrations(migrations))
//	err = strategy.Prepare(ctx) // at start: tables, then policies on them
//	err = strategy.Verify(ctx)  // at start-up and in CI
//	pool, err := isolation.New(strategy)
//
// # Roles
//
// The runtime role, which runtime logs in as, is what statements of tenants run
// as. postgres.EnsureRole makes it. It owns nothing, bypasses nothing, and may
// SELECT, INSERT, UPDATE and DELETE in the tenant tables. The administrative role
// owns the tables and runs Prepare; it need not be a superuser, but
// owns the database and may make roles. The role tenancy_owner has no login and
// owns the schema tenancy. A system role, if there is one, has BYPASSRLS and is
// for statements of tenant.System alone.
//
// Every new connection is checked for the runtime role's rights, and for tables
// that the role can reach while their row security is off. It is refused with
// isolation.ErrUnsafe and the SQL to mend it; forgetting Verify opens nothing.
//
// # Tables
//
// A tenant table has a column tenant_id of type text, varchar or uuid, NOT NULL.
// Install gives it a default, so INSERT fills it in. Every table that has the
// column is a tenant table, unless [Tables] names them. A uuid column holds only
// tenants whose ID is a UUID spelt as PostgreSQL spells it.
//
// Tables without the column belong to the platform: the runtime role reaches
// them as far as the host grants it.
//
// # Keys
//
// Primary keys, unique indexes and foreign keys between tenant tables begin with
// the tenant. PostgreSQL checks keys past the policies, so without it one tenant
// learns from a conflict what another has, and deletes another's rows by
// cascade. Verify finds such keys and gives the SQL for each:
//
//	CREATE TABLE orders (
//		tenant_id text NOT NULL,
//		id        uuid NOT NULL DEFAULT gen_random_uuid(),
//		number    text NOT NULL,
//		PRIMARY KEY (tenant_id, id),
//		UNIQUE (tenant_id, number)
//	);
//	CREATE TABLE items (
//		tenant_id text NOT NULL,
//		id        uuid NOT NULL DEFAULT gen_random_uuid(),
//		order_id  uuid NOT NULL,
//		PRIMARY KEY (tenant_id, id),
//		FOREIGN KEY (tenant_id, order_id) REFERENCES orders ON DELETE CASCADE
//	);
//
// # Injected SQL
//
// How a session knows its tenant decides what SQL of an attacker's can do, where an
// application put a user's text into a query. There are three modes, and policies and
// tables are the same in all:
//
//	row.Plain()                        // the default: a setting
//	row.Sealed(key)                    // registers that only a verified token sets
//	row.Signed(key)                    // a token that each statement verifies
//	row.Signed(key), row.TransactionScoped() // the same behind a pooler
//
// [Plain] is no boundary against it. A SELECT can change the setting:
//
//	SELECT … FROM (SELECT set_config('tenancy.tenant', 'other', true) OFFSET 0) s, LATERAL (SELECT * FROM orders WHERE s IS NOT NULL) o
//
// With false in place of true it lasts: later requests of the same tenant may get
// that connection and would run as the other, until it passes to another tenant.
// Plain stops mistakes, not attackers who can write SQL. The pool's statement guard
// refuses SET and RESET but does not look inside a SELECT. Bind parameters, always.
//
// [Sealed] is what to choose on connections straight to a primary server. When a
// connection is opened, the pool sends a token signed with a key that SQL cannot read, and
// pool and database both derive the session's secret from it. Whenever the connection
// passes to a tenant, the pool sends a token made with that secret;
// the database verifies it once and writes the tenant into private sequences, whose
// last value each session has for itself. SQL of the runtime role cannot set them: it can
// only empty them (DISCARD SEQUENCES), and then that connection serves no tenant any
// more. A token is good for one session, once. It writes, so it needs a server
// that is not read-only.
//
// [Signed] keeps the token in a setting, and every statement verifies it. SQL may
// put another token there, but cannot make one. It is bound to the session and holds for
// [TokenLife]; behind a pooler it is bound to nothing, and holds for a minute. It works on
// read-only replicas.
//
// Either way tokens are arguments of statements, never text, so that no other session
// sees them in pg_stat_activity. What they cost, as measured against the same query
// with WHERE tenant_id = $1, is in docs/design.md.
//
// A key is 32 or more random bytes. Make them once (openssl rand -base64 32), keep them
// with your other secrets, and give every process the same bytes under the same ID:
//
//	key, err := row.NewKey("2026-11", secret)
//	strategy, err := row.New(runtime, row.Sealed(key), row.Admin(admin))
//
// Install and Prepare put it into a table that no tenant reads. [Strategy.Rotate] and
// [Strategy.Retire] replace it while everything runs. Whoever has the key, or the database's files,
// can be any tenant. Install switches a database from one mode to another, in one
// transaction; processes in another mode are refused from then on.
//
// [Harden] takes from the runtime role what helps injected SQL otherwise. It needs a superuser.
//
// # Limits
//
// Injected SQL still does, in every mode, what the tenant itself may do: read and delete
// the tenant's own rows, run for long, take locks. A role may change its own password
// and settings (ALTER ROLE, which the pool refuses as text): an attacker may so lock everyone out.
//
// Row security hides rows and nothing else. Tenants see how large tables are and
// how busy the server is, what sequences have reached that they may call, and
// NOTIFY payloads and advisory locks of others, the text of statements that run at
// the moment (pg_stat_activity), which they may end (pg_terminate_backend), and
// large objects, which know no tenant: keep files elsewhere. [Harden] closes the last three.
// COPY … FROM is refused on tenant
// tables: insert from unnest($1::text[], …) instead. Operators that are not
// LEAKPROOF, such as LIKE, jsonb's @> and = on numeric, cannot use an index there.
package row
