package inspect

func serverLints() []Lint {
	all := rows | schemas | databases
	return []Lint{
		{
			ID: "function-server", Severity: Critical, kinds: all, Title: "a runtime role may call functions that reach the server's files or its log",
			Why: "PostgreSQL grants them to nobody but superusers and its own roles: they read files of other databases, write files, or decode all changes.",
			query: `SELECT 'function ' || f.oid::regprocedure, '', format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC, %s;', f.oid::regprocedure, cfg.who)
FROM pg_proc f CROSS JOIN cfg WHERE f.proname IN ('pg_read_file', 'pg_read_binary_file', 'pg_stat_file', 'pg_ls_dir',
  'lo_import', 'lo_export', 'pg_file_write', 'pg_file_read', 'pg_file_rename', 'pg_file_unlink', 'pg_file_sync', 'pg_logdir_ls', 'pg_reload_conf', 'pg_rotate_logfile', 'pg_switch_wal',
  'pg_promote', 'pg_create_restore_point', 'pg_replication_origin_create', 'pg_stat_reset')
  AND (f.pronamespace = 'pg_catalog'::regnamespace OR f.oid IN (SELECT objid FROM ext WHERE classid = 'pg_proc'::regclass))
  AND EXISTS (SELECT FROM priv WHERE has_function_privilege(priv.oid, f.oid, 'EXECUTE'))`,
		},
		{
			ID: "catalog-readable", Severity: Critical, kinds: all, Title: "a runtime role may read a private catalog",
			Why: "They hold password hashes, stored credentials, large objects and samples of all tenants' values.",
			query: `SELECT format('%I.%I', 'pg_catalog', c.relname), '', format('REVOKE ALL ON pg_catalog.%I FROM PUBLIC, %s;', c.relname, cfg.who)
FROM pg_class c CROSS JOIN cfg WHERE c.relnamespace = 'pg_catalog'::regnamespace
  AND c.relname IN ('pg_authid', 'pg_shadow', 'pg_statistic', 'pg_statistic_ext_data', 'pg_user_mapping', 'pg_largeobject', 'pg_hba_file_rules', 'pg_file_settings')
  AND EXISTS (SELECT FROM priv WHERE has_any_column_privilege(priv.oid, c.oid, 'SELECT'))`,
		},
		{
			ID: "dblink", Severity: High, kinds: all, Title: "a runtime role may call dblink",
			Why: "It opens connections from the server itself, past the pool, to whatever database accepts it there: as another role, it is another tenant.",
			query: `SELECT 'extension dblink', string_agg(f.proname, ', ' ORDER BY f.proname), '-- DROP EXTENSION dblink; or for each of these: REVOKE EXECUTE ON FUNCTION … FROM PUBLIC'
FROM (SELECT DISTINCT f.proname FROM pg_proc f JOIN ext ON ext.classid = 'pg_proc'::regclass AND ext.objid = f.oid
  WHERE f.proname IN ('dblink', 'dblink_connect', 'dblink_connect_u', 'dblink_exec', 'dblink_send_query', 'dblink_open')
    AND EXISTS (SELECT FROM priv WHERE has_function_privilege(priv.oid, f.oid, 'EXECUTE'))) f HAVING count(*) > 0`,
		},
		{
			ID: "foreign-server", Severity: High, kinds: all, Title: "a runtime role may use a foreign server or a foreign-data wrapper",
			Why: "It makes foreign tables of its own there, or connects with credentials that somebody stored.",
			query: `SELECT o.object, o.detail, o.remedy FROM (
  SELECT 'server ' || quote_ident(s.srvname), 'USAGE', format('REVOKE USAGE ON FOREIGN SERVER %I FROM PUBLIC, %s;', s.srvname, cfg.who) FROM pg_foreign_server s, cfg
  WHERE EXISTS (SELECT FROM priv WHERE has_server_privilege(priv.oid, s.oid, 'USAGE'))
  UNION ALL
  SELECT 'wrapper ' || quote_ident(w.fdwname), 'USAGE', format('REVOKE USAGE ON FOREIGN DATA WRAPPER %I FROM PUBLIC, %s;', w.fdwname, cfg.who) FROM pg_foreign_data_wrapper w, cfg
  WHERE EXISTS (SELECT FROM priv WHERE has_foreign_data_wrapper_privilege(priv.oid, w.oid, 'USAGE'))
  UNION ALL
  SELECT 'server ' || quote_ident(m.srvname), format('user mapping for %s', CASE m.umuser WHEN 0 THEN 'PUBLIC' ELSE quote_ident(m.usename) END),
    format('DROP USER MAPPING FOR %s SERVER %I;', CASE m.umuser WHEN 0 THEN 'PUBLIC' ELSE quote_ident(m.usename) END, m.srvname)
  FROM pg_user_mappings m WHERE m.umuser = 0 OR m.umuser IN (SELECT oid FROM priv)
) AS o(object, detail, remedy)`,
		},
		{
			ID: "extension", Severity: Low, kinds: all, Title: "an extension is installed that reaches past isolation",
			Why: "Its functions are granted to nobody by default, or check by themselves: one GRANT, or one definer function around them, opens all tenants' rows.",
			query: `SELECT 'extension ' || quote_ident(e.extname), k.what, format('DROP EXTENSION %I; -- if nothing needs it', e.extname)
FROM pg_extension e JOIN (VALUES
  ('adminpack', 'writes files of the server'), ('file_fdw', 'reads files of the server'), ('postgres_fdw', 'connects to other servers'), ('dblink', 'connects to other servers'),
  ('pageinspect', 'reads the pages of tables'), ('pg_walinspect', 'reads all changes'), ('pg_surgery', 'changes the pages of tables'), ('pg_buffercache', 'shows what is read'),
  ('pg_visibility', 'reads the pages of tables'), ('xml2', 'reads documents'), ('http', 'sends requests'), ('pg_net', 'sends requests'), ('pg_cron', 'runs statements later'),
  ('aws_s3', 'sends data away'), ('aws_lambda', 'sends data away'), ('plpython3u', 'runs as the server'), ('plperlu', 'runs as the server'), ('pltclu', 'runs as the server'), ('plsh', 'runs as the server'), ('plr', 'runs as the server')
) AS k(name, what) ON k.name = e.extname`,
		},
		{
			ID: "statements-visible", Severity: Low, kinds: all, Title: "a runtime role may read the statements of all tenants",
			Why: "They ran as the same role, so their text is shown: normalised, but for utility commands and literals that survived.",
			query: `SELECT format('%I.%I', n.nspname, c.relname), '', format('REVOKE SELECT ON %I.%I FROM PUBLIC, %s;', n.nspname, c.relname, cfg.who)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN ext ON ext.classid = 'pg_class'::regclass AND ext.objid = c.oid CROSS JOIN cfg
WHERE c.relname = 'pg_stat_statements' AND EXISTS (SELECT FROM priv WHERE has_table_privilege(priv.oid, c.oid, 'SELECT'))`,
		},
		{
			ID: "language-untrusted", Severity: High, kinds: all, Title: "an untrusted language is there",
			Why: "Functions in it run as the server itself: they read every file and every database. One with a bug is enough.",
			query: `SELECT 'language ' || quote_ident(l.lanname), '', format('DROP LANGUAGE %I; -- and what is written in it', l.lanname)
FROM pg_language l WHERE NOT l.lanpltrusted AND l.lanname NOT IN ('internal', 'c')`,
		},
		{
			ID: "function-native", Severity: High, kinds: all, Title: "a runtime role may call native code that no extension brought",
			Why: "Code in C is bound by nothing, and nobody versions or updates this function.",
			query: `SELECT 'function ' || f.oid::regprocedure, coalesce(f.probin, f.prosrc), format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC, %s;', f.oid::regprocedure, cfg.who)
FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace JOIN pg_language l ON l.oid = f.prolang CROSS JOIN cfg
WHERE l.lanname IN ('c', 'internal') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND f.oid NOT IN (SELECT objid FROM ext WHERE classid = 'pg_proc'::regclass)
  AND EXISTS (SELECT FROM priv WHERE has_function_privilege(priv.oid, f.oid, 'EXECUTE'))`,
		},
		{
			ID: "function-leakproof", Severity: High, kinds: rows, Title: "a function is marked LEAKPROOF that does not come with PostgreSQL so",
			Why: "PostgreSQL calls it on all tenants' rows, before the policies: what it raises, logs or stores shows them.",
			query: `SELECT 'function ' || f.oid::regprocedure, '', format('ALTER FUNCTION %s NOT LEAKPROOF;', f.oid::regprocedure)
FROM pg_proc f WHERE f.proleakproof AND f.oid NOT IN (SELECT objid FROM ext WHERE classid = 'pg_proc'::regclass)
  AND (f.oid >= 16384 OR f.proname IN ('numeric_eq', 'numeric_lt', 'numeric_gt', 'textlike', 'texticlike', 'lower', 'upper', 'jsonb_contains', 'jsonb_exists', 'arrayoverlap', 'arraycontains', 'ts_match_vq'))`,
		},
		{
			ID: "publication", Severity: High, kinds: rows | schemas, Title: "tenant tables are published",
			Why: "Row security does not filter what subscribers get: all tenants' rows go wherever a subscription is made.",
			query: `SELECT 'publication ' || quote_ident(p.pubname), CASE WHEN p.puballtables THEN 'all tables' ELSE string_agg(t.name, ', ' ORDER BY t.name) END,
  CASE WHEN p.puballtables THEN format('DROP PUBLICATION %I;', p.pubname) ELSE format('ALTER PUBLICATION %I DROP TABLE %s;', p.pubname, string_agg(t.name, ', ' ORDER BY t.name)) END
FROM pg_publication p JOIN ten t ON p.puballtables OR EXISTS (SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = t.oid) GROUP BY p.pubname, p.puballtables`,
		},
		{
			ID: "publication-schema", Severity: High, kinds: rows | schemas, since: 150000, Title: "the schema of tenant tables is published",
			Why: "Row security does not filter what subscribers get, and tables that are made later are published by themselves.",
			query: `SELECT DISTINCT 'publication ' || quote_ident(p.pubname), 'all tables in schema ' || quote_ident(t.nspname), format('ALTER PUBLICATION %I DROP TABLES IN SCHEMA %I;', p.pubname, t.nspname)
FROM pg_publication p JOIN pg_publication_namespace n ON n.pnpubid = p.oid JOIN ten t ON t.nsp = n.pnnspid`,
		},
		{
			ID: "event-trigger", Severity: High, kinds: all, Title: "an event trigger's function belongs to someone who is no superuser",
			Why: "It runs with the rights of whoever changes the schema, a superuser sooner or later, and its owner decides what it does.",
			query: `SELECT 'event trigger ' || quote_ident(e.evtname), format('%s belongs to %I', f.oid::regprocedure, o.rolname), format('ALTER FUNCTION %s OWNER TO CURRENT_USER; -- after reading it', f.oid::regprocedure)
FROM pg_event_trigger e JOIN pg_proc f ON f.oid = e.evtfoid JOIN pg_roles o ON o.oid = f.proowner WHERE NOT o.rolsuper`,
		},
		{
			ID: "parameter-set", Severity: High, kinds: all, since: 150000, Title: "a runtime role may set parameters of superusers",
			Why: "With session_replication_role, triggers and foreign keys do not fire; others load libraries or change the log.",
			query: `SELECT 'parameter ' || p.parname, string_agg(DISTINCT a.privilege_type, ', '), format('REVOKE ALL ON PARAMETER %s FROM PUBLIC, %s;', p.parname, cfg.who)
FROM pg_parameter_acl p CROSS JOIN cfg CROSS JOIN aclexplode(p.paracl) a WHERE a.grantee = 0 OR a.grantee IN (SELECT oid FROM priv) GROUP BY p.parname, cfg.who`,
		},
		{
			ID: "server-setting", Severity: High, kinds: all, Title: "a setting of the server lifts access control",
			Why: "lo_compat_privileges opens all large objects to everyone; allow_system_table_mods lets owners change the catalog.",
			query: `SELECT 'setting ' || s.name, s.source, CASE s.source WHEN 'database' THEN format('ALTER DATABASE %s RESET %I;', cfg.db, s.name) ELSE format('ALTER SYSTEM RESET %I; -- then reload', s.name) END
FROM pg_settings s, cfg WHERE s.name IN ('lo_compat_privileges', 'allow_system_table_mods') AND s.setting = 'on'`,
		},
		{
			ID: "server-version", Severity: High, kinds: all, Title: "the server lacks fixes that isolation needs",
			Why: "Known faults let planner statistics, cached plans or roles show rows that policies hide.",
			query: `SELECT 'server', format('%s.%s lacks the fix of %s', cfg.version / 10000, cfg.version % 10000, string_agg(c.id, ', ' ORDER BY c.id)), '-- update to the newest release of a major version that is still maintained'
FROM cfg JOIN (VALUES
  ('CVE-2023-2455 (policies and inlined functions)', ARRAY[140008, 150003]),
  ('CVE-2023-39418 (MERGE past policies)', ARRAY[150004]),
  ('CVE-2024-10976 (policies in cached plans)', ARRAY[140014, 150009, 160005, 170001]),
  ('CVE-2024-10978 (SET ROLE)', ARRAY[140014, 150009, 160005, 170001]),
  ('CVE-2025-8713 (statistics)', ARRAY[140019, 150014, 160010, 170006])
) AS c(id, fixed) ON EXISTS (SELECT FROM unnest(c.fixed) f WHERE cfg.version < f AND f / 10000 = cfg.version / 10000) GROUP BY cfg.version`,
		},
	}
}
