package inspect

func tableLints() []Lint {
	return []Lint{
		{
			ID: "table-missing", Severity: High, kinds: rows, Title: "a table that was named does not exist",
			Why: "Whatever holds its rows is not inspected, and perhaps not isolated.",
			query: `SELECT n.name, '', '-- name the tables as they are: inspect.Tables'
FROM cfg, unnest(cfg.names) AS n(name)
WHERE NOT EXISTS (SELECT FROM chosen JOIN pg_class c ON c.oid = chosen.oid JOIN pg_namespace s ON s.oid = c.relnamespace WHERE s.nspname || '.' || c.relname = n.name)`,
		},
		{
			ID: "tenant-missing", Severity: Critical, kinds: rows, Title: "a tenant table has no tenant column",
			Why: "No policy can tell whose its rows are.",
			query: `SELECT t.name, 'no column ' || quote_ident(cfg.col), format('ALTER TABLE %s ADD COLUMN %I text NOT NULL; -- of a table with rows: fill it in first', t.name, cfg.col)
FROM ten t, cfg WHERE t.col IS NULL`,
		},
		{
			ID: "table-unlisted", Severity: High, kinds: rows, Title: "a reachable table has the tenant column and is not among the tenant tables",
			Why: "It looks like a tenant table that somebody forgot to put under policies, or like a copy of one.",
			query: `SELECT r.name, '', format('REVOKE ALL ON %s FROM PUBLIC, %s; -- or name it: inspect.Tables, row.Tables', r.name, cfg.who)
FROM rel r, cfg WHERE cfg.names IS NOT NULL AND r.relkind IN ('r', 'p') AND r.col IS NOT NULL AND NOT r.ten AND NOT r.child AND (r.reads OR r.writes) AND r.nspname <> 'tenancy'`,
		},
		{
			ID: "rls-off", Severity: Critical, kinds: rows, Title: "row security is off",
			Why: "Every statement without WHERE reads and changes all tenants' rows. Policies that exist mean nothing.",
			query: `SELECT t.name, '', format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY; ALTER TABLE %s FORCE ROW LEVEL SECURITY;', t.name, t.name)
FROM ten t WHERE NOT t.relrowsecurity`,
		},
		{
			ID: "rls-not-forced", Severity: High, kinds: rows, Title: "row security is not forced",
			Why: "It does not bind the table's owner, nor views and SECURITY DEFINER functions of that owner: one of those hands out all rows.",
			query: `SELECT t.name, '', format('ALTER TABLE %s FORCE ROW LEVEL SECURITY;', t.name)
FROM ten t WHERE t.relrowsecurity AND NOT t.relforcerowsecurity`,
		},
		{
			ID: "tenant-nullable", Severity: Medium, kinds: rows, Title: "the tenant column may be null",
			Why: "Such rows belong to nobody: unique keys do not bind them, foreign keys do not check them, and a policy that excuses null shows them to all.",
			query: `SELECT t.name, 'column ' || quote_ident(t.colname), format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL; -- rows with null must get a tenant first', t.name, t.colname)
FROM ten t WHERE t.col IS NOT NULL AND NOT t.attnotnull`,
		},
		{
			ID: "tenant-default", Severity: Low, kinds: rows, Title: "the tenant column is not filled in from the session",
			Why: "Each INSERT has to name the tenant by itself, and one that takes it from a request takes it from an attacker. A constant default is some one tenant.",
			query: `SELECT t.name, coalesce('its default is ' || def.expr, 'no default'), format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s;', t.name, t.colname, t.call)
FROM ten t LEFT JOIN LATERAL (SELECT pg_get_expr(d.adbin, d.adrelid) AS expr FROM pg_attrdef d WHERE d.adrelid = t.oid AND d.adnum = t.col) def ON true
WHERE t.col IS NOT NULL AND (def.expr ~* '[a-z0-9_"]\(|current_user|session_user|current_role') IS NOT TRUE`,
		},
		{
			ID: "tenant-type", Severity: Medium, kinds: rows, Title: "the tenant column's type does not compare exactly",
			Why: "Tenants whose names differ (in case, in trailing spaces, in digits after the point) may be equal to the database.",
			query: `SELECT t.name, format('column %I is of type %s', t.colname, format_type(t.atttypid, NULL)), format('ALTER TABLE %s ALTER COLUMN %I TYPE text;', t.name, t.colname)
FROM ten t WHERE t.atttypid NOT IN ('text'::regtype, 'varchar'::regtype, 'uuid'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype)`,
		},
		{
			ID: "tenant-collation", Severity: High, kinds: rows, Title: "the tenant column has a nondeterministic collation",
			Why: "Tenants with different IDs are equal under it: one reads the other's rows through a policy that is right.",
			query: `SELECT t.name, format('column %I has the collation %I', t.colname, c.collname), format('ALTER TABLE %s ALTER COLUMN %I TYPE text COLLATE "C"; -- drop the policies before and make them again after', t.name, t.colname)
FROM ten t JOIN pg_collation c ON c.oid = t.attcollation WHERE NOT c.collisdeterministic`,
		},
		{
			ID: "tenant-index", Severity: Low, kinds: rows, Title: "no index begins with the tenant column",
			Why: "Each statement of a small tenant reads through all tenants' rows: it is as slow as the largest tenant makes it.",
			query: `SELECT t.name, '', format('CREATE INDEX ON %s (%I);', t.name, t.colname)
FROM ten t WHERE t.col IS NOT NULL AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indkey[0] = t.col AND i.indpred IS NULL)`,
		},
	}
}
