package row

import (
	"context"
	"database/sql"
	_ "embed" // for the SQL below
	"fmt"
	"slices"
	"strings"

	"github.com/lib/pq"
)

// The audits. Each follows scope, takes auditArgs and returns object, problem
// and remedy.
var (
	//go:embed audit/scope.sql
	scope string
	//go:embed audit/role.sql
	roleAudit string
	//go:embed audit/security.sql
	securityAudit string
	//go:embed audit/tables.sql
	tablesAudit string
	//go:embed audit/policies.sql
	policiesAudit string
	//go:embed audit/privileges.sql
	privilegesAudit string
	//go:embed audit/reach.sql
	reachAudit string
	//go:embed audit/keys.sql
	keysAudit string
	//go:embed audit/settings.sql
	settingsAudit string
	//go:embed audit/mode.sql
	modeAudit string
	//go:embed audit/harden.sql
	hardenAudit string

	//go:embed audit/ready.sql
	readyAudit string

	connectionAudit = scope + roleAudit + " UNION ALL " + securityAudit + " UNION ALL " + modeAudit + " UNION ALL " + readyAudit
)

// auditArgs are scope's parameters. role is nil for whoever asks.
func (s *Strategy) auditArgs(role any) []any {
	return []any{role, s.column, pq.Array(s.tables), pq.Array(s.globalKeys), pq.Array(s.definers), s.mode.name()}
}

// audit returns all that is wrong for role, the runtime role, in tx's database.
// tx's search_path is pg_catalog, so that expressions read the same everywhere.
func (s *Strategy) audit(ctx context.Context, tx *sql.Tx, role string) ([]Finding, error) {
	findings, err := s.find(ctx, tx, role, roleAudit)
	if err != nil || isSuperuser(findings) {
		return findings, err // nothing else matters then
	}
	tables, err := s.auditTables(ctx, tx, role)
	if err != nil {
		return nil, err
	}
	findings = append(findings, tables...)
	queries := []string{privilegesAudit, reachAudit, keysAudit, settingsAudit}
	if s.harden {
		queries = append(queries, hardenAudit)
	}
	for _, query := range queries {
		found, err := s.find(ctx, tx, role, query)
		if err != nil {
			return nil, err
		}
		findings = append(findings, found...)
	}
	return findings, nil
}

// auditTables returns what is not as Install makes it in the tables themselves, and in
// what their policies call.
func (s *Strategy) auditTables(ctx context.Context, tx *sql.Tx, role string) ([]Finding, error) {
	base, err := s.auditBase(ctx, tx, role)
	if err != nil {
		return nil, err
	}
	tables, err := s.find(ctx, tx, role, tablesAudit+" UNION ALL "+policiesAudit)
	if err != nil {
		return nil, err
	}
	return append(base, tables...), nil
}

// auditBase returns what is not as Install makes it in the schema tenancy. When
// another mode is installed, that says it all.
func (s *Strategy) auditBase(ctx context.Context, tx *sql.Tx, role string) ([]Finding, error) {
	findings, err := s.find(ctx, tx, role, modeAudit)
	if err != nil || len(findings) > 0 {
		return findings, err
	}
	functions, err := s.auditFunctions(ctx, tx)
	if err != nil {
		return nil, err
	}
	private, err := s.auditPrivate(ctx, tx, role)
	if err != nil {
		return nil, err
	}
	return append(functions, private...), nil
}

// find runs one audit.
func (s *Strategy) find(ctx context.Context, tx *sql.Tx, role, query string) ([]Finding, error) {
	rows, err := tx.QueryContext(ctx, scope+query, s.auditArgs(role)...)
	if err != nil {
		return nil, fmt.Errorf("isolation/row: audit: %w", err)
	}
	return scanFindings(rows)
}

