SELECT t.name AS object, p.problem, 'call Install' AS remedy
FROM ten t CROSS JOIN cfg CROSS JOIN LATERAL (
    SELECT CASE t.atttypid WHEN 'uuid'::regtype THEN 'current_tenant_uuid' ELSE 'current_tenant' END AS name
  ) f CROSS JOIN LATERAL (
    SELECT format('tenancy.%s()', f.name) AS call, format('(%s = ( SELECT tenancy.%s() AS %s))',
      CASE t.atttypid WHEN 'varchar'::regtype THEN format('(%I)::text', cfg.col) ELSE quote_ident(cfg.col) END, f.name, f.name) AS expr
  ) want CROSS JOIN LATERAL (
    SELECT 'row security is off' WHERE NOT t.relrowsecurity
    UNION ALL
    SELECT 'row security is not forced, so its owner''s views and functions see every row' WHERE t.relrowsecurity AND NOT t.relforcerowsecurity
    UNION ALL
    SELECT CASE WHEN own.polname IS NULL THEN format('policy %I is missing', k.name) ELSE format('policy %I is not as Install makes it', k.name) END
    FROM (VALUES ('tenancy_allow'::name, true), ('tenancy_only'::name, false)) AS k(name, permissive)
    LEFT JOIN pg_policy own ON own.polrelid = t.oid AND own.polname = k.name
    WHERE (own.polpermissive = k.permissive AND own.polcmd = '*' AND own.polroles = '{0}'
      AND pg_get_expr(own.polqual, t.oid) = want.expr AND pg_get_expr(own.polwithcheck, t.oid) = want.expr) IS NOT TRUE
    UNION ALL
    SELECT format('column %I is not filled in with the tenant on INSERT', cfg.col)
    WHERE NOT EXISTS (SELECT FROM pg_attrdef d WHERE d.adrelid = t.oid AND d.adnum = t.col AND pg_get_expr(d.adbin, d.adrelid) = want.call)
  ) AS p(problem)
WHERE t.col IS NOT NULL
