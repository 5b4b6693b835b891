SELECT t.name || ' ' || quote_ident(i.relname) AS object,
  format('this key lacks %I, so one tenant learns from a conflict what another has', cfg.col) AS problem,
  CASE WHEN con.oid IS NULL
    THEN format('DROP INDEX %I.%I; %s', t.nspname, i.relname, regexp_replace(pg_get_indexdef(i.oid), '( USING \w+ )\(', '\1(' || lit.col || ', '))
    ELSE format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s', t.name, con.conname, con.conname,
      regexp_replace(pg_get_constraintdef(con.oid), '\(', '(' || lit.col || CASE con.contype WHEN 'x' THEN ' WITH =, ' ELSE ', ' END))
    END AS remedy
FROM ten t JOIN pg_index x ON x.indrelid = t.oid JOIN pg_class i ON i.oid = x.indexrelid CROSS JOIN cfg
CROSS JOIN LATERAL (SELECT replace(quote_ident(cfg.col), '\', '\\') AS col) lit
LEFT JOIN pg_constraint con ON con.conindid = i.oid AND con.conrelid = t.oid AND con.contype IN ('p', 'u', 'x')
WHERE (x.indisunique OR x.indisexclusion) AND t.col IS NOT NULL
  AND NOT EXISTS (SELECT FROM generate_series(0, x.indnkeyatts - 1) g WHERE x.indkey[g] = t.col
    AND (con.contype IS DISTINCT FROM 'x' OR (SELECT o.oprname FROM pg_operator o WHERE o.oid = con.conexclop[g + 1]) = '='))
  AND (t.nspname || '.' || i.relname = ANY (cfg.keys)) IS NOT TRUE
UNION ALL
SELECT t.name || ' ' || quote_ident(c.conname), format('this foreign key lacks %I, so it reaches other tenants'' rows: row security does not bind it', cfg.col),
  format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s', t.name, c.conname, c.conname, def.text)
FROM pg_constraint c JOIN ten t ON t.oid = c.conrelid JOIN ten u ON u.oid = c.confrelid CROSS JOIN cfg
CROSS JOIN LATERAL (SELECT replace(quote_ident(cfg.col), '\', '\\') AS col,
    (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY k(attnum, n) JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum) AS had) lit
CROSS JOIN LATERAL (SELECT regexp_replace(regexp_replace(regexp_replace(pg_get_constraintdef(c.oid),
    '\(', '(' || lit.col || ', '),
    '( REFERENCES [^(]*)\(', '\1(' || lit.col || ', '),
    ' (ON DELETE SET (NULL|DEFAULT))(?! \()', ' \1 (' || replace(lit.had, '\', '\\') || ')') AS text) def
WHERE c.contype = 'f' AND c.conparentid = 0 AND t.col IS NOT NULL AND u.col IS NOT NULL
  AND NOT EXISTS (SELECT FROM generate_subscripts(c.conkey, 1) g WHERE c.conkey[g] = t.col AND c.confkey[g] = u.col)
  AND (t.nspname || '.' || c.conname = ANY (cfg.keys)) IS NOT TRUE
