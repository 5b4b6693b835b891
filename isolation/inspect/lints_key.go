package inspect

func keyLints() []Lint {
	return []Lint{
		{
			ID: "key-without-tenant", Severity: Medium, kinds: rows, Title: "a unique key or exclusion constraint lacks the tenant column",
			Why: "PostgreSQL checks keys past the policies: from a conflict one tenant learns which values others have.",
			query: `SELECT t.name || ' ' || quote_ident(i.relname), pg_get_indexdef(i.oid),
  CASE WHEN con.oid IS NULL
    THEN format('DROP INDEX %I.%I; %s', t.nspname, i.relname, regexp_replace(pg_get_indexdef(i.oid), '( USING \w+ )\(', '\1(' || lit.col || ', '))
    ELSE format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s', t.name, con.conname, con.conname,
      regexp_replace(pg_get_constraintdef(con.oid), '\(', '(' || lit.col || CASE con.contype WHEN 'x' THEN ' WITH =, ' ELSE ', ' END))
    END || ';'
FROM ten t JOIN pg_index x ON x.indrelid = t.oid JOIN pg_class i ON i.oid = x.indexrelid CROSS JOIN cfg
CROSS JOIN LATERAL (SELECT replace(quote_ident(cfg.col), '\', '\\') AS col) lit
LEFT JOIN pg_constraint con ON con.conindid = i.oid AND con.conrelid = t.oid AND con.contype IN ('p', 'u', 'x')
WHERE (x.indisunique OR x.indisexclusion) AND t.col IS NOT NULL
  AND NOT EXISTS (SELECT FROM generate_series(0, x.indnkeyatts - 1) g WHERE x.indkey[g] = t.col
    AND (con.contype IS DISTINCT FROM 'x' OR (SELECT o.oprname FROM pg_operator o WHERE o.oid = con.conexclop[g + 1]) = '='))`,
		},
		{
			ID: "fk-without-tenant", Severity: High, kinds: rows, Title: "a foreign key between tenant tables lacks the tenant column",
			Why: "PostgreSQL checks it past the policies: a row of one tenant refers to a row of another, which tells that it exists, and whose deletion cascades into it.",
			query: `SELECT t.name || ' ' || quote_ident(c.conname), pg_get_constraintdef(c.oid),
  format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s;', t.name, c.conname, c.conname, def.text)
FROM pg_constraint c JOIN ten t ON t.oid = c.conrelid JOIN ten u ON u.oid = c.confrelid CROSS JOIN cfg
CROSS JOIN LATERAL (SELECT replace(quote_ident(cfg.col), '\', '\\') AS col,
    (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY k(attnum, n) JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum) AS had) lit
CROSS JOIN LATERAL (SELECT regexp_replace(regexp_replace(regexp_replace(pg_get_constraintdef(c.oid),
    '\(', '(' || lit.col || ', '),
    '( REFERENCES [^(]*)\(', '\1(' || lit.col || ', '),
    ' (ON DELETE SET (NULL|DEFAULT))(?! \()', ' \1 (' || replace(lit.had, '\', '\\') || ')') AS text) def
WHERE c.contype = 'f' AND c.conparentid = 0 AND t.col IS NOT NULL AND u.col IS NOT NULL
  AND NOT EXISTS (SELECT FROM generate_subscripts(c.conkey, 1) g WHERE c.conkey[g] = t.col AND c.confkey[g] = u.col)`,
		},
		{
			ID: "index-leaky", Severity: Low, kinds: rows, Title: "row security makes an index unusable",
			Why: "Its operators or functions are not LEAKPROOF, so they run after the policy, on each of the tenant's rows: tens to hundreds of times slower.",
			query: `SELECT t.name || ' ' || quote_ident(i.relname), string_agg(DISTINCT leak.what, ', '),
  '-- none in SQL alone: a generated column of a LEAKPROOF type (bigint cents for numeric), partitions by tenant, or a schema or database for tenants that search much'
FROM ten t JOIN pg_index x ON x.indrelid = t.oid AND t.relrowsecurity JOIN pg_class i ON i.oid = x.indexrelid CROSS JOIN LATERAL (
  SELECT format('operator %s of %s', o.oprname, c.opcname) FROM unnest(x.indclass::oid[]) k(oid) JOIN pg_opclass c ON c.oid = k.oid
    JOIN pg_amop a ON a.amopfamily = c.opcfamily AND a.amoplefttype = c.opcintype AND a.amoppurpose = 's' JOIN pg_operator o ON o.oid = a.amopopr JOIN pg_proc p ON p.oid = o.oprcode
  WHERE NOT p.proleakproof AND (a.amoprighttype = c.opcintype OR c.opcmethod NOT IN (SELECT am.oid FROM pg_am am WHERE am.amname IN ('btree', 'hash', 'brin')))
  UNION ALL
  SELECT 'LIKE with ' || c.opcname FROM unnest(x.indclass::oid[]) k(oid) JOIN pg_opclass c ON c.oid = k.oid WHERE c.opcname LIKE '%pattern_ops'
  UNION ALL
  SELECT 'function ' || p.proname FROM regexp_matches(pg_get_expr(x.indexprs, x.indrelid), '([a-z0-9_]+)\(', 'g') m JOIN pg_proc p ON p.proname = m[1] WHERE NOT p.proleakproof
) AS leak(what)
GROUP BY t.name, i.relname`,
		},
	}
}
