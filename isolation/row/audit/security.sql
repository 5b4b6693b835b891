SELECT t.name AS object, CASE WHEN t.relrowsecurity THEN 'row security is not forced, so its owner''s views and functions see every row' ELSE 'row security is off' END AS problem,
  'call Install' AS remedy
FROM ten t WHERE NOT (t.relrowsecurity AND t.relforcerowsecurity)
  AND EXISTS (SELECT FROM held h WHERE has_table_privilege(h.oid, t.oid, 'SELECT,INSERT,UPDATE,DELETE,TRUNCATE') OR has_any_column_privilege(h.oid, t.oid, 'SELECT,INSERT,UPDATE'))
