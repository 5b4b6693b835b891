SELECT 'function pg_catalog.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS object,
  format('%I may call it, which %s', cfg.rolname, w.does) AS problem,
  format('REVOKE EXECUTE ON FUNCTION %1$s FROM PUBLIC, %2$I; GRANT EXECUTE ON FUNCTION %1$s TO %3$s', q.function, cfg.rolname,
    CASE WHEN w.monitoring THEN 'pg_monitor' ELSE coalesce((SELECT quote_ident(r.rolname) FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE n.nspname = 'tenancy'), 'pg_monitor') END) AS remedy
FROM cfg CROSS JOIN (VALUES
    ('^set_config$', 'changes settings inside a SELECT', false),
    ('^(lo_.*|loread|lowrite)$', 'reaches large objects, which know no tenant', false),
    ('^(query|cursor|table|schema|database)_to_xml', 'runs text as SQL', false),
    ('^(ts_stat|ts_rewrite)$', 'runs text as SQL', false),
    ('^pg_notify$', 'sends to the sessions of other tenants', false),
    ('^(pg_stat_get_activity|pg_stat_get_backend_activity)$', 'shows what other sessions run', true),
    ('^(pg_terminate_backend|pg_cancel_backend)$', 'ends the statements of other tenants', true)
  ) AS w(pattern, does, monitoring)
JOIN pg_proc p ON p.proname ~ w.pattern AND p.pronamespace = 'pg_catalog'::regnamespace
CROSS JOIN LATERAL (SELECT format('pg_catalog.%I(%s)', p.proname, pg_get_function_identity_arguments(p.oid)) AS function) q
WHERE EXISTS (SELECT FROM held h WHERE has_function_privilege(h.oid, p.oid, 'EXECUTE'))
  AND (p.proname <> 'ts_rewrite' OR p.pronargs = 2)
UNION ALL
SELECT 'function ' || p.oid::regprocedure, format('%I may call it, and it reaches other servers, or this one under another name', cfg.rolname),
  format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC, %I', p.oid::regprocedure, cfg.rolname)
FROM cfg JOIN pg_proc p ON p.proname ~ '^dblink' JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'dblink'
WHERE EXISTS (SELECT FROM held h WHERE has_function_privilege(h.oid, p.oid, 'EXECUTE'))
UNION ALL
SELECT 'language ' || quote_ident(l.lanname), format('%I may run code of its own in it', cfg.rolname),
  format('GRANT USAGE ON LANGUAGE %I TO %s; REVOKE USAGE ON LANGUAGE %I FROM PUBLIC, %I', l.lanname, keep.roles, l.lanname, cfg.rolname)
FROM cfg CROSS JOIN pg_language l CROSS JOIN LATERAL (
    SELECT string_agg(DISTINCT quote_ident(r.rolname), ', ') AS roles FROM pg_roles r
    WHERE r.rolname = current_user OR r.oid IN (SELECT relowner FROM ten) OR r.oid IN (SELECT nspowner FROM pg_namespace WHERE nspname = 'tenancy')
  ) keep
WHERE l.lanpltrusted AND EXISTS (SELECT FROM held h WHERE has_language_privilege(h.oid, l.oid, 'USAGE'))
