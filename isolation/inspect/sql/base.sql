-- What the lints of all strategies start from. $1 is the configuration as JSON.
WITH RECURSIVE cfg AS MATERIALIZED (
  SELECT i.j, i.j ->> 'column' AS col, (i.j ->> 'version')::int AS version, i.j ->> 'prefix' AS prefix,
    CASE jsonb_typeof(i.j -> 'tables') WHEN 'array' THEN ARRAY(SELECT jsonb_array_elements_text(i.j -> 'tables')) END AS names,
    (SELECT string_agg(quote_ident(x), ', ' ORDER BY x) FROM jsonb_array_elements_text(i.j -> 'roles') x) AS who,
    quote_ident(current_database()) AS db
  FROM (SELECT $1::text::jsonb AS j) i
),
login AS MATERIALIZED (
  SELECT r.oid, r.rolname, r.rolsuper FROM pg_roles r, cfg WHERE r.rolname IN (SELECT jsonb_array_elements_text(cfg.j -> 'roles'))
),
bypass AS MATERIALIZED (SELECT oid, rolname FROM pg_roles WHERE rolsuper OR rolbypassrls),
-- What extensions brought along.
ext AS MATERIALIZED (SELECT classid, objid FROM pg_depend WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass),
