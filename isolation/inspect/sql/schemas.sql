-- The homes, and what statements of tenants run as: login roles and tenants' roles.
given AS MATERIALIZED (SELECT x ->> 'name' AS name, x ->> 'role' AS role, x ->> 'owner' AS owner FROM cfg, jsonb_array_elements(cfg.j -> 'homes') x),
homes AS MATERIALIZED (
  SELECT n.oid AS schema, n.nspname, n.nspowner, r.oid AS role, r.rolname, o.oid AS owner, r.rolcanlogin
  FROM given h JOIN pg_namespace n ON n.nspname = h.name JOIN pg_roles r ON r.rolname = h.role JOIN pg_roles o ON o.rolname = h.owner OR h.owner = '' AND o.oid = n.nspowner
),
app AS MATERIALIZED (
  SELECT oid, rolname, rolsuper FROM login
  UNION
  SELECT r.oid, r.rolname, r.rolsuper FROM homes JOIN pg_roles r ON r.oid = homes.role
),
-- Whether tenants' roles log in by themselves, as with schema.LoginRoles.
tier AS MATERIALIZED (SELECT count(*) FILTER (WHERE rolcanlogin) * 2 > count(*) AS logs_in FROM homes),
ten AS MATERIALIZED (
  SELECT c.oid, format('%I.%I', h.nspname, c.relname) AS name, h.schema AS nsp, h.nspname, c.relowner
  FROM pg_class c JOIN homes h ON h.schema = c.relnamespace WHERE c.relkind IN ('r', 'p')
),
-- All rights that anyone has, column by column. Grantee 0 is PUBLIC. Rights that nobody changed are null in
-- the catalog, and acldefault tells what they are.
rights AS MATERIALIZED (
  SELECT n.oid AS schema, n.nspname, 'schema ' || quote_ident(n.nspname) AS object, 'SCHEMA ' || quote_ident(n.nspname) AS noun, a.grantee, a.privilege_type AS privilege, 'n' AS kind
  FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
  UNION ALL
  SELECT c.relnamespace, n.nspname, CASE c.relkind WHEN 'S' THEN 'sequence ' ELSE '' END || format('%I.%I', n.nspname, c.relname),
    CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || format('%I.%I', n.nspname, c.relname), a.grantee, a.privilege_type, c.relkind::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
    aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, c.relowner))) a
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT c.relnamespace, n.nspname, format('%I.%I', n.nspname, c.relname), format('TABLE %I.%I', n.nspname, c.relname), a.grantee, a.privilege_type || format(' (%I)', t.attname), c.relkind::text
  FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(t.attacl) a
  WHERE t.attacl IS NOT NULL
  UNION ALL
  SELECT p.pronamespace, n.nspname, 'function ' || p.oid::regprocedure, 'ROUTINE ' || p.oid::regprocedure, a.grantee, a.privilege_type, 'p'
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
),
