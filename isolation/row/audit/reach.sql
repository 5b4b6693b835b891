, runs AS (
  SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, c.relkind, c.relowner,
    c.relkind = 'v' AND coalesce((SELECT o.option_value::bool FROM pg_options_to_table(c.reloptions) o WHERE o.option_name = 'security_invoker'), false) AS invoker,
    c.relkind = 'm' OR c.relowner IN (SELECT oid FROM bypass) AS bypasses
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
),
edge AS (
  SELECT DISTINCT r.ev_class AS view, d.refobjid AS rel FROM pg_rewrite r
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
  WHERE r.rulename = '_RETURN'
),
-- What a view reads, and whether it does so as someone whom policies do not bind.
walk AS (
  SELECT v.oid AS top, e.rel, NOT v.invoker AND v.bypasses AS free FROM runs v JOIN edge e ON e.view = v.oid
  WHERE EXISTS (SELECT FROM held h WHERE has_table_privilege(h.oid, v.oid, 'SELECT,INSERT,UPDATE,DELETE') OR has_any_column_privilege(h.oid, v.oid, 'SELECT,INSERT,UPDATE'))
  UNION
  SELECT w.top, e.rel, CASE WHEN v.invoker THEN w.free ELSE v.bypasses END FROM walk w JOIN runs v ON v.oid = w.rel JOIN edge e ON e.view = v.oid
)
SELECT v.name AS object, CASE v.relkind WHEN 'm' THEN format('%I reads this materialized view, which has no row security and holds all tenants'' rows', cfg.rolname)
    ELSE format('%I reads all tenants'' rows through this view, which reads tables as a role that bypasses row security (its owner is %I)', cfg.rolname, (SELECT rolname FROM pg_roles WHERE oid = v.relowner)) END AS problem,
  CASE v.relkind WHEN 'm' THEN format('REVOKE ALL ON %s FROM PUBLIC, %I', v.name, cfg.rolname)
    ELSE format('ALTER VIEW %s SET (security_invoker = on), from PostgreSQL 15 on, or give it to an owner whom policies bind', v.name) END AS remedy
FROM runs v, cfg WHERE v.oid IN (SELECT top FROM walk WHERE free AND (rel IN (SELECT oid FROM ten) OR rel IN (SELECT oid FROM child)))
UNION ALL
SELECT format('%I.%I', n.nspname, c.relname), format('%I reaches it, it has the column %I, and ', cfg.rolname, cfg.col) ||
    CASE c.relkind WHEN 'f' THEN 'foreign tables have no row security' WHEN 'm' THEN 'materialized views have no row security' ELSE 'it is not among the tenant tables' END,
  format('REVOKE ALL ON %I.%I FROM PUBLIC, %I', n.nspname, c.relname, cfg.rolname) || CASE WHEN c.relkind IN ('r', 'p') THEN ', or name it in row.Tables and call Install' ELSE '' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN cfg
WHERE c.relkind IN ('r', 'p', 'f', 'm') AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'tenancy')
  AND c.oid NOT IN (SELECT oid FROM ten UNION ALL SELECT oid FROM child UNION ALL SELECT top FROM walk WHERE free)
  AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = cfg.col AND NOT a.attisdropped)
  AND EXISTS (SELECT FROM held h WHERE has_table_privilege(h.oid, c.oid, 'SELECT,INSERT,UPDATE,DELETE') OR has_any_column_privilege(h.oid, c.oid, 'SELECT,INSERT,UPDATE'))
UNION ALL
SELECT 'function ' || p.oid::regprocedure, CASE WHEN p.proowner IN (SELECT oid FROM bypass)
    THEN format('%I may call it, and it runs as %I, who bypasses row security', cfg.rolname, (SELECT rolname FROM pg_roles WHERE oid = p.proowner))
    ELSE format('%I may call it, and it runs as %I with whatever search_path the caller sets', cfg.rolname, (SELECT rolname FROM pg_roles WHERE oid = p.proowner)) END,
  CASE WHEN p.proowner IN (SELECT oid FROM bypass)
    THEN format('ALTER FUNCTION %s SECURITY INVOKER, or REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC, %I, or name it in row.AllowDefiner', p.oid::regprocedure, p.oid::regprocedure, cfg.rolname)
    ELSE format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', p.oid::regprocedure) END
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace CROSS JOIN cfg
WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
  AND (p.proowner IN (SELECT oid FROM bypass) OR (p.prosqlbody IS NULL AND coalesce(array_to_string(p.proconfig, ','), '') !~ '(^|,)search_path='))
  AND (n.nspname || '.' || p.proname = ANY (cfg.functions)) IS NOT TRUE
  AND EXISTS (SELECT FROM held h WHERE has_function_privilege(h.oid, p.oid, 'EXECUTE'))
UNION ALL
SELECT t.name, format('its rule %I acts as %I, who bypasses row security', r.rulename, (SELECT rolname FROM bypass WHERE oid = t.relowner)), format('DROP RULE %I ON %s', r.rulename, t.name)
FROM ten t JOIN pg_rewrite r ON r.ev_class = t.oid WHERE t.relowner IN (SELECT oid FROM bypass)
UNION ALL
SELECT 'large objects', format('%I owns %s of them, and they have no row security', cfg.rolname, count(*)), 'keep such data in a bytea column of a tenant table, and lo_unlink them'
FROM pg_largeobject_metadata m JOIN held h ON h.oid = m.lomowner CROSS JOIN cfg GROUP BY cfg.rolname
