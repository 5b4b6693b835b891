package inspect

// tablePrivilege is a query for tenant tables on which a runtime role holds a
// privilege that policies do not limit.
func tablePrivilege(name string) string {
	columns := "false"
	if name == "REFERENCES" {
		columns = "has_any_column_privilege(priv.oid, t.oid, 'REFERENCES')"
	}
	return `SELECT t.name, '', format('REVOKE ` + name + ` ON %s FROM PUBLIC, %s;', t.name, cfg.who)
FROM ten t, cfg WHERE EXISTS (SELECT FROM priv WHERE has_table_privilege(priv.oid, t.oid, '` + name + `') OR ` + columns + `)`
}

// databasePrivilege is the same for the database.
func databasePrivilege(name string) string {
	return `SELECT 'database ' || cfg.db, '', format('REVOKE ` + name + ` ON DATABASE %s FROM PUBLIC, %s;', cfg.db, cfg.who)
FROM pg_database d, cfg WHERE d.datname = current_database() AND EXISTS (SELECT FROM priv WHERE has_database_privilege(priv.oid, d.oid, '` + name + `'))`
}

func privilegeLints() []Lint {
	return []Lint{
		{
			ID: "grant-truncate", Severity: Critical, kinds: rows, Title: "a runtime role may TRUNCATE a tenant table",
			Why:   "Policies do not limit it: one statement of one tenant removes the rows of all.",
			query: tablePrivilege("TRUNCATE"),
		},
		{
			ID: "grant-trigger", Severity: High, kinds: rows, Title: "a runtime role may put triggers on a tenant table",
			Why:   "Its trigger runs in other tenants' sessions, and the owner's, and sees the rows that they write.",
			query: tablePrivilege("TRIGGER"),
		},
		{
			ID: "grant-references", Severity: Medium, kinds: rows, Title: "a runtime role may refer to a tenant table by foreign keys",
			Why:   "A key of its own asks, past the policies, whether any tenant has a value, and keeps rows from being deleted.",
			query: tablePrivilege("REFERENCES"),
		},
		{
			ID: "grant-public", Severity: High, kinds: rows, Title: "PUBLIC holds rights on a tenant table",
			Why: "Every role of the server has them: those of other applications too, and whoever is made tomorrow.",
			query: `SELECT r.name, string_agg(DISTINCT r.privilege, ', '), format('REVOKE ALL ON %s FROM PUBLIC;', r.name) FROM (
  SELECT o.name, a.privilege_type AS privilege FROM (SELECT oid, name FROM ten UNION ALL SELECT oid, name FROM child) o JOIN pg_class c ON c.oid = o.oid CROSS JOIN aclexplode(c.relacl) a WHERE a.grantee = 0
  UNION ALL
  SELECT o.name, format('%s (%I)', a.privilege_type, k.attname) FROM (SELECT oid, name FROM ten UNION ALL SELECT oid, name FROM child) o JOIN pg_attribute k ON k.attrelid = o.oid CROSS JOIN aclexplode(k.attacl) a WHERE a.grantee = 0
) AS r GROUP BY r.name`,
		},
		{
			ID: "grant-option", Severity: Medium, kinds: rows, Title: "a runtime role may pass on its rights on a tenant table",
			Why: "Injected SQL gives them to a role that outlives the incident.",
			query: `SELECT t.name, format('%I: %s', g.rolname, string_agg(DISTINCT a.privilege_type, ', ')), format('REVOKE GRANT OPTION FOR ALL ON %s FROM %I;', t.name, g.rolname)
FROM ten t JOIN pg_class c ON c.oid = t.oid CROSS JOIN aclexplode(c.relacl) a JOIN pg_roles g ON g.oid = a.grantee
WHERE a.is_grantable AND a.grantee IN (SELECT oid FROM priv) AND a.grantee <> c.relowner GROUP BY t.name, g.rolname`,
		},
		{
			ID: "schema-create", Severity: High, kinds: rows, Title: "a runtime role may create objects in a schema",
			Why: "What it makes there is found under names that other tenants' sessions, or the owner's functions, look up: they run its code. Its own functions probe behind policies.",
			query: `SELECT 'schema ' || quote_ident(n.nspname), '', format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC, %s;', n.nspname, cfg.who)
FROM pg_namespace n, cfg WHERE n.nspname !~ '^pg_(temp|toast)' AND EXISTS (SELECT FROM priv WHERE has_schema_privilege(priv.oid, n.oid, 'CREATE'))`,
		},
		{
			ID: "database-create", Severity: Medium, kinds: rows, Title: "a runtime role may create schemas",
			Why:   "A schema of its own holds tables and functions for others to stumble into, and one named like a role is searched first.",
			query: databasePrivilege("CREATE"),
		},
		{
			ID: "database-temp", Severity: High, kinds: rows, Title: "a runtime role may create temporary tables",
			Why:   "One that is named like a tenant table stays on the connection and takes what its next tenant writes; the first reads it later.",
			query: databasePrivilege("TEMPORARY"),
		},
		{
			ID: "sequence", Severity: Medium, kinds: rows, Title: "a runtime role may read or set a sequence",
			Why: "Its value tells how much all tenants write, and setting it makes their inserts fail.",
			query: `SELECT 'sequence ' || s.oid::regclass, '', format('REVOKE SELECT, UPDATE ON SEQUENCE %s FROM PUBLIC, %s;', s.oid::regclass, cfg.who)
FROM cfg, (
  SELECT c.oid FROM pg_class c WHERE c.relkind = 'S' AND (c.relnamespace IN (SELECT nsp FROM ten) OR EXISTS (
    SELECT FROM pg_depend d JOIN ten ON ten.oid = d.refobjid WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')))
  OFFSET 0 -- has_sequence_privilege fails on what is no sequence, so it must not be asked earlier
) s WHERE EXISTS (SELECT FROM priv WHERE has_sequence_privilege(priv.oid, s.oid, 'SELECT,UPDATE'))`,
		},
		{
			ID: "default-privileges", Severity: Medium, kinds: rows, Title: "what is made later opens by itself",
			Why: "A new table is granted before anybody puts it under policies. In between, and when that is forgotten, it is everyone's.",
			query: `SELECT format('default privileges of %I', o.rolname) || CASE WHEN n.oid IS NULL THEN '' ELSE format(' in schema %I', n.nspname) END,
  format('%s on new %s to %s', string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), k.word, coalesce(quote_ident(g.rolname), 'PUBLIC')),
  format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE ALL ON %s FROM %s;', o.rolname, CASE WHEN n.oid IS NULL THEN '' ELSE format(' IN SCHEMA %I', n.nspname) END, k.word, coalesce(quote_ident(g.rolname), 'PUBLIC'))
FROM pg_default_acl d JOIN pg_roles o ON o.oid = d.defaclrole LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
JOIN (VALUES ('r', 'TABLES', ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']), ('S', 'SEQUENCES', ARRAY['SELECT', 'UPDATE']), ('n', 'SCHEMAS', ARRAY['CREATE'])) AS k(type, word, privileges) ON k.type = d.defaclobjtype::text
CROSS JOIN aclexplode(d.defaclacl) a LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE (a.grantee = 0 OR a.grantee IN (SELECT oid FROM priv)) AND a.grantee <> d.defaclrole AND a.privilege_type = ANY (k.privileges)
GROUP BY o.rolname, n.oid, n.nspname, k.word, g.rolname`,
		},
	}
}
