joins AS (
  SELECT member, roleid FROM pg_auth_members
  UNION
  SELECT d.datdba, r.oid FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = 'pg_database_owner'
),
-- hop is the membership of the runtime role itself that leads to oid.
reach(app, oid, hop) AS (
  SELECT oid, oid, NULL::oid FROM app
  UNION
  SELECT r.app, j.roleid, coalesce(r.hop, j.roleid) FROM reach r JOIN joins j ON j.member = r.oid JOIN pg_roles m ON m.oid = r.oid AND NOT m.rolsuper
),
-- The runtime roles, and every role whose rights they have or can take on, with the SQL that ends it. A superuser has
-- all rights, which one finding says.
held AS MATERIALIZED (
  SELECT h.*, a.rolname AS appname, r.rolname, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb, r.rolreplication
  FROM (
    SELECT h.app, h.oid, h.oid = h.app AS self, string_agg(DISTINCT CASE WHEN g.rolname IS NULL THEN '' WHEN g.rolname = 'pg_database_owner' THEN format('ALTER DATABASE %I OWNER TO CURRENT_USER;', current_database())
      ELSE format('REVOKE %I FROM %I;', g.rolname, m.rolname) END, ' ') AS leave
    FROM reach h JOIN pg_roles m ON m.oid = h.app LEFT JOIN pg_roles g ON g.oid = h.hop GROUP BY h.app, h.oid
  ) h JOIN app a ON a.oid = h.app JOIN pg_roles r ON r.oid = h.oid
),
priv AS MATERIALIZED (SELECT DISTINCT oid FROM held WHERE NOT rolsuper)