// scanFindings reads and closes the rows of an audit.
func scanFindings(rows *sql.Rows) ([]Finding, error) {
	defer rows.Close()
	var findings []Finding
	for rows.Next() {
		var f Finding
		if err := rows.Scan(&f.Object, &f.Problem, &f.Remedy); err != nil {
			return nil, fmt.Errorf("isolation/row: audit: %w", err)
		}
		findings = append(findings, f)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("isolation/row: audit: %w", err)
	}
	slices.SortFunc(findings, func(a, b Finding) int { return strings.Compare(a.Object+"\x00"+a.Problem, b.Object+"\x00"+b.Problem) })
	return slices.Compact(findings), nil
}

// isSuperuser reports whether findings say that the runtime role is one, or may
// become one. To a superuser every privilege is granted.
func isSuperuser(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return strings.Contains(f.Problem, "is a superuser") })
}

// auditFunctions finds functions that differ from what s installs.
func (s *Strategy) auditFunctions(ctx context.Context, tx *sql.Tx) ([]Finding, error) {
	var findings []Finding
	for _, f := range s.functions() {
		var settings []string
		if f.definer {
			settings = []string{"search_path=" + definerPath}
		}
		var same bool
		err := tx.QueryRowContext(ctx, functionIsCurrent, f.name, f.body, f.returns, f.parallel, f.volatility, f.types(), f.definer, pq.Array(settings)).Scan(&same)
		if err != nil {
			return nil, fmt.Errorf("isolation/row: audit: %w", err)
		}
		if !same {
			findings = append(findings, Finding{Object: "function " + f.signature(), Problem: "it is missing, or not as Install makes it", Remedy: "call Install"})
		}
	}
	return findings, nil
}

// functionIsCurrent asks whether a function is as Install makes it, and may be
// called by everyone.
const functionIsCurrent = `SELECT EXISTS (
  SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
  WHERE n.nspname = 'tenancy' AND p.proname = $1::name AND p.prosrc = $2::text AND p.prorettype = to_regtype($3::text)
    AND p.proparallel = lower(left($4::text, 1))::"char" AND p.provolatile = lower(left($5::text, 1))::"char"
    AND oidvectortypes(p.proargtypes) = $6::text AND p.prosecdef = $7::bool AND p.proconfig IS NOT DISTINCT FROM $8::text[]
    AND l.lanname = 'plpgsql' AND has_function_privilege('public', p.oid, 'EXECUTE'))`

// auditPrivate finds tables and sequences of the schema tenancy that are missing, or
// that the runtime role may use.
func (s *Strategy) auditPrivate(ctx context.Context, tx *sql.Tx, role string) ([]Finding, error) {
	relations := s.mode.private()
	if len(relations) == 0 {
		return nil, nil
	}
	kinds, names := make([]string, len(relations)), make([]string, len(relations))
	for i, r := range relations {
		kinds[i], names[i] = strings.ToLower(r.kind()), r.name
	}
	rows, err := tx.QueryContext(ctx, privateAudit, pq.Array(kinds), pq.Array(names), role)
	if err != nil {
		return nil, fmt.Errorf("isolation/row: audit: %w", err)
	}
	return scanFindings(rows)
}

// privateAudit takes kinds, names and the runtime role.
const privateAudit = `
SELECT want.kind || ' tenancy.' || want.name, CASE WHEN c.oid IS NULL THEN 'it is missing' ELSE format('%I holds rights on it, so it could forge its tenant', $3::name) END, 'call Install'
FROM unnest($1::text[], $2::text[]) AS want(kind, name)
LEFT JOIN pg_class c ON c.relname = want.name AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'tenancy')
  AND c.relkind = CASE want.kind WHEN 'sequence' THEN 'S' ELSE 'r' END::"char"
WHERE c.oid IS NULL OR EXISTS (
  SELECT FROM pg_roles r WHERE pg_has_role($3::name, r.oid, 'MEMBER') AND CASE c.relkind
    WHEN 'S' THEN has_sequence_privilege(r.oid, c.oid, 'USAGE,SELECT,UPDATE')
    ELSE has_table_privilege(r.oid, c.oid, 'SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER') OR has_any_column_privilege(r.oid, c.oid, 'SELECT,INSERT,UPDATE,REFERENCES')
    END)`
