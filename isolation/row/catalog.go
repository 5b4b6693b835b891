package row

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/lib/pq"
)

// found is a tenant table as the catalog has it.
type found struct {
	Table
	sequences []string // quoted names of sequences that its serial columns call, and the role may not
	stale     bool     // policies or default are not as installed
	ungranted bool     // grants are not as installed
}

// missing returns the statements that t still needs.
func (t found) missing() []string {
	var statements []string
	if t.stale {
		statements = append(statements, t.protection()...)
	}
	if t.ungranted {
		statements = append(statements, t.grants()...)
	}
	for _, sequence := range t.sequences {
		statements = append(statements, fmt.Sprintf("GRANT USAGE ON SEQUENCE %s TO %s", sequence, pq.QuoteIdentifier(t.Role)))
	}
	return statements
}

// tablesQuery follows scope and the audit of policies. Tables that cannot be put
// under policies are left to the audit.
const tablesQuery = `
SELECT t.nspname, c.relname, CASE t.atttypid WHEN 'varchar'::regtype THEN 'varchar' ELSE format_type(t.atttypid, NULL) END,
  ARRAY(SELECT format('%I.%I', n.nspname, s.relname)
    FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace JOIN pg_depend d ON d.classid = 'pg_class'::regclass
      AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.deptype = 'a'
    WHERE CASE s.relkind WHEN 'S' THEN NOT has_sequence_privilege(cfg.role, s.oid, 'USAGE') END ORDER BY 1),
  t.name IN (SELECT object FROM stale),
  NOT has_schema_privilege(cfg.role, t.nsp, 'USAGE')
    OR (SELECT count(*) FROM aclexplode(c.relacl) a WHERE a.grantee = cfg.role AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')) < 4
    OR EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = 0 OR (a.grantee = cfg.role AND a.privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')))
    OR EXISTS (SELECT FROM pg_attribute k CROSS JOIN aclexplode(k.attacl) a WHERE k.attrelid = t.oid AND a.grantee IN (0, cfg.role))
FROM ten t JOIN pg_class c ON c.oid = t.oid CROSS JOIN cfg
WHERE t.atttypid IN ('text'::regtype, 'varchar'::regtype, 'uuid'::regtype) ORDER BY 1, 2`

// catalog returns the tenant tables for the runtime role.
func (s *Strategy) catalog(ctx context.Context, tx *sql.Tx, role string) ([]found, error) {
	rows, err := tx.QueryContext(ctx, scope+", stale AS ("+policiesAudit+")"+tablesQuery, s.auditArgs(role)...)
	if err != nil {
		return nil, fmt.Errorf("isolation/row: find tables: %w", err)
	}
	defer rows.Close()
	var tables []found
	for rows.Next() {
		t := found{Table: Table{Column: s.column, Role: role}}
		if err := rows.Scan(&t.Schema, &t.Name, &t.Type, pq.Array(&t.sequences), &t.stale, &t.ungranted); err != nil {
			return nil, fmt.Errorf("isolation/row: find tables: %w", err)
		}
		tables = append(tables, t)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("isolation/row: find tables: %w", err)
	}
	return tables, nil
}
