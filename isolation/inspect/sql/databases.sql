-- The tenants' databases and their template, those who may do something to them, and
-- the role that a tenant's statements run as in each.
app AS MATERIALIZED (SELECT * FROM login),
given AS MATERIALIZED (SELECT x ->> 'name' AS name, x ->> 'role' AS role FROM cfg, jsonb_array_elements(cfg.j -> 'homes') x),
ours AS MATERIALIZED (
  SELECT d.oid, d.datname, quote_ident(d.datname) AS name, d.datdba, d.datallowconn, d.datistemplate, coalesce(d.datacl, acldefault('d', d.datdba)) AS acl,
    given.name IS NULL AND d.datname::text = cfg.prefix || '_template' AS template,
    (SELECT r.oid FROM pg_roles r WHERE r.rolname = given.role) AS role
  FROM pg_database d CROSS JOIN cfg LEFT JOIN given ON given.name = d.datname
  WHERE given.name IS NOT NULL OR cfg.prefix <> '' AND starts_with(d.datname::text, cfg.prefix) AND starts_with(shobj_description(d.oid, 'pg_database'), 'tenancy: ')
),
rights AS MATERIALIZED (
  SELECT o.oid, o.datname, o.name, o.template, o.datdba, o.role, a.grantee, a.privilege_type AS privilege FROM ours o, aclexplode(o.acl) a
),
ten AS (SELECT NULL::oid AS oid, NULL::text AS name, NULL::oid AS relowner WHERE false),
