package inspect

// makePolicy is the remedy that puts one of the two policies of isolation/row on
// table t.
func makePolicy(name, kind string) string {
	return `format('DROP POLICY IF EXISTS ` + name + ` ON %s; CREATE POLICY ` + name + ` ON %s AS ` + kind + ` USING %s WITH CHECK %s;', t.name, t.name, t.want, t.want)`
}

// dropPolicy is the remedy for a policy p that lets through too much.
const dropPolicy = `format('DROP POLICY %I ON %s;', p.polname, p.name) || CASE WHEN (SELECT count(*) FROM pol o WHERE o.polrelid = p.polrelid AND o.polpermissive AND o.oid <> p.oid) > 0 THEN ''
    ELSE (SELECT format(' CREATE POLICY %I ON %s USING %s WITH CHECK %s;', p.polname, t.name, t.want, t.want) FROM ten t WHERE t.oid = p.polrelid) END`

func policyLints() []Lint {
	return []Lint{
		{
			ID: "policy-missing", Severity: Medium, kinds: rows, Title: "no policy lets a granted command through",
			Why: "The command finds no rows, or fails: an application that meets this turns row security off.",
			query: `SELECT t.name, 'no permissive policy for ' || string_agg(c.word, ', ' ORDER BY c.word), ` + makePolicy("tenancy_allow", "PERMISSIVE") + `
FROM ten t CROSS JOIN (VALUES ('r', 'SELECT'), ('a', 'INSERT'), ('w', 'UPDATE'), ('d', 'DELETE')) AS c(cmd, word)
WHERE EXISTS (SELECT FROM priv WHERE has_table_privilege(priv.oid, t.oid, c.word))
  AND NOT EXISTS (SELECT FROM pol p WHERE p.polrelid = t.oid AND p.polpermissive AND p.polcmd::text IN ('*', c.cmd))
GROUP BY t.oid, t.name, t.want`,
		},
		{
			ID: "policy-widens", Severity: Critical, kinds: rows, Title: "a permissive policy does not mention the tenant, and no restrictive one does",
			Why: "Permissive policies add up: its rows are everyone's, whatever the other policies say.",
			query: `SELECT p.name, format('policy %I: %s', p.polname, p.qual), ` + dropPolicy + `
FROM pol p WHERE p.polpermissive AND p.polcmd <> 'a' AND p.reads = 0 AND p.polrelid NOT IN (SELECT oid FROM net)`,
		},
		{
			ID: "policy-fails-open", Severity: Critical, kinds: rows, Title: "a policy makes an exception from the tenant",
			Why: "A session without a tenant, or a row for which the exception holds, passes: one forgotten step in the application shows all rows.",
			query: `SELECT p.name, format('policy %I: %s', p.polname, CASE WHEN p.reads = 1 THEN p.qual ELSE p.withcheck END), ` + dropPolicy + `
FROM pol p WHERE p.polpermissive AND (p.reads = 1 OR p.checks = 1) AND p.polrelid NOT IN (SELECT oid FROM net)`,
		},
		{
			ID: "policy-unchecked", Severity: Critical, kinds: rows, Title: "a policy does not check the tenant of what is written",
			Why: "One tenant inserts rows into another's data, or moves its own there.",
			query: `SELECT p.name, format('policy %I WITH CHECK %s', p.polname, coalesce(p.withcheck, p.qual)), ` + dropPolicy + `
FROM pol p WHERE p.polpermissive AND p.polcmd IN ('*', 'a', 'w') AND p.checks = 0 AND (p.withcheck IS NOT NULL OR p.polcmd = 'a') AND p.polrelid NOT IN (SELECT oid FROM net)`,
		},
		{
			ID: "policy-unrestricted", Severity: Medium, kinds: rows, Title: "no restrictive policy holds tenants apart",
			Why: "Permissive policies add up, so the next one that somebody adds, for whatever purpose, may open the table.",
			query: `SELECT t.name, coalesce('what restrictive policies say: ' || (SELECT string_agg(format('%I %s', y.polname, pg_get_expr(y.polqual, y.polrelid)), '; ' ORDER BY y.polname)
    FROM pg_policy y WHERE y.polrelid = t.oid AND NOT y.polpermissive), ''), ` + makePolicy("tenancy_only", "RESTRICTIVE") + `
FROM ten t WHERE t.col IS NOT NULL AND t.oid NOT IN (SELECT oid FROM net)`,
		},
		{
			ID: "policy-one-net", Severity: Low, kinds: rows, Title: "a permissive policy relies on the restrictive one",
			Why: "Only the restrictive policy keeps its rows to their tenant. Whoever drops that one opens the table.",
			query: `SELECT p.name, format('policy %I', p.polname), ` + dropPolicy + `
FROM pol p WHERE p.polpermissive AND p.polrelid IN (SELECT oid FROM net)
  AND (p.polcmd <> 'a' AND p.reads < 2 OR p.polcmd IN ('*', 'a', 'w') AND p.checks < 2)`,
		},
		{
			ID: "policy-immutable", Severity: Critical, kinds: rows, Title: "a policy calls an IMMUTABLE function",
			Why: "What it returned when a statement was planned stays in the plan: a prepared statement goes on showing the tenant before.",
			query: `SELECT 'function ' || f.oid::regprocedure, '', format('ALTER FUNCTION %s STABLE;', f.oid::regprocedure)
FROM calls f WHERE f.provolatile = 'i'`,
		},
		{
			ID: "policy-function-owner", Severity: High, kinds: rows, Title: "a policy calls a function that a login role owns",
			Why: "Whoever logs in as that role replaces the function, and so decides whose rows everyone sees.",
			query: `SELECT 'function ' || f.oid::regprocedure, format('its owner %I logs in', r.rolname), format('ALTER FUNCTION %s OWNER TO CURRENT_USER;', f.oid::regprocedure)
FROM calls f JOIN pg_roles r ON r.oid = f.proowner
WHERE r.rolcanlogin AND NOT r.rolsuper AND r.oid NOT IN (SELECT oid FROM priv) AND r.oid NOT IN (SELECT relowner FROM ten)
  AND r.oid <> (SELECT datdba FROM pg_database WHERE datname = current_database())`,
		},
		{
			ID: "policy-function-blind", Severity: High, kinds: rows, Title: "a policy's function looks at nothing",
			Why: "It calls no function and reads no table, so it returns the same tenant for everyone.",
			query: `SELECT 'function ' || f.oid::regprocedure, '', '-- restore it: row.Strategy.Install does'
FROM calls f JOIN pg_language l ON l.oid = f.prolang
WHERE f.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'void'::regtype) AND f.pronargs = 0 AND l.lanname IN ('sql', 'plpgsql')
  AND concat(f.prosrc, pg_get_function_sqlbody(f.oid)) !~* '[a-z0-9_"]\s*\(|\mfrom\M|\mcurrent_(user|role)\M|\msession_user\M'`,
		},
		{
			ID: "policy-per-row", Severity: Low, kinds: rows, Title: "a policy asks for the tenant once for each row",
			Why: "Scans cost several times more than with ( SELECT … ), which is evaluated once in a statement.",
			query: `SELECT p.name, format('policy %I: %s', p.polname, coalesce(p.qual, p.withcheck)), (SELECT CASE WHEN p.polcmd = 'a' THEN format('ALTER POLICY %I ON %s WITH CHECK %s;', p.polname, p.name, t.want)
    WHEN p.polcmd IN ('r', 'd') THEN format('ALTER POLICY %I ON %s USING %s;', p.polname, p.name, t.want)
    ELSE format('ALTER POLICY %I ON %s USING %s WITH CHECK %s;', p.polname, p.name, t.want, t.want) END FROM ten t WHERE t.oid = p.polrelid)
FROM (SELECT * FROM pol UNION SELECT y.oid, y.polname, y.polrelid, t.name, y.polpermissive, y.polcmd, 2, 2, pg_get_expr(y.polqual, y.polrelid), pg_get_expr(y.polwithcheck, y.polrelid)
    FROM pg_policy y JOIN net ON net.oid = y.polrelid JOIN ten t ON t.oid = y.polrelid WHERE NOT y.polpermissive) p
WHERE p.qual ~ '[a-z0-9_"]\(' AND p.qual !~ '\( *SELECT ' OR p.withcheck ~ '[a-z0-9_"]\(' AND p.withcheck !~ '\( *SELECT '`,
		},
	}
}
