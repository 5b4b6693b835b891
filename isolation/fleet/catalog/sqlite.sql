-- What the file contains, as (kind, name, definition). ?1 is the table of versions,
-- which is left out, as is what package archive makes while a tenant moves.
WITH tab AS (
	SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name <> ?1 AND name NOT IN ('tenancy_move_log', 'tenancy_move_gate')
)
SELECT 'table', name, sql FROM tab
UNION ALL SELECT 'column', t.name || '.' || c.name, c.type || CASE WHEN c."notnull" THEN ' not null' ELSE '' END
	|| CASE WHEN c.pk > 0 THEN ' key ' || c.pk ELSE '' END || COALESCE(' default ' || c.dflt_value, '')
	|| CASE c.hidden WHEN 0 THEN '' ELSE ' generated' END
	FROM tab t JOIN pragma_table_xinfo(t.name) c
UNION ALL SELECT 'foreign key', t.name || ' (' || group_concat(f."from", ', ') || ')', f."table" || ' (' || COALESCE(group_concat(f."to", ', '), '') || ') on update '
	|| f.on_update || ' on delete ' || f.on_delete
	FROM tab t JOIN pragma_foreign_key_list(t.name) f GROUP BY t.name, f.id
UNION ALL SELECT type, name, sql FROM sqlite_schema WHERE type IN ('index', 'view', 'trigger') AND sql IS NOT NULL
	AND NOT (type = 'trigger' AND (name GLOB 'tenancy_move_insert_*' OR name GLOB 'tenancy_move_update_*' OR name GLOB 'tenancy_move_delete_*'))
