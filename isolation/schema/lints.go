package schema

import "github.com/tenancy-go/tenancy/isolation/internal/pghome"

// homesOf precedes every lint: the homes with their catalog numbers, the login
// role $1, and all rights on schemas, relations and routines of the database.
// Grantee 0 is PUBLIC. Rights that nobody changed are null in the catalog, and
// acldefault tells what they are.
const homesOf = `WITH login AS (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1),
homes AS (
	SELECT n.oid AS schema, n.nspname, n.nspowner, r.oid AS role, o.oid AS owner
	FROM tenancy.homes h
	JOIN pg_catalog.pg_namespace n ON n.nspname = h.schema_name
	JOIN pg_catalog.pg_roles r ON r.rolname = h.role_name
	JOIN pg_catalog.pg_roles o ON o.rolname = h.owner_name
),
rights AS (
	SELECT n.oid AS schema, 'schema ' || n.nspname AS object, a.grantee, a.privilege_type AS privilege, 'n' AS kind
	FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(COALESCE(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
	UNION ALL
	SELECT c.relnamespace, c.oid::regclass::text, a.grantee, a.privilege_type, c.relkind::text
	FROM pg_catalog.pg_class c, pg_catalog.aclexplode(COALESCE(c.relacl,
		pg_catalog.acldefault(CASE WHEN c.relkind = 'S' THEN 's'::"char" ELSE 'r'::"char" END, c.relowner))) a
	WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
	UNION ALL
	SELECT c.relnamespace, c.oid::regclass::text || '.' || t.attname, a.grantee, a.privilege_type, c.relkind::text
	FROM pg_catalog.pg_attribute t JOIN pg_catalog.pg_class c ON c.oid = t.attrelid, pg_catalog.aclexplode(t.attacl) a
	WHERE t.attacl IS NOT NULL
	UNION ALL
	SELECT p.pronamespace, p.oid::regprocedure::text, a.grantee, a.privilege_type, 'p'
	FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
)
`

// lints are the queries that apply to every tier.
var lints = []pghome.Lint{
	{
		Finding: "tenants' roles have rights outside their own schema",
		Remedy:  "REVOKE them",
		Query:   `SELECT r.object FROM rights r JOIN homes h ON h.role = r.grantee WHERE r.schema <> h.schema ORDER BY 1`,
	},
	{
		Finding: "tenants' roles have rights beyond USAGE, SELECT, INSERT, UPDATE, DELETE and EXECUTE",
		Remedy:  "REVOKE them: CREATE, TRUNCATE, TRIGGER and REFERENCES reach past a tenant's rows",
		Query: `SELECT r.privilege || ' on ' || r.object FROM rights r JOIN homes h ON h.role = r.grantee
			WHERE r.privilege NOT IN ('USAGE', 'SELECT', 'INSERT', 'UPDATE', 'DELETE', 'EXECUTE') ORDER BY 1`,
	},
	{
		Finding: "PUBLIC has rights on tenants' schemas, or on what is in them",
		Remedy:  "REVOKE them FROM PUBLIC",
		Query: `SELECT r.privilege || ' on ' || r.object FROM rights r JOIN homes h ON h.schema = r.schema
			WHERE r.grantee = 0 ORDER BY 1`,
	},
	{
		Finding: "PUBLIC may make things",
		Remedy:  "REVOKE CREATE, TEMPORARY FROM PUBLIC; Prepare does so where the administrative role owns them",
		Query: `SELECT r.object FROM rights r WHERE r.grantee = 0 AND r.kind = 'n' AND r.privilege = 'CREATE'
			UNION ALL
			SELECT a.privilege_type || ' on database ' || d.datname FROM pg_catalog.pg_database d,
				pg_catalog.aclexplode(COALESCE(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
			WHERE d.datname = pg_catalog.current_database() AND a.grantee = 0 AND a.privilege_type IN ('CREATE', 'TEMPORARY')
			ORDER BY 1`,
	},
	{
		Finding: "tenants' roles are members of other roles",
		Remedy:  "REVOKE the memberships: a tenant would have the other role's rights",
		Query: `SELECT h.role::regrole::text || ' of ' || m.roleid::regrole::text FROM homes h
			JOIN pg_catalog.pg_auth_members m ON m.member = h.role ORDER BY 1`,
	},
	{
		Finding: "tenants' roles have rights over the whole server",
		Remedy:  "ALTER ROLE ... NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION",
		Query: `SELECT r.rolname FROM homes h JOIN pg_catalog.pg_roles r ON r.oid IN (h.role, h.owner)
			WHERE r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication ORDER BY 1`,
	},
	{
		Finding: "homes are not owned by their own owner",
		Remedy:  "ALTER ... OWNER TO the role that tenancy.homes names",
		Query: `SELECT 'schema ' || h.nspname FROM homes h WHERE h.nspowner <> h.owner
			UNION ALL
			SELECT c.oid::regclass::text FROM homes h JOIN pg_catalog.pg_class c ON c.relnamespace = h.schema
			WHERE c.relowner <> h.owner AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
			UNION ALL
			SELECT p.oid::regprocedure::text FROM homes h JOIN pg_catalog.pg_proc p ON p.pronamespace = h.schema
			WHERE p.proowner <> h.owner ORDER BY 1`,
	},
	{
		Finding: "the owners of homes have rights in other homes",
		Remedy:  "REVOKE them: functions and views run with their owner's rights",
		Query: `SELECT r.object FROM rights r JOIN homes own ON own.owner = r.grantee
			JOIN homes h ON h.schema = r.schema AND h.schema <> own.schema ORDER BY 1`,
	},
	{
		Finding: "the login role has rights of its own in tenants' schemas",
		Remedy:  "REVOKE them: a session that takes on no role would have them",
		Query:   `SELECT r.object FROM rights r JOIN homes h ON h.schema = r.schema JOIN login l ON l.oid = r.grantee ORDER BY 1`,
	},
	{
		Finding: "the login role owns objects",
		Remedy:  "REASSIGN OWNED to another role",
		Query: `SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_catalog.pg_shdepend d
			JOIN login l ON l.oid = d.refobjid JOIN pg_catalog.pg_database b ON b.oid = d.dbid AND b.datname = pg_catalog.current_database()
			WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.deptype = 'o' ORDER BY 1`,
	},
	{
		Finding: "the login role is a member of roles that are not tenants'",
		Remedy:  "REVOKE the memberships",
		Query: `SELECT m.roleid::regrole::text FROM pg_catalog.pg_auth_members m JOIN login l ON l.oid = m.member
			WHERE NOT EXISTS (SELECT FROM tenancy.homes h WHERE h.role_name = (SELECT r.rolname FROM pg_catalog.pg_roles r
				WHERE r.oid = m.roleid)) ORDER BY 1`,
	},
}
