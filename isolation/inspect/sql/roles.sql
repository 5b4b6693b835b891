-- The runtime roles, and every role whose rights they have or can take on. A superuser has
-- all rights, which one finding says.
reach(app, oid) AS (
  SELECT oid, oid FROM app
  UNION
  SELECT r.app, m.roleid FROM reach r JOIN pg_auth_members m ON m.member = r.oid
),
held AS MATERIALIZED (
  SELECT a.oid AS app, a.rolname AS appname, r.oid, r.rolname, r.oid = a.oid AS self, r.rolsuper, r.rolbypassrls, r.rolcreaterole,
    r.rolcreatedb, r.rolreplication, r.rolinherit,
    -- the memberships of the runtime role that lead here
    (SELECT string_agg(quote_ident(g.rolname), ', ' ORDER BY g.rolname) FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
      WHERE m.member = a.oid AND (g.oid = r.oid OR NOT g.rolsuper AND pg_has_role(g.oid, r.oid, 'MEMBER'))) AS via
  FROM reach h JOIN app a ON a.oid = h.app JOIN pg_roles r ON r.oid = h.oid
),
priv AS MATERIALIZED (SELECT DISTINCT oid FROM held WHERE NOT rolsuper)
