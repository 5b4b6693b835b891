package inspect

// revokeAll is the remedy for relation r, which no runtime role should reach.
const revokeAll = `format('REVOKE ALL ON %s FROM PUBLIC, %s;', r.name, cfg.who)`

// ownFunction holds for the functions of schema tenancy that run as their owner and are this
// module's own. f is a row of pg_proc, n of pg_namespace.
const ownFunction = `(n.nspname = 'tenancy' AND f.proname = 'home_of' AND f.proconfig IS NOT NULL AND strpos(f.prosrc, 'tenancy.homes') > 0)`

// runsAsOwner selects the functions that a runtime role may call and that run as their owner.
// Inside a tenant's own schema its owner's functions reach no further than the schema.
func runsAsOwner(k kind) string {
	from := `FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace JOIN pg_roles o ON o.oid = f.proowner CROSS JOIN cfg
WHERE f.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT ` + ownFunction + `
  AND f.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
  AND EXISTS (SELECT FROM priv WHERE has_function_privilege(priv.oid, f.oid, 'EXECUTE'))`
	if k == schemas {
		from += ` AND NOT EXISTS (SELECT FROM homes h WHERE h.schema = f.pronamespace AND h.owner = f.proowner)`
	}
	return from
}

// bypassingFunction and capturedFunction are the queries of definer-bypass and
// definer-search-path.
func bypassingFunction(k kind) string {
	return `SELECT 'function ' || f.oid::regprocedure, format('it runs as %I', o.rolname), format('ALTER FUNCTION %s SECURITY INVOKER; -- or REVOKE EXECUTE on it, or give it to an owner whom policies bind', f.oid::regprocedure)
` + runsAsOwner(k) + ` AND f.proowner IN (SELECT oid FROM bypass)`
}

func capturedFunction(k kind) string {
	return `SELECT 'function ' || f.oid::regprocedure, format('it runs as %I', o.rolname) || coalesce(', ' || path.setting, ''), format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp;', f.oid::regprocedure)
` + `FROM (SELECT f.*, n.nspname, o.rolname ` + runsAsOwner(k) + `) f JOIN pg_roles o ON o.oid = f.proowner
LEFT JOIN LATERAL (SELECT x AS setting FROM unnest(f.proconfig) x WHERE x LIKE 'search_path=%') path ON true
WHERE f.prosqlbody IS NULL AND (path.setting IS NULL OR path.setting ~ '\$user' OR EXISTS (
  SELECT FROM pg_namespace s JOIN priv ON has_schema_privilege(priv.oid, s.oid, 'CREATE') WHERE quote_ident(s.nspname) = ANY (regexp_split_to_array(substr(path.setting, 13), ', *'))))`
}

