SELECT n.name AS object, 'there is no such table' AS problem, 'create it, or take it out of row.Tables' AS remedy
FROM cfg, unnest(cfg.names) AS n(name)
WHERE NOT EXISTS (SELECT FROM chosen JOIN pg_class c ON c.oid = chosen.oid JOIN pg_namespace s ON s.oid = c.relnamespace WHERE s.nspname || '.' || c.relname = n.name)
UNION ALL
SELECT t.name, 'it has no column ' || quote_ident(cfg.col), format('ALTER TABLE %s ADD COLUMN %I text NOT NULL', t.name, cfg.col)
FROM ten t, cfg WHERE t.col IS NULL
UNION ALL
SELECT t.name, format('column %I is of type %s; only text, varchar and uuid compare exactly', cfg.col, format_type(t.atttypid, NULL)),
  format('ALTER TABLE %s ALTER COLUMN %I TYPE text', t.name, cfg.col)
FROM ten t, cfg WHERE t.atttypid NOT IN ('text'::regtype, 'varchar'::regtype, 'uuid'::regtype)
UNION ALL
SELECT t.name, format('column %I has the collation %I, under which different tenants may be equal', cfg.col, c.collname),
  format('ALTER TABLE %s ALTER COLUMN %I TYPE text COLLATE "C"', t.name, cfg.col)
FROM ten t JOIN pg_collation c ON c.oid = t.attcollation, cfg WHERE NOT c.collisdeterministic
UNION ALL
SELECT t.name, format('column %I may be null, and such rows belong to nobody', cfg.col), format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', t.name, cfg.col)
FROM ten t, cfg WHERE t.col IS NOT NULL AND NOT t.attnotnull
