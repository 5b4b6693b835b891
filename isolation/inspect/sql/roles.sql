-- The runtime roles, and every role whose rights they have or can take on. A superuser has
-- all rights, which one finding says.
joins AS (
  SELECT member, roleid FROM pg_auth_members
  UNION ALL
  SELECT d.datdba, r.oid FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = 'pg_database_owner'
),
reach(app, oid) AS (
  SELECT oid, oid FROM app
  UNION
  SELECT r.app, j.roleid FROM reach r JOIN joins j ON j.member = r.oid JOIN pg_roles m ON m.oid = r.oid AND NOT m.rolsuper
),
held AS MATERIALIZED (
  SELECT a.oid AS app, a.rolname AS appname, r.oid, r.rolname, r.oid = a.oid AS self, r.rolsuper, r.rolbypassrls, r.rolcreaterole,
    r.rolcreatedb, r.rolreplication, r.rolinherit,
    -- the SQL that ends the memberships which lead here
    coalesce((SELECT format('REVOKE %s FROM %I;', string_agg(quote_ident(g.rolname), ', ' ORDER BY g.rolname), a.rolname) FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
      WHERE m.member = a.oid AND (g.oid = r.oid OR NOT g.rolsuper AND pg_has_role(g.oid, r.oid, 'MEMBER')) HAVING count(*) > 0),
      format('ALTER DATABASE %I OWNER TO CURRENT_USER;', current_database())) AS leave
  FROM reach h JOIN app a ON a.oid = h.app JOIN pg_roles r ON r.oid = h.oid
),
priv AS MATERIALIZED (SELECT DISTINCT oid FROM held WHERE NOT rolsuper)
