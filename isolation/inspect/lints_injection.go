package inspect

// openFunctions is a query for functions of PostgreSQL that everyone may call
// unless they were revoked, in one finding.
func openFunctions(object, names, condition string) string {
	return `SELECT '` + object + `', string_agg(DISTINCT f.proname, ', ' ORDER BY f.proname), string_agg(format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC, %s;', f.oid::regprocedure, cfg.who), ' ')
FROM pg_proc f CROSS JOIN cfg WHERE f.pronamespace = 'pg_catalog'::regnamespace AND f.proname IN (` + names + `)` + condition + `
  AND EXISTS (SELECT FROM priv WHERE has_function_privilege(priv.oid, f.oid, 'EXECUTE')) HAVING count(*) > 0`
}

// injectionLints find what PostgreSQL leaves open to everyone.
func injectionLints() []Lint {
	return []Lint{
		{
			ID: "context-forgeable", Severity: High, kinds: rows, injection: true, Title: "the tenant of a session is a setting, which SQL can change",
			Why: "SELECT set_config('…', 'another tenant', false) inside any statement makes it another tenant's.",
			query: `SELECT 'function ' || f.oid::regprocedure, '', '-- use row.Sealed, or row.Signed behind a pooler'
FROM calls f WHERE NOT f.prosecdef AND f.pronargs = 0 AND f.prorettype <> 'void'::regtype AND concat(f.prosrc, pg_get_function_sqlbody(f.oid)) ~ 'current_setting'
UNION ALL
SELECT p.name, format('policy %I', p.polname), '-- use row.Sealed, or row.Signed behind a pooler' FROM pol p WHERE concat(p.qual, p.withcheck) ~ 'current_setting'`,
		},
		{
			ID: "set-config", Severity: High, kinds: rows | schemas, injection: true, Title: "a runtime role may call set_config",
			Why:   "Inside any SELECT it changes the role, the search_path and every other setting, which the pool's guard refuses as statements.",
			query: openFunctions("function set_config", `'set_config'`, ` AND NOT EXISTS (SELECT FROM app WHERE rolsuper)`),
		},
		{
			ID: "language-usage", Severity: Medium, kinds: rows | schemas, injection: true, Title: "a runtime role may write functions",
			Why: "With DO a statement becomes a program: it loops, catches errors and so tries out what it wants.",
			query: `SELECT 'language ' || quote_ident(l.lanname), '', format('REVOKE USAGE ON LANGUAGE %I FROM PUBLIC, %s; -- grant it to the roles that own functions', l.lanname, cfg.who)
FROM pg_language l CROSS JOIN cfg WHERE l.lanpltrusted AND EXISTS (SELECT FROM priv WHERE has_language_privilege(priv.oid, l.oid, 'USAGE'))`,
		},
		{
			ID: "large-object-functions", Severity: Medium, kinds: rows | schemas, injection: true, Title: "a runtime role may make large objects",
			Why:   "They know no tenant: what one tenant puts there, another reads.",
			query: openFunctions("large object functions", `'lo_creat', 'lo_create', 'lo_from_bytea', 'lo_open', 'lo_get', 'lo_put', 'loread', 'lowrite', 'lo_unlink'`, ""),
		},
		{
			ID: "query-functions", Severity: Low, kinds: rows | schemas, injection: true, Title: "a runtime role may run statements given as text",
			Why:   "They turn one SELECT into any number of queries, and whole schemas into one value.",
			query: openFunctions("functions that run queries", `'query_to_xml', 'query_to_xmlschema', 'query_to_xml_and_xmlschema', 'cursor_to_xml', 'table_to_xml', 'schema_to_xml', 'schema_to_xmlschema', 'database_to_xml', 'database_to_xmlschema', 'ts_stat', 'ts_rewrite'`, ` AND (f.proname <> 'ts_rewrite' OR f.pronargs = 2)`),
		},
		{
			ID: "session-functions", Severity: Medium, kinds: rows | schemas, injection: true, Title: "a runtime role may look at, end or notify other tenants' sessions",
			Why:   "They run as the same role: what they run at the moment is shown, they can be ended, and what is sent on a channel reaches whoever listens.",
			query: openFunctions("functions over sessions", `'pg_stat_get_activity', 'pg_stat_get_backend_activity', 'pg_terminate_backend', 'pg_cancel_backend', 'pg_notify'`, ""),
		},
	}
}
