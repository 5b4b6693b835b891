package row

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lib/pq"
)

// Table is a tenants' table, for those who keep its policies in migrations of
// their own. Install does the same by itself.
type Table struct {
	Schema string // default public
	Name   string
	Column string // default tenant_id
	Type   string // of Column: text (the default), varchar or uuid
	Role   string // the runtime role; the grants are left out if empty
}

// SQL returns the statements that put t under row security: what the tenant
// column defaults to, a permissive and a restrictive policy, and the grants. The
// functions they call are made by Install.
func (t Table) SQL() (string, error) {
	statements, err := t.statements()
	if err != nil {
		return "", err
	}
	return strings.Join(statements, ";\n") + ";\n", nil
}

// statements are t's statements in order.
func (t Table) statements() ([]string, error) {
	if t.Name == "" {
		return nil, errors.New("isolation/row: table without a name")
	}
	switch t.Type {
	case "", "text", "varchar", "uuid":
		return append(t.protection(), t.grants()...), nil
	default:
		return nil, fmt.Errorf("isolation/row: tenant column of type %q: want text, varchar or uuid", t.Type)
	}
}

// protection is everything but the grants.
func (t Table) protection() []string {
	call := "tenancy.current_tenant()"
	if t.Type == "uuid" {
		call = "tenancy.current_tenant_uuid()"
	}
	statements := []string{fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s", t.name(), t.column(), call)}
	return append(statements, t.policies(call)...)
}

// policies make the same condition hold twice. The permissive policy lets the
// tenant's rows through; the restrictive one stays a limit when someone adds a
// permissive policy later. The sub-select makes PostgreSQL ask for the tenant
// once in a statement, not once for each row.
func (t Table) policies(call string) []string {
	condition := fmt.Sprintf("(%s = (SELECT %s))", t.column(), call)
	policy := func(name, kind string) []string {
		return []string{
			fmt.Sprintf("DROP POLICY IF EXISTS %s ON %s", name, t.name()),
			fmt.Sprintf("CREATE POLICY %s ON %s AS %s FOR ALL TO PUBLIC USING %s WITH CHECK %s", name, t.name(), kind, condition, condition),
		}
	}
	statements := append(policy("tenancy_allow", "PERMISSIVE"), policy("tenancy_only", "RESTRICTIVE")...)
	return append(statements,
		fmt.Sprintf("ALTER TABLE %s ENABLE ROW LEVEL SECURITY", t.name()),
		fmt.Sprintf("ALTER TABLE %s FORCE ROW LEVEL SECURITY", t.name()))
}

// grants leave the runtime role what row security limits. TRUNCATE, REFERENCES
// and TRIGGER it does not.
func (t Table) grants() []string {
	if t.Role == "" {
		return nil
	}
	role := pq.QuoteIdentifier(t.Role)
	return []string{
		fmt.Sprintf("REVOKE ALL ON %s FROM PUBLIC, %s", t.name(), role),
		fmt.Sprintf("GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %s", t.name(), role),
		fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s", pq.QuoteIdentifier(t.schema()), role),
	}
}

func (t Table) name() string {
	return pq.QuoteIdentifier(t.schema()) + "." + pq.QuoteIdentifier(t.Name)
}

func (t Table) schema() string {
	if t.Schema == "" {
		return "public"
	}
	return t.Schema
}

func (t Table) column() string {
	if t.Column == "" {
		return "tenant_id"
	}
	return pq.QuoteIdentifier(t.Column)
}
