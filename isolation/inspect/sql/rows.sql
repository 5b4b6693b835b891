app AS MATERIALIZED (SELECT * FROM login),
chosen AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, cfg
  WHERE c.relkind IN ('r', 'p') AND CASE
    WHEN cfg.names IS NOT NULL THEN n.nspname || '.' || c.relname = ANY (cfg.names)
    ELSE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'tenancy')
      AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = cfg.col AND NOT a.attisdropped)
    END
),
descent AS (
  SELECT i.inhrelid AS oid FROM pg_inherits i JOIN chosen ON chosen.oid = i.inhparent
  UNION
  SELECT i.inhrelid FROM pg_inherits i JOIN descent d ON d.oid = i.inhparent
),
-- The tenant tables. Partitions and children that were not named go with their parents. call is what
-- a session's tenant is read by, want the condition that binds a row to it.
ten AS MATERIALIZED (
  SELECT t.*, format('(%s = ( SELECT %s))', quote_ident(t.colname), t.call) AS want FROM (
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, n.oid AS nsp, n.nspname, c.relowner, c.relrowsecurity, c.relforcerowsecurity,
      a.attnum AS col, cfg.col AS colname, a.attnotnull, a.atttypid, a.attcollation,
      CASE WHEN to_regprocedure('tenancy.current_tenant()') IS NULL OR a.atttypid NOT IN ('text'::regtype, 'varchar'::regtype, 'uuid'::regtype)
        THEN format('NULLIF(current_setting(''tenancy.tenant'', true), '''')::%s', format_type(coalesce(a.atttypid, 'text'::regtype), NULL))
        WHEN a.atttypid = 'uuid'::regtype THEN 'tenancy.current_tenant_uuid()'
        ELSE 'tenancy.current_tenant()' END AS call
    FROM chosen JOIN pg_class c ON c.oid = chosen.oid JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN cfg
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = cfg.col AND NOT a.attisdropped
    WHERE cfg.names IS NOT NULL OR c.oid NOT IN (SELECT oid FROM descent)
  ) t
),
child AS MATERIALIZED (
  SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, c.relowner
  FROM descent JOIN pg_class c ON c.oid = descent.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid NOT IN (SELECT oid FROM ten)
),
-- Policies of tenant tables that apply to a runtime role. For each condition the caller has found out what it
-- does about the tenant: 0 nothing, 1 it fails open, 2 it binds.
read AS (SELECT (x ->> 'policy')::oid AS oid, (x ->> 'using')::int AS reads, (x ->> 'check')::int AS checks FROM cfg, jsonb_array_elements(cfg.j -> 'policies') x),
pol AS MATERIALIZED (
  SELECT p.oid, p.polname, p.polrelid, t.name, p.polpermissive, p.polcmd, read.reads, read.checks,
    pg_get_expr(p.polqual, p.polrelid) AS qual, pg_get_expr(p.polwithcheck, p.polrelid) AS withcheck
  FROM pg_policy p JOIN ten t ON t.oid = p.polrelid JOIN read ON read.oid = p.oid
  WHERE p.polroles = '{0}' OR EXISTS (SELECT FROM unnest(p.polroles) x(o) JOIN priv ON priv.oid = x.o)
),
-- Tables that a restrictive policy keeps apart whatever permissive ones say.
net AS MATERIALIZED (
  SELECT DISTINCT p.polrelid AS oid FROM pg_policy p JOIN read ON read.oid = p.oid
  WHERE NOT p.polpermissive AND p.polcmd = '*' AND p.polroles = '{0}' AND read.reads = 2 AND read.checks = 2
),
-- The functions that policies of tenant tables call, and those of schema tenancy, which these call.
calls AS MATERIALIZED (
  SELECT p.* FROM pg_proc p WHERE p.oid IN (
    SELECT d.refobjid FROM pg_depend d JOIN pg_policy y ON d.classid = 'pg_policy'::regclass AND d.objid = y.oid JOIN ten ON ten.oid = y.polrelid
    WHERE d.refclassid = 'pg_proc'::regclass
    UNION ALL
    SELECT f.oid FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace WHERE n.nspname = 'tenancy')
),
-- Everything with rows in it that is not PostgreSQL's, and what a runtime role may do to it.
rel AS MATERIALIZED (
  SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, n.nspname, c.relkind, c.relowner, t.col,
    c.oid IN (SELECT oid FROM ten) AS ten, c.oid IN (SELECT oid FROM child) AS child,
    EXISTS (SELECT FROM priv WHERE has_table_privilege(priv.oid, c.oid, 'SELECT') OR has_any_column_privilege(priv.oid, c.oid, 'SELECT')) AS reads,
    EXISTS (SELECT FROM priv WHERE has_table_privilege(priv.oid, c.oid, 'INSERT,UPDATE,DELETE,TRUNCATE') OR has_any_column_privilege(priv.oid, c.oid, 'INSERT,UPDATE')) AS writes
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN cfg
  LEFT JOIN LATERAL (SELECT a.attnum AS col FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = cfg.col AND NOT a.attisdropped) t ON true
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
),
runs AS MATERIALIZED (
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
-- What a reachable view reads, and whether it does so as someone whom policies do not bind.
walk AS (
  SELECT v.oid AS top, e.rel, NOT v.invoker AND v.bypasses AS free, NOT v.invoker AS definer FROM runs v JOIN rel ON rel.oid = v.oid AND (rel.reads OR rel.writes) JOIN edge e ON e.view = v.oid
  UNION
  SELECT w.top, e.rel, CASE WHEN v.invoker THEN w.free ELSE v.bypasses END, w.definer OR NOT v.invoker
  FROM walk w JOIN runs v ON v.oid = w.rel JOIN edge e ON e.view = v.oid
),
leads AS MATERIALIZED (
  SELECT w.top AS oid, bool_or(w.free) AS free, bool_or(w.definer) AS definer,
    bool_or(w.top IN (SELECT u.top FROM walk u JOIN runs m ON m.oid = u.rel AND m.relkind = 'm')) AS stored -- through a materialized view
  FROM walk w
  WHERE w.rel IN (SELECT oid FROM ten) OR w.rel IN (SELECT oid FROM child) GROUP BY 1
),
