package inspect

// rightsOf is a query for rights r of a role that it should not have, one row
// for each object.
func rightsOf(role, from string) string {
	return `SELECT r.object, format('%s holds %s', ` + role + `, string_agg(r.privilege, ', ' ORDER BY r.privilege)),
  string_agg(format('REVOKE %s ON %s FROM %s;', r.privilege, r.noun, ` + role + `), ' ' ORDER BY r.privilege)
FROM rights r ` + from + ` GROUP BY r.object, ` + role
}

func schemaLints() []Lint {
	return []Lint{
		{
			ID: "home-missing", Severity: Medium, kinds: schemas, Title: "a tenant's schema or role does not exist",
			Why: "The registry names it, so requests of the tenant go there: who makes a schema or role of that name gets them.",
			query: `SELECT 'schema ' || quote_ident(g.name), format('role %I, owner %I', g.role, g.owner), '-- provision the tenant again, or remove it: schema.Strategy.Deprovision'
FROM given g WHERE NOT EXISTS (SELECT FROM homes h WHERE h.nspname = g.name)`,
		},
		{
			ID: "home-foreign-right", Severity: Critical, kinds: schemas, Title: "a tenant's role has rights outside of its own schema",
			Why:   "Statements of that tenant reach what is there, another tenant's rows if it is another tenant's schema.",
			query: rightsOf("quote_ident(h.rolname)", `JOIN homes h ON h.role = r.grantee WHERE r.schema <> h.schema`),
		},
		{
			ID: "home-excess-right", Severity: High, kinds: schemas, Title: "a tenant's role may more than read and write rows",
			Why: "CREATE, TRUNCATE, TRIGGER and REFERENCES outlast the request that used them: what injected SQL leaves behind runs in later sessions of the tenant, and as its owner.",
			query: rightsOf("quote_ident(h.rolname)", `JOIN homes h ON h.role = r.grantee AND h.schema = r.schema
WHERE split_part(r.privilege, ' ', 1) NOT IN ('USAGE', 'SELECT', 'INSERT', 'UPDATE', 'DELETE', 'EXECUTE')`),
		},
		{
			ID: "home-public-right", Severity: High, kinds: schemas, Title: "PUBLIC has rights in a tenant's schema",
			Why:   "Every other tenant's role has them as well.",
			query: rightsOf("concat('PUBLIC')", `JOIN homes h ON h.schema = r.schema WHERE r.grantee = 0`),
		},
		{
			ID: "public-creates", Severity: High, kinds: schemas, Title: "PUBLIC may create things",
			Why: "A tenant leaves tables, also temporary ones, and functions for the sessions of other tenants to stumble into.",
			query: `SELECT r.object, r.privilege, format('REVOKE CREATE ON %s FROM PUBLIC;', r.noun) FROM rights r
WHERE r.grantee = 0 AND r.kind = 'n' AND r.privilege = 'CREATE' AND r.schema NOT IN (SELECT schema FROM homes)
UNION ALL
SELECT 'database ' || cfg.db, a.privilege_type, format('REVOKE %s ON DATABASE %s FROM PUBLIC;', a.privilege_type, cfg.db)
FROM pg_database d CROSS JOIN cfg CROSS JOIN aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
WHERE d.datname = current_database() AND a.grantee = 0 AND a.privilege_type IN ('CREATE', 'TEMPORARY')`,
		},
		{
			ID: "public-reaches", Severity: Medium, kinds: schemas, Title: "PUBLIC reaches a relation outside of tenants' schemas",
			Why: "All tenants read it, or write it for the others to read. A view there reads with its owner's rights.",
			query: `SELECT r.object, string_agg(r.privilege, ', ' ORDER BY r.privilege), format('REVOKE ALL ON %s FROM PUBLIC;', r.noun)
FROM rights r
WHERE r.grantee = 0 AND r.kind IN ('r', 'p', 'v', 'm', 'f') AND r.nspname !~ '^pg_' AND r.nspname <> 'information_schema' AND r.schema NOT IN (SELECT schema FROM homes)
  AND EXISTS (SELECT FROM rights u WHERE u.schema = r.schema AND u.kind = 'n' AND u.grantee = 0 AND u.privilege = 'USAGE')
  AND NOT EXISTS (SELECT FROM ext JOIN pg_class c ON ext.classid = 'pg_class'::regclass AND c.oid = ext.objid WHERE c.relnamespace = r.schema AND format('%I.%I', r.nspname, c.relname) = r.object)
GROUP BY r.object, r.noun`,
		},
		{
			ID: "home-member", Severity: Critical, kinds: schemas, Title: "a tenant's role is a member of another role",
			Why: "The tenant has the other role's rights: if it is another tenant's, its rows.",
			query: `SELECT 'role ' || quote_ident(h.rolname), format('it is a member of %I', g.rolname), format('REVOKE %I FROM %I;', g.rolname, h.rolname)
FROM homes h JOIN pg_auth_members m ON m.member = h.role JOIN pg_roles g ON g.oid = m.roleid`,
		},
		{
			ID: "home-owner-power", Severity: Critical, kinds: schemas, Title: "the owner of a tenant's schema has rights over the whole server",
			Why: "Its functions and views run with them, at the call of the tenant.",
			query: `SELECT 'role ' || quote_ident(r.rolname), concat_ws(', ', CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END,
    CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' END, CASE WHEN r.rolreplication THEN 'REPLICATION' END),
  format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION;', r.rolname)
FROM (SELECT DISTINCT owner FROM homes) h JOIN pg_roles r ON r.oid = h.owner WHERE r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication`,
		},
		{
			ID: "home-owner", Severity: High, kinds: schemas, Title: "something in a tenant's schema does not belong to the schema's own owner",
			Why: "Views and functions run with their owner's rights, so the tenant reaches what that owner reaches; and that owner reaches the tenant.",
			query: `SELECT o.object, format('its owner is %I, want %I', r.rolname, w.rolname), format('ALTER %s OWNER TO %I;', o.noun, w.rolname) FROM (
  SELECT 'schema ' || quote_ident(h.nspname), 'SCHEMA ' || quote_ident(h.nspname), h.nspowner, h.owner FROM homes h
  UNION ALL
  SELECT format('%I.%I', h.nspname, c.relname), CASE c.relkind WHEN 'v' THEN 'VIEW ' WHEN 'm' THEN 'MATERIALIZED VIEW ' WHEN 'f' THEN 'FOREIGN TABLE ' WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || format('%I.%I', h.nspname, c.relname), c.relowner, h.owner
  FROM homes h JOIN pg_class c ON c.relnamespace = h.schema WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT 'function ' || p.oid::regprocedure, 'ROUTINE ' || p.oid::regprocedure, p.proowner, h.owner FROM homes h JOIN pg_proc p ON p.pronamespace = h.schema
) AS o(object, noun, has, want) JOIN pg_roles r ON r.oid = o.has JOIN pg_roles w ON w.oid = o.want WHERE o.has <> o.want`,
		},
		{
			ID: "home-owner-reaches", Severity: High, kinds: schemas, Title: "the owner of one tenant's schema has rights in another's",
			Why:   "Functions and views of the one tenant run with its rights, and so hand out the other's rows.",
			query: rightsOf("quote_ident(g.rolname)", `JOIN homes own ON own.owner = r.grantee JOIN homes h ON h.schema = r.schema AND h.schema <> own.schema AND h.owner <> own.owner JOIN pg_roles g ON g.oid = r.grantee`),
		},
		{
			ID: "login-home-right", Severity: Medium, kinds: schemas, Title: "a login role has rights of its own in a tenant's schema",
			Why:   "A session that has taken on no tenant's role, by a slip, works there nevertheless.",
			query: rightsOf("quote_ident(l.rolname)", `JOIN homes h ON h.schema = r.schema JOIN login l ON l.oid = r.grantee`),
		},
		{
			ID: "login-member", Severity: High, kinds: schemas, Title: "a login role is a member of a role that is no tenant's",
			Why: "A tenant's statement can take that role on, with all it may.",
			query: `SELECT 'role ' || quote_ident(l.rolname), format('it is a member of %I', g.rolname), format('REVOKE %I FROM %I;', g.rolname, l.rolname)
FROM login l JOIN pg_auth_members m ON m.member = l.oid JOIN pg_roles g ON g.oid = m.roleid WHERE g.rolname NOT IN (SELECT role FROM given)`,
		},
		{
			ID: "login-takes-home", Severity: High, kinds: schemas, Title: "a login role can take on a tenant's role, though tenants log in by themselves",
			Why: "It needs no such membership then, and with it SQL of one session is any tenant.",
			query: `SELECT 'role ' || quote_ident(l.rolname), format('it is a member of %I', h.rolname), format('REVOKE %I FROM %I;', h.rolname, l.rolname)
FROM login l JOIN pg_auth_members m ON m.member = l.oid JOIN homes h ON h.role = m.roleid JOIN tier ON tier.logs_in`,
		},
		{
			ID: "home-login", Severity: Medium, kinds: schemas, Title: "a tenant's role can log in, though others take it on",
			Why:   "It is a second way in, past the pool and its checks, for whoever has or sets its password.",
			query: `SELECT 'role ' || quote_ident(h.rolname), '', format('ALTER ROLE %I NOLOGIN;', h.rolname) FROM homes h JOIN tier ON NOT tier.logs_in WHERE h.rolcanlogin`,
		},
		{
			ID: "home-default-privileges", Severity: High, kinds: schemas, Title: "what is made later opens to others than its tenant",
			Why: "The next migration makes tables that every tenant, or the wrong one, reaches.",
			query: `SELECT format('default privileges of %I', o.rolname) || CASE WHEN n.oid IS NULL THEN '' ELSE format(' in schema %I', n.nspname) END,
  format('%s on new %s to %s', string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), k.word, coalesce(quote_ident(g.rolname), 'PUBLIC')),
  format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE ALL ON %s FROM %s;', o.rolname, CASE WHEN n.oid IS NULL THEN '' ELSE format(' IN SCHEMA %I', n.nspname) END, k.word, coalesce(quote_ident(g.rolname), 'PUBLIC'))
FROM pg_default_acl d JOIN pg_roles o ON o.oid = d.defaclrole LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
JOIN (VALUES ('r', 'TABLES'), ('S', 'SEQUENCES'), ('n', 'SCHEMAS'), ('f', 'ROUTINES')) AS k(type, word) ON k.type = d.defaclobjtype::text
CROSS JOIN aclexplode(d.defaclacl) a LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE a.grantee <> d.defaclrole AND (a.grantee = 0 AND (k.type <> 'f' OR n.oid IS NOT NULL) OR a.grantee IN (SELECT oid FROM login)
  OR a.grantee IN (SELECT role FROM homes) AND (a.grantee, coalesce(n.oid, 0)) NOT IN (SELECT role, schema FROM homes))
GROUP BY o.rolname, n.oid, n.nspname, k.word, g.rolname`,
		},
	}
}
