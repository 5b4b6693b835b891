package inspect

// leave is the remedy of what a role has through another one, or else another
// remedy. h is a row of held.
func leave(remedy string) string {
	return `CASE WHEN h.self THEN ` + remedy + ` ELSE h.leave END`
}

// membership tells how a role comes to matter.
const memberOf = `CASE WHEN h.self THEN 'it is a runtime role' ELSE format('the runtime role %I is a member of it', h.appname) END`

// attribute is a query for roles with an attribute that they must not have.
func attribute(column string) string {
	return `SELECT 'role ' || quote_ident(h.rolname), ` + memberOf + `, ` +
		leave(`format('ALTER ROLE %I NO`+attributeName(column)+`;', h.rolname)`) + ` FROM held h WHERE h.` + column
}

func attributeName(column string) string {
	return map[string]string{
		"rolsuper": "SUPERUSER", "rolbypassrls": "BYPASSRLS", "rolcreaterole": "CREATEROLE", "rolcreatedb": "CREATEDB", "rolreplication": "REPLICATION",
	}[column]
}

// predefined is a query for members of PostgreSQL's own roles.
func predefined(names string) string {
	return `SELECT 'role ' || quote_ident(h.rolname), ` + memberOf + `, ` + leave(`''`) + ` FROM held h WHERE NOT h.self AND h.rolname IN (` + names + `)`
}

const (
	serverRoles = `'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'`
	dataRoles   = `'pg_read_all_data', 'pg_write_all_data', 'pg_maintain', 'pg_create_subscription'`
	watchRoles  = `'pg_monitor', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables', 'pg_signal_backend', 'pg_checkpoint', 'pg_use_reserved_connections'`
)

