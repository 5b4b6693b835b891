package database

import "github.com/tenancy-go/tenancy/isolation/internal/pghome"

// ours precedes every lint: the strategy's databases, the login role $1, and all
// rights on these databases. $2 is the prefix and $3 the template. Grantee 0 is
// PUBLIC.
const ours = `WITH login AS (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1),
ours AS (
	SELECT d.oid, d.datname, d.datname::text = $3 AS template, d.datdba, d.datallowconn, d.datistemplate,
		COALESCE(d.datacl, pg_catalog.acldefault('d', d.datdba)) AS acl
	FROM pg_catalog.pg_database d
	WHERE pg_catalog.starts_with(d.datname::text, $2)
		AND pg_catalog.starts_with(pg_catalog.shobj_description(d.oid, 'pg_database'), 'tenancy: ')
),
rights AS (
	SELECT o.datname, o.template, a.grantee, a.privilege_type AS privilege FROM ours o, pg_catalog.aclexplode(o.acl) a
)
`

var lints = []pghome.Lint{
	{
		Finding: "the template accepts connections, or is none",
		Remedy:  "ALTER DATABASE ... ALLOW_CONNECTIONS false IS_TEMPLATE true: a session on it would hold up Provision, and could change every new home",
		Query:   `SELECT datname FROM ours WHERE template AND (datallowconn OR NOT datistemplate)`,
	},
	{
		Finding: "PUBLIC has rights on tenants' databases",
		Remedy:  "REVOKE ALL ON DATABASE ... FROM PUBLIC",
		Query:   `SELECT privilege || ' on ' || datname FROM rights WHERE grantee = 0 ORDER BY 1`,
	},
	{
		Finding: "the login role may more than connect to tenants' databases",
		Remedy:  "REVOKE it",
		Query: `SELECT privilege || ' on ' || datname FROM rights r JOIN login l ON l.oid = r.grantee
			WHERE privilege <> 'CONNECT' OR template ORDER BY 1`,
	},
	{
		Finding: "the login role owns databases",
		Remedy:  "ALTER DATABASE ... OWNER TO the administrative role",
		Query:   `SELECT o.datname FROM ours o JOIN login l ON l.oid = o.datdba ORDER BY 1`,
	},
	{
		Finding: "the login role is a member of roles",
		Remedy:  "REVOKE the memberships: it needs none",
		Query:   `SELECT m.roleid::regrole::text FROM pg_catalog.pg_auth_members m JOIN login l ON l.oid = m.member ORDER BY 1`,
	},
}
