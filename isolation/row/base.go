package row

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/lib/pq"

	"github.com/tenancy-go/tenancy/isolation/internal/pgsession"
)

// function is a function of the schema tenancy, without arguments.
type function struct {
	name, returns string
	parallel      string // SAFE, RESTRICTED or UNSAFE
	volatility    string // STABLE or VOLATILE
	body          string // plpgsql
}

// clear is the function that clears a session together with a statement.
var clear = function{name: "clear", returns: "void", parallel: "UNSAFE", volatility: "VOLATILE", body: pgsession.ClearBody}

// functions returns all that Install makes.
func (s *Strategy) functions() []function { return append(s.mode.functions(), clear) }

// sql creates or replaces f. Everyone may call it: it tells a session its own
// tenant.
func (f function) sql() string {
	return fmt.Sprintf("CREATE OR REPLACE FUNCTION tenancy.%s() RETURNS pg_catalog.%s LANGUAGE plpgsql %s PARALLEL %s AS $tenancy$%s$tenancy$",
		f.name, f.returns, f.volatility, f.parallel, f.body)
}

// SQL returns the statements that make the schema tenancy, with the functions
// that the policies of [Table.SQL] call, for those who keep them in migrations of
// their own. The role that Owner names must exist.
func (s *Strategy) SQL() string {
	return strings.Join(s.base(), ";\n") + ";\n"
}

func (s *Strategy) base() []string {
	owner := pq.QuoteIdentifier(s.owner)
	statements := []string{
		"CREATE SCHEMA IF NOT EXISTS tenancy AUTHORIZATION " + owner,
		"GRANT USAGE ON SCHEMA tenancy TO PUBLIC",
	}
	for _, f := range s.functions() {
		statements = append(statements, f.sql(),
			fmt.Sprintf("ALTER FUNCTION tenancy.%s() OWNER TO %s", f.name, owner),
			fmt.Sprintf("GRANT EXECUTE ON FUNCTION tenancy.%s() TO PUBLIC", f.name))
	}
	return statements
}

// installBase makes the schema, its owner and its functions, unless they are
// there.
func (s *Strategy) installBase(ctx context.Context, tx *sql.Tx, _ string) error {
	findings, err := s.auditFunctions(ctx, tx)
	if err != nil || len(findings) == 0 {
		return err
	}
	if err := s.ensureOwner(ctx, tx); err != nil {
		return err
	}
	return run(ctx, tx, s.base())
}

// ensureOwner makes the role that owns the schema. An administrator who is no
// superuser joins it, to be allowed to make things that belong to it.
func (s *Strategy) ensureOwner(ctx context.Context, tx *sql.Tx) error {
	var exists, superuser bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1::name),
		(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)`, s.owner).Scan(&exists, &superuser)
	if err != nil {
		return fmt.Errorf("isolation/row: install: %w", err)
	}
	owner := pq.QuoteIdentifier(s.owner)
	if !exists {
		if err := run(ctx, tx, []string{"CREATE ROLE " + owner + " NOLOGIN NOINHERIT"}); err != nil {
			return err
		}
	}
	if superuser {
		return nil
	}
	return run(ctx, tx, []string{"GRANT " + owner + " TO CURRENT_USER"})
}
