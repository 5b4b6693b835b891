SELECT t.name AS object, format('%I holds %s on it, which row security does not limit', cfg.rolname, p.name) AS problem,
  format('REVOKE %s ON %s FROM PUBLIC, %I', p.name, t.name, cfg.rolname) AS remedy
FROM ten t CROSS JOIN cfg CROSS JOIN (VALUES ('TRUNCATE'), ('REFERENCES'), ('TRIGGER')) AS p(name)
WHERE EXISTS (SELECT FROM held h WHERE has_table_privilege(h.oid, t.oid, p.name) OR (p.name = 'REFERENCES' AND has_any_column_privilege(h.oid, t.oid, p.name)))
UNION ALL
SELECT c.name, format('%I reaches this partition or child directly, past the policies of its parent', cfg.rolname),
  format('REVOKE ALL ON %s FROM PUBLIC, %I', c.name, cfg.rolname)
FROM child c, cfg
WHERE EXISTS (SELECT FROM held h WHERE has_table_privilege(h.oid, c.oid, 'SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER')
  OR has_any_column_privilege(h.oid, c.oid, 'SELECT,INSERT,UPDATE,REFERENCES'))
UNION ALL
SELECT 'schema ' || quote_ident(n.nspname), format('%I may create objects in it, for others to run or to read', cfg.rolname),
  format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC, %I', n.nspname, cfg.rolname)
FROM pg_namespace n, cfg
WHERE n.nspname !~ '^pg_(temp|toast)' AND EXISTS (SELECT FROM held h WHERE has_schema_privilege(h.oid, n.oid, 'CREATE'))
UNION ALL
SELECT 'database ' || quote_ident(d.datname), format(p.problem, cfg.rolname), format('REVOKE %s ON DATABASE %I FROM PUBLIC, %I', p.name, d.datname, cfg.rolname)
FROM pg_database d CROSS JOIN cfg CROSS JOIN (VALUES
    ('TEMPORARY', '%I may create temporary tables, which stand in for the real ones of whoever has the connection next'),
    ('CREATE', '%I may create schemas, for others to run or to read what is in them')) AS p(name, problem)
WHERE d.datname = current_database() AND EXISTS (SELECT FROM held h WHERE has_database_privilege(h.oid, d.oid, p.name))
UNION ALL
SELECT 'sequence ' || s.oid::regclass, format('%I reads or sets it, and so learns or disturbs how much other tenants write', cfg.rolname),
  format('REVOKE SELECT, UPDATE ON SEQUENCE %s FROM PUBLIC, %I', s.oid::regclass, cfg.rolname)
FROM cfg, (
    SELECT DISTINCT c.oid FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
      AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') JOIN ten ON ten.oid = d.refobjid
    WHERE c.relkind = 'S'
    OFFSET 0 -- has_sequence_privilege fails on what is no sequence, so it must not be asked earlier
  ) s
WHERE EXISTS (SELECT FROM held h WHERE has_sequence_privilege(h.oid, s.oid, 'SELECT,UPDATE'))