func reachLints() []Lint {
	const (
		bypassTitle  = "a function runs as someone who bypasses row security"
		bypassWhy    = "Whoever calls it reads and changes what it does for all tenants, and nothing but its own text keeps them apart."
		captureTitle = "a function runs as its owner with a search_path that the caller sets"
		captureWhy   = "A caller who can make a table, function or operator anywhere has it found first, and run with the owner's rights."
	)
	return []Lint{
		{
			ID: "view-bypass", Severity: Critical, kinds: rows, Title: "a view reads tenant tables as someone who bypasses row security",
			Why: "It shows all tenants' rows to whoever may read it.",
			query: `SELECT v.name, format('its owner is %I', o.rolname), CASE WHEN cfg.version >= 150000 AND NOT leads.stored
  THEN (SELECT string_agg(format('ALTER VIEW %s SET (security_invoker = on);', u.name), ' ' ORDER BY u.name) FROM runs u
    WHERE NOT u.invoker AND (u.oid = v.oid OR u.oid IN (SELECT rel FROM walk WHERE top = v.oid)))
  ELSE format('REVOKE ALL ON %s FROM PUBLIC, %s; -- or give all views on the way to owners whom policies bind', v.name, cfg.who) END
FROM runs v JOIN pg_roles o ON o.oid = v.relowner JOIN leads ON leads.oid = v.oid AND leads.free CROSS JOIN cfg WHERE v.relkind = 'v'`,
		},
		{
			ID: "view-definer", Severity: Medium, kinds: rows, since: 150000, Title: "a view reads tenant tables with its owner's rights",
			Why: "Policies bind that owner today. Once the view passes to a superuser, in a restore or a migration, it shows all tenants' rows.",
			query: `SELECT v.name, format('its owner is %I', o.rolname), format('ALTER VIEW %s SET (security_invoker = on);', v.name)
FROM runs v JOIN pg_roles o ON o.oid = v.relowner JOIN leads ON leads.oid = v.oid AND leads.definer AND NOT leads.free WHERE v.relkind = 'v'`,
		},
		{
			ID: "materialized-view", Severity: Critical, kinds: rows, Title: "a materialized view of tenants' rows is reachable",
			Why: "It has no row security and holds what all tenants had when it was refreshed. Its statistics show values, too.",
			query: `SELECT r.name, '', ` + revokeAll + `
FROM rel r CROSS JOIN cfg WHERE r.relkind = 'm' AND (r.reads OR r.writes) AND (r.col IS NOT NULL OR r.oid IN (SELECT oid FROM leads))`,
		},
		{
			ID: "foreign-table", Severity: High, kinds: rows, Title: "a foreign table is reachable",
			Why: "Foreign tables have no row security, and lead to another server or to files under stored credentials.",
			query: `SELECT r.name, format('of server %I', s.srvname), ` + revokeAll + `
FROM rel r JOIN pg_foreign_table f ON f.ftrelid = r.oid JOIN pg_foreign_server s ON s.oid = f.ftserver CROSS JOIN cfg WHERE r.reads OR r.writes`,
		},
		{
			ID: "partition-reachable", Severity: Critical, kinds: rows, Title: "a partition or child of a tenant table is reachable directly",
			Why: "The parent's policies do not hold for it: read by its own name it shows all tenants' rows. Through the parent no grant on it is needed.",
			query: `SELECT r.name, '', ` + revokeAll + `
FROM child r CROSS JOIN cfg
WHERE EXISTS (SELECT FROM priv WHERE has_table_privilege(priv.oid, r.oid, 'SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER')
  OR has_any_column_privilege(priv.oid, r.oid, 'SELECT,INSERT,UPDATE,REFERENCES'))`,
		},
		{
			ID: "definer-bypass", Severity: Critical, kinds: rows, Title: bypassTitle, Why: bypassWhy,
			query: bypassingFunction(rows),
		},
		{
			ID: "definer-search-path", Severity: High, kinds: rows, Title: captureTitle, Why: captureWhy,
			query: capturedFunction(rows),
		},
		{
			ID: "home-definer-bypass", Severity: Critical, kinds: schemas, Title: bypassTitle, Why: bypassWhy,
			query: bypassingFunction(schemas),
		},
		{
			ID: "home-definer-search-path", Severity: High, kinds: schemas, Title: captureTitle, Why: captureWhy,
			query: capturedFunction(schemas),
		},
		{
			ID: "trigger-bypass", Severity: High, kinds: rows | schemas, Title: "a trigger runs as someone who bypasses row security",
			Why: "A tenant's INSERT runs it, with values of the tenant's choice: what it reads and writes is bound by its own text alone.",
			query: `SELECT t.name, format('trigger %I calls %s, which runs as %I', g.tgname, f.oid::regprocedure, o.rolname), format('ALTER FUNCTION %s SECURITY INVOKER;', f.oid::regprocedure)
FROM pg_trigger g JOIN ten t ON t.oid = g.tgrelid JOIN pg_proc f ON f.oid = g.tgfoid JOIN bypass o ON o.oid = f.proowner WHERE NOT g.tgisinternal AND f.prosecdef
  AND NOT ` + recorder,
		},
		{
			ID: "trigger-foreign", Severity: High, kinds: rows | schemas, Title: "a trigger's function belongs to another role than the table",
			Why: "That role decides what runs, with the rights of whoever writes: it sees every tenant's new rows.",
			query: `SELECT t.name, format('trigger %I calls %s of %I', g.tgname, f.oid::regprocedure, o.rolname), format('ALTER FUNCTION %s OWNER TO CURRENT_USER; -- after reading it', f.oid::regprocedure)
FROM pg_trigger g JOIN ten t ON t.oid = g.tgrelid JOIN pg_proc f ON f.oid = g.tgfoid JOIN pg_roles o ON o.oid = f.proowner
WHERE NOT g.tgisinternal AND f.proowner <> t.relowner AND NOT o.rolsuper AND o.oid <> (SELECT datdba FROM pg_database WHERE datname = current_database())`,
		},
		{
			ID: "rule-bypass", Severity: Critical, kinds: rows, Title: "a rule acts as someone who bypasses row security",
			Why: "What a rule adds to a statement runs with the rights of the table's owner, whom policies do not bind.",
			query: `SELECT t.name, format('rule %I acts as %I', r.rulename, o.rolname), format('DROP RULE %I ON %s;', r.rulename, t.name)
FROM ten t JOIN pg_rewrite r ON r.ev_class = t.oid JOIN bypass o ON o.oid = t.relowner`,
		},
		{
			ID: "rule", Severity: Medium, kinds: rows, Title: "a rule rewrites statements on a tenant table",
			Why: "What it adds runs with the rights of the table's owner, whom policies bind only while they are forced.",
			query: `SELECT t.name, format('rule %I', r.rulename), format('DROP RULE %I ON %s;', r.rulename, t.name)
FROM ten t JOIN pg_rewrite r ON r.ev_class = t.oid WHERE t.relowner NOT IN (SELECT oid FROM bypass)`,
		},
		{
			ID: "shared-table-writable", Severity: Medium, kinds: rows, Title: "tenants may write a table without the tenant column",
			Why: "What one tenant writes all others read. It is the platform's own, or a tenant table that somebody forgot.",
			query: `SELECT r.name, '', format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON %s FROM PUBLIC, %s;', r.name, cfg.who)
FROM rel r, cfg WHERE r.relkind IN ('r', 'p') AND r.col IS NULL AND NOT r.ten AND NOT r.child AND r.nspname <> 'tenancy' AND r.writes
  AND (r.oid NOT IN (SELECT objid FROM ext WHERE classid = 'pg_class'::regclass))`,
		},
		{
			ID: "shared-table-readable", Severity: Low, kinds: rows, Title: "tenants may read a table without the tenant column",
			Why: "If it is a list that all share, accept it; if it is a tenant table that somebody forgot, every tenant reads all of it.",
			query: `SELECT r.name, '', format('REVOKE SELECT ON %s FROM PUBLIC, %s;', r.name, cfg.who)
FROM rel r, cfg WHERE r.relkind IN ('r', 'p') AND r.col IS NULL AND NOT r.ten AND NOT r.child AND r.nspname <> 'tenancy' AND r.reads AND NOT r.writes
  AND (r.oid NOT IN (SELECT objid FROM ext WHERE classid = 'pg_class'::regclass))`,
		},
		{
			ID: "private-reachable", Severity: Critical, kinds: rows, Title: "what is private in schema tenancy is reachable",
			Why: "Keys, registers and registries lie there: who reads a key signs tokens for any tenant, who sets a register is any tenant.",
			query: `SELECT r.object, 'a runtime role holds rights on it', format('REVOKE ALL ON %s FROM PUBLIC, %s;', r.noun, cfg.who) FROM cfg, (
  SELECT format('%I.%I', n.nspname, c.relname), format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = 'tenancy' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND EXISTS (SELECT FROM priv WHERE has_table_privilege(priv.oid, c.oid, 'SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER') OR has_any_column_privilege(priv.oid, c.oid, 'SELECT,INSERT,UPDATE,REFERENCES'))
  UNION ALL
  SELECT format('sequence tenancy.%I', s.relname), format('SEQUENCE tenancy.%I', s.relname)
  FROM (SELECT c.oid, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'tenancy' AND c.relkind = 'S' OFFSET 0) s
  WHERE EXISTS (SELECT FROM priv WHERE has_sequence_privilege(priv.oid, s.oid, 'SELECT,UPDATE,USAGE'))
) AS r(object, noun)`,
		},
		{
			ID: "large-object", Severity: Medium, kinds: rows | schemas, Title: "large objects are reachable",
			Why: "They have no row security: every tenant's sessions read and change them by number, and numbers are guessed.",
			query: `SELECT 'large objects', format('%s of them, owned by or granted to %s', count(*), string_agg(DISTINCT r.rolname, ', ')), '-- keep such data in a bytea column of a tenant table, and lo_unlink them'
FROM pg_largeobject_metadata m CROSS JOIN LATERAL (
  SELECT h.rolname FROM held h WHERE h.oid = m.lomowner AND NOT h.rolsuper
  UNION ALL
  SELECT coalesce(g.rolname, 'PUBLIC') FROM aclexplode(m.lomacl) a LEFT JOIN pg_roles g ON g.oid = a.grantee WHERE a.grantee = 0 OR a.grantee IN (SELECT oid FROM priv)
) AS r HAVING count(*) > 0`,
		},
	}
}

