-- What all audits start from. $1: runtime role, or null for whoever asks; $2: tenant column; $3: tables as
-- 'schema.table', or null for every table with that column; $4: keys and $5: functions that are excepted;
-- $6: mode.
WITH RECURSIVE cfg AS (
  SELECT r.oid AS role, r.rolname, $1::text IS NULL AS live, $2::text AS col, $3::text[] AS names, $4::text[] AS keys, $5::text[] AS functions, $6::text AS mode
  FROM pg_roles r WHERE r.rolname = coalesce($1::name, session_user)
),
-- The runtime role, and every role whose rights it has or can take on.
held AS (
  SELECT r.oid, r.rolname, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolreplication
  FROM pg_roles r, cfg WHERE pg_has_role(cfg.role, r.oid, 'MEMBER')
),
bypass AS (SELECT oid, rolname FROM pg_roles WHERE rolsuper OR rolbypassrls),
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
-- The tenant tables. Partitions and children that were not named go with their parents.
ten AS (
  SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, n.oid AS nsp, n.nspname, c.relowner, c.relrowsecurity, c.relforcerowsecurity,
    a.attnum AS col, a.attnotnull, a.atttypid, a.attcollation
  FROM chosen JOIN pg_class c ON c.oid = chosen.oid JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN cfg
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = cfg.col AND NOT a.attisdropped
  WHERE cfg.names IS NOT NULL OR c.oid NOT IN (SELECT oid FROM descent)
),
child AS (
  SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name
  FROM descent JOIN pg_class c ON c.oid = descent.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid NOT IN (SELECT oid FROM ten)
)
