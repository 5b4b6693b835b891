package inspect

func databaseLints() []Lint {
	return []Lint{
		{
			ID: "database-missing", Severity: Medium, kinds: databases, Title: "a tenant's database was named and does not exist",
			Why:   "Whatever holds the tenant's rows is not inspected.",
			query: `SELECT 'database ' || quote_ident(g.name), '', '-- name the databases as they are: inspect.Homes' FROM given g WHERE g.name NOT IN (SELECT datname::text FROM pg_database)`,
		},
		{
			ID: "database-public", Severity: High, kinds: databases, Title: "PUBLIC has rights on a tenant's database",
			Why: "Every role of the server connects to it, other tenants' roles too, and finds what is granted to PUBLIC there.",
			query: `SELECT 'database ' || r.name, string_agg(r.privilege, ', ' ORDER BY r.privilege), format('REVOKE ALL ON DATABASE %s FROM PUBLIC;', r.name)
FROM rights r WHERE r.grantee = 0 GROUP BY r.name`,
		},
		{
			ID: "database-foreign-right", Severity: High, kinds: databases, Title: "another role has rights on a tenant's database",
			Why: "It connects there: another tenant's role, or another application's.",
			query: `SELECT 'database ' || r.name, format('%I holds %s', g.rolname, string_agg(r.privilege, ', ' ORDER BY r.privilege)), format('REVOKE ALL ON DATABASE %s FROM %I;', r.name, g.rolname)
FROM rights r JOIN pg_roles g ON g.oid = r.grantee
WHERE r.grantee <> r.datdba AND NOT g.rolsuper AND CASE WHEN r.role IS NULL THEN r.grantee NOT IN (SELECT oid FROM login) ELSE r.grantee <> r.role END
GROUP BY r.name, g.rolname`,
		},
		{
			ID: "database-excess-right", Severity: High, kinds: databases, Title: "a login role may more than connect to a tenant's database, or connects to the template",
			Why: "With CREATE and TEMPORARY it leaves tables and functions for later sessions of the tenant; what it leaves in the template, every new tenant gets.",
			query: `SELECT 'database ' || r.name, format('%I holds %s', l.rolname, string_agg(r.privilege, ', ' ORDER BY r.privilege)), string_agg(format('REVOKE %s ON DATABASE %s FROM %I;', r.privilege, r.name, l.rolname), ' ')
FROM rights r JOIN login l ON l.oid = r.grantee WHERE (r.privilege <> 'CONNECT' OR r.template) AND r.grantee <> r.datdba GROUP BY r.name, l.rolname`,
		},
		{
			ID: "database-owner", Severity: Critical, kinds: databases, Title: "a runtime role owns a tenant's database",
			Why: "It drops the database, opens it to others, and makes what it likes in it.",
			query: `SELECT 'database ' || o.name, format('its owner is %I', h.rolname), ` + leave(`format('ALTER DATABASE %s OWNER TO CURRENT_USER;', o.name)`) + `
FROM ours o JOIN held h ON h.oid = o.datdba AND NOT h.rolsuper`,
		},
		{
			ID: "database-template", Severity: Medium, kinds: databases, Title: "the template of tenants' databases accepts connections, or is none",
			Why: "A session on it changes every new tenant's database, and holds up their making.",
			query: `SELECT 'database ' || o.name, '', format('ALTER DATABASE %s ALLOW_CONNECTIONS false IS_TEMPLATE true;', o.name)
FROM ours o WHERE o.template AND (o.datallowconn OR NOT o.datistemplate)`,
		},
	}
}
