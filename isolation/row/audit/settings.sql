SELECT 'role ' || quote_ident(cfg.rolname) AS object, 'its search_path here does not end in pg_temp, or leaves out a schema with tenant tables' AS problem,
  format('ALTER ROLE %I IN DATABASE %I SET search_path = %s', cfg.rolname, current_database(), want.path) AS remedy
FROM cfg CROSS JOIN LATERAL (SELECT coalesce(string_agg(DISTINCT quote_ident(nspname), ', ') || ', ', '') || 'pg_temp' AS path FROM ten) want
WHERE NOT EXISTS (
  SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS o(setting)
  WHERE d.datname = current_database() AND s.setrole = cfg.role AND o.setting ~ '^search_path=(.*, *)?"?pg_temp"?$'
    AND NOT EXISTS (SELECT FROM ten WHERE quote_ident(ten.nspname) <> ALL (regexp_split_to_array(substr(o.setting, 13), ', *'))))