func roleLints() []Lint {
	all := rows | schemas | databases
	return []Lint{
		{
			ID: "role-superuser", Severity: Critical, kinds: all, Title: "a runtime role is a superuser, or can become one",
			Why:   "No policy and no grant binds a superuser: every statement without WHERE reads and changes all tenants' rows.",
			query: attribute("rolsuper"),
		},
		{
			ID: "role-bypassrls", Severity: Critical, kinds: all, Title: "a runtime role bypasses row security, or can",
			Why:   "Policies do not bind it, not even forced ones: every statement without WHERE reaches all tenants' rows.",
			query: attribute("rolbypassrls") + ` AND NOT h.rolsuper`,
		},
		{
			ID: "role-createrole", Severity: Critical, kinds: all, Title: "a runtime role may make roles",
			Why:   "Up to PostgreSQL 15 it makes itself a member of any role that is no superuser, the tables' owner included; later of those that it made or manages.",
			query: attribute("rolcreaterole") + ` AND NOT h.rolsuper`,
		},
		{
			ID: "role-replication", Severity: Critical, kinds: all, Title: "a runtime role may replicate",
			Why:   "Logical decoding yields every tenant's rows, without any grant and past row security.",
			query: attribute("rolreplication") + ` AND NOT h.rolsuper`,
		},
		{
			ID: "role-createdb", Severity: Medium, kinds: all, Title: "a runtime role may make databases",
			Why:   "It owns what it makes, fills the disk that all tenants share, and clones databases that are marked as templates.",
			query: attribute("rolcreatedb") + ` AND NOT h.rolsuper`,
		},
		{
			ID: "role-server-access", Severity: Critical, kinds: all, Title: "a runtime role reaches the server's files or programs",
			Why:   "COPY and pg_read_file read the files of all databases, and programs run as the server.",
			query: predefined(serverRoles),
		},
		{
			ID: "role-reads-all", Severity: High, kinds: all, Title: "a runtime role has rights on everything, now and later",
			Why:   "It reaches partitions, materialized views, private keys and whatever is made tomorrow, though nobody granted them.",
			query: predefined(dataRoles),
		},
		{
			ID: "role-watches", Severity: Medium, kinds: all, Title: "a runtime role sees or disturbs others' sessions",
			Why:   "It reads the text of others' statements with the values in them, or ends their sessions.",
			query: predefined(watchRoles),
		},
		{
			ID: "role-member", Severity: Medium, kinds: rows | databases, Title: "a runtime role is a member of another role",
			Why: "It can take on all rights that the other role has or is given later. A runtime role needs no memberships.",
			query: `SELECT 'role ' || quote_ident(a.rolname), format('it is a member of %I', g.rolname), format('REVOKE %I FROM %I;', g.rolname, a.rolname)
FROM app a JOIN pg_auth_members m ON m.member = a.oid JOIN pg_roles g ON g.oid = m.roleid
WHERE NOT a.rolsuper AND NOT EXISTS (SELECT FROM held h WHERE h.app = a.oid AND NOT h.self AND pg_has_role(g.oid, h.oid, 'MEMBER')
  AND (h.rolsuper OR h.rolbypassrls OR h.rolcreaterole OR h.rolcreatedb OR h.rolreplication OR h.rolname IN (` + serverRoles + `, ` + dataRoles + `, ` + watchRoles + `)))`,
		},
		{
			ID: "role-inherits", Severity: Low, kinds: schemas | databases, Title: "a login role inherits the rights of roles that it joins",
			Why: "A session that has not been confined yet, or no more, then has the tenants' rights. Want NOINHERIT.",
			query: `SELECT 'role ' || quote_ident(r.rolname), '', format('ALTER ROLE %I NOINHERIT;', r.rolname)
FROM login JOIN pg_roles r ON r.oid = login.oid WHERE r.rolinherit AND NOT r.rolsuper`,
		},
		{
			ID: "role-owns-table", Severity: Critical, kinds: rows, Title: "a runtime role owns a tenant table",
			Why: "An owner drops policies, turns row security off and grants what it likes.",
			query: `SELECT o.name, format('its owner is %I', h.rolname), ` + leave(`format('ALTER TABLE %s OWNER TO CURRENT_USER;', o.name)`) + `
FROM (SELECT name, relowner FROM ten UNION ALL SELECT name, relowner FROM child) o JOIN held h ON h.oid = o.relowner AND NOT h.rolsuper`,
		},
		{
			ID: "role-owns-around", Severity: Critical, kinds: rows, Title: "a runtime role owns what isolation rests on",
			Why: "The owner of a schema drops the tables in it, that of a policy's function rewrites it, that of the database makes schemas and drops all.",
			query: `SELECT o.object, format('its owner is %I', h.rolname), ` + leave(`o.remedy`) + `
FROM held h JOIN (
  SELECT 'schema ' || quote_ident(nspname), nspowner, format('ALTER SCHEMA %I OWNER TO CURRENT_USER;', nspname) FROM pg_namespace WHERE nspname = 'tenancy' OR oid IN (SELECT nsp FROM ten)
  UNION ALL
  SELECT 'function ' || oid::regprocedure, proowner, format('ALTER FUNCTION %s OWNER TO CURRENT_USER;', oid::regprocedure) FROM calls
  UNION ALL
  SELECT 'database ' || cfg.db, d.datdba, format('ALTER DATABASE %s OWNER TO CURRENT_USER;', cfg.db) FROM pg_database d, cfg WHERE d.datname = current_database()
) AS o(object, owner, remedy) ON o.owner = h.oid AND NOT h.rolsuper`,
		},
		{
			ID: "role-owns-object", Severity: Medium, kinds: rows | schemas, Title: "a runtime role owns something",
			Why: "Injected SQL changes what it owns, for whoever uses it next: a view or a function is a trap for other tenants' sessions.",
			query: `SELECT pg_describe_object(d.classid, d.objid, d.objsubid), format('its owner is %I', h.rolname),
  ` + leave(`format('REASSIGN OWNED BY %I TO CURRENT_USER;', h.rolname)`) + `
FROM pg_shdepend d JOIN held h ON h.oid = d.refobjid AND NOT h.rolsuper JOIN pg_database b ON b.oid = d.dbid AND b.datname = current_database()
WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o' AND d.objsubid = 0
  AND d.classid NOT IN ('pg_default_acl'::regclass, 'pg_user_mapping'::regclass, 'pg_largeobject'::regclass) ` + notSaidElsewhere,
		},
		{
			ID: "role-setting", Severity: High, kinds: all, Title: "a stored setting changes whose rows a session sees",
			Why: "Sessions begin with it: a tenant that nobody chose, another role, triggers and keys that do not fire, row security that turns into errors.",
			query: `SELECT CASE s.setrole WHEN 0 THEN 'database ' || cfg.db ELSE 'role ' || quote_ident(app.rolname) END, o.setting,
  CASE WHEN s.setrole = 0 THEN format('ALTER DATABASE %s RESET %s;', cfg.db, o.name)
    WHEN s.setdatabase = 0 THEN format('ALTER ROLE %I RESET %s;', app.rolname, o.name)
    ELSE format('ALTER ROLE %I IN DATABASE %s RESET %s;', app.rolname, cfg.db, o.name) END
FROM pg_db_role_setting s CROSS JOIN cfg CROSS JOIN LATERAL (SELECT x AS setting, split_part(x, '=', 1) AS name, substr(x, strpos(x, '=') + 1) AS value FROM unnest(s.setconfig) x) o
LEFT JOIN app ON app.oid = s.setrole
WHERE (s.setrole = 0 OR app.oid IS NOT NULL) AND (s.setdatabase = 0 OR s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND (o.name IN ('role', 'session_authorization', 'session_replication_role', 'session_preload_libraries', 'local_preload_libraries', 'dynamic_library_path')
    OR o.name = 'row_security' AND o.value NOT IN ('on', 'true', 'yes', '1') OR starts_with(o.name, 'tenancy.') OR ` + settingOfPolicy + `)`,
		},
		{
			ID: "role-search-path", Severity: Medium, kinds: rows, Title: "a runtime role's search_path lets names be captured",
			Why: "Unless it ends in pg_temp, a temporary table stands in for a real one and takes what the connection's next tenant writes.",
			query: `SELECT 'role ' || quote_ident(app.rolname), 'want the schemas of tenant tables, and pg_temp at the end',
  format('ALTER ROLE %I IN DATABASE %s SET search_path = %s;', app.rolname, cfg.db, want.path)
FROM app CROSS JOIN cfg CROSS JOIN LATERAL (SELECT coalesce(string_agg(DISTINCT quote_ident(nspname), ', ') || ', ', '') || 'pg_temp' AS path FROM ten) want
WHERE NOT app.rolsuper AND NOT EXISTS (
  SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS o(setting)
  WHERE d.datname = current_database() AND s.setrole = app.oid AND o.setting ~ '^search_path=(.*, *)?"?pg_temp"?$'
    AND NOT EXISTS (SELECT FROM ten WHERE quote_ident(ten.nspname) <> ALL (regexp_split_to_array(substr(o.setting, 13), ', *'))))`,
		},
	}
}

// notSaidElsewhere leaves out what other lints name.
const notSaidElsewhere = `
  AND NOT (d.classid = 'pg_class'::regclass AND d.objid IN (SELECT oid FROM ten UNION ALL SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'tenancy'))
  AND NOT (d.classid = 'pg_namespace'::regclass AND d.objid IN (SELECT oid FROM pg_namespace WHERE nspname = 'tenancy' UNION ALL SELECT nsp FROM ten))
  AND NOT (d.classid = 'pg_proc'::regclass AND d.objid IN (SELECT f.oid FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace WHERE n.nspname = 'tenancy'))`

// settingOfPolicy holds for the name of a setting that a policy reads, in itself
// or in a function that it calls.
const settingOfPolicy = `strpos(o.name, '.') > 0 AND EXISTS (
    SELECT FROM pg_policy y LEFT JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = y.oid AND d.refclassid = 'pg_proc'::regclass
      LEFT JOIN pg_proc f ON f.oid = d.refobjid
    WHERE strpos(concat(pg_get_expr(y.polqual, y.polrelid), pg_get_expr(y.polwithcheck, y.polrelid), f.prosrc), '''' || o.name || '''') > 0)`