// recorder holds for the triggers g with which package archive takes down the keys of
// rows that change while their tenant moves: the whole text of the function f says so,
// and what it names is an ordinary sequence and an ordinary table of the owner of the
// table t, on which nothing else happens and nobody else has a right.
const recorder = `EXISTS (SELECT FROM pg_language l, pg_namespace n, LATERAL regexp_match(f.prosrc, '` + recorderText + `') m
    JOIN pg_class gate ON gate.relname = m[2] || '_gate' JOIN pg_class log ON log.relname = m[2] || '_log'
  WHERE l.oid = f.prolang AND l.lanname = 'plpgsql' AND n.oid = f.pronamespace AND m[1] = '"' || replace(n.nspname, '"', '""') || '"'
    AND starts_with(f.proname, m[2] || '_') AND starts_with(g.tgname, m[2] || '_') AND f.proconfig @> ARRAY['search_path=pg_catalog, pg_temp']
    AND gate.relnamespace = n.oid AND gate.relkind = 'S' AND log.relnamespace = n.oid AND log.relkind = 'r' AND NOT log.relhasrules
    AND f.proowner = t.relowner AND gate.relowner = t.relowner AND log.relowner = t.relowner
    AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = log.oid) AND NOT EXISTS (SELECT FROM pg_inherits WHERE log.oid IN (inhparent, inhrelid))
    AND NOT EXISTS (SELECT FROM pg_class k, aclexplode(k.relacl) x WHERE k.oid IN (gate.oid, log.oid) AND x.grantee <> k.relowner)
    AND NOT EXISTS (SELECT FROM aclexplode(COALESCE(f.proacl, acldefault('f', f.proowner))) x WHERE x.grantee <> f.proowner))`

const recorderText = `^ DECLARE gate pg_catalog\.int8; BEGIN PERFORM pg_catalog\.pg_advisory_xact_lock_shared\(-?\d+\);` +
	` SELECT last_value INTO gate FROM ("[^"]+")\."(tenancy_move_[0-9a-f]{12})_gate"; IF gate <> 1 THEN RAISE EXCEPTION USING ERRCODE = ''25006'', MESSAGE = ''[^'']*''; END IF;` +
	` IF TG_OP <> ''INSERT'' THEN ` + recordsKey + ` END IF;` +
	` IF TG_OP = ''INSERT'' OR TG_OP = ''UPDATE'' AND ` + keyOfRow + ` IS DISTINCT FROM ` + keyOfRow + ` THEN ` + recordsKey + ` END IF;` +
	` RETURN NULL; END $`

const (
	keyOfRow   = `ARRAY\[(?:(?:OLD|NEW)\."[^"]*"::pg_catalog\.text(?:, )?)+\]`
	recordsKey = `INSERT INTO \1\."\2_log" \(tab, key\) VALUES \(''[^'']*'', ` + keyOfRow + `\);`
)
