SELECT quote_ident(h.rolname) AS object, 'the runtime role ' ||
    CASE WHEN h.oid = cfg.role THEN '' ELSE quote_ident(cfg.rolname) || ' is a member of it, and it ' END || p.problem AS problem,
  CASE WHEN h.oid = cfg.role THEN format(p.remedy, h.rolname) ELSE format('REVOKE %I FROM %I', h.rolname, cfg.rolname) END AS remedy
FROM held h CROSS JOIN cfg CROSS JOIN LATERAL (VALUES
    (h.rolsuper, 'is a superuser, whom no policy binds', 'ALTER ROLE %I NOSUPERUSER, or connect as a role made by postgres.EnsureRole'),
    (h.rolbypassrls AND NOT h.rolsuper, 'bypasses row security', 'ALTER ROLE %I NOBYPASSRLS'),
    (h.rolcreaterole AND NOT h.rolsuper, 'may make itself other roles', 'ALTER ROLE %I NOCREATEROLE'),
    (h.rolreplication AND NOT h.rolsuper, 'reads every row by replication', 'ALTER ROLE %I NOREPLICATION'),
    (h.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'), 'reaches the server''s own files', '')
  ) AS p(wrong, problem, remedy)
WHERE p.wrong AND (h.oid = cfg.role OR NOT EXISTS (SELECT FROM held me WHERE me.oid = cfg.role AND me.rolsuper))
UNION ALL
SELECT o.object, 'the runtime role ' || quote_ident(cfg.rolname) || ' owns it' || CASE WHEN h.oid = cfg.role THEN '' ELSE ' through ' || quote_ident(h.rolname) END ||
    ', so it may undo the policies', o.remedy || CASE WHEN h.oid = cfg.role THEN '' ELSE format(', or REVOKE %I FROM %I', h.rolname, cfg.rolname) END
FROM cfg, held h JOIN (
    SELECT name, relowner, format('ALTER TABLE %s OWNER TO another role', name) FROM ten
    UNION ALL
    SELECT name, (SELECT relowner FROM pg_class WHERE pg_class.oid = child.oid), format('ALTER TABLE %s OWNER TO another role', name) FROM child
    UNION ALL
    SELECT 'schema ' || quote_ident(nspname), nspowner, format('ALTER SCHEMA %I OWNER TO another role', nspname)
    FROM pg_namespace WHERE nspname = 'tenancy' OR oid IN (SELECT nsp FROM ten)
    UNION ALL
    SELECT 'function ' || p.oid::regprocedure, proowner, format('ALTER FUNCTION %s OWNER TO another role', p.oid::regprocedure)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'tenancy'
    UNION ALL
    SELECT 'database ' || quote_ident(datname), datdba, format('ALTER DATABASE %I OWNER TO another role', datname) FROM pg_database WHERE datname = current_database()
  ) AS o(object, owner, remedy) ON o.owner = h.oid
WHERE NOT EXISTS (SELECT FROM held WHERE rolsuper)
UNION ALL
SELECT quote_ident(current_user), 'the session runs as another role than ' || quote_ident(session_user) || ', which logged in',
  format('ALTER ROLE %I RESET role', session_user)
FROM cfg WHERE cfg.live AND current_user <> session_user
