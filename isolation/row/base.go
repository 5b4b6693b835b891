package row

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/lib/pq"

	"github.com/tenancy-go/tenancy/isolation/internal/pgsession"
)

// function is a function of the schema tenancy.
type function struct {
	name, returns string
	args          string // names and types, such as "token text, VARIADIC word bigint[]"
	parallel      string // SAFE, RESTRICTED or UNSAFE
	volatility    string // STABLE or VOLATILE
	definer       bool   // it runs as the schema's owner, with the catalog's names alone
	body          string // plpgsql
}

// definerPath is the search_path of definer functions.
const definerPath = "pg_catalog, pg_temp"

// clear is the function that clears a session together with a statement.
var clear = function{name: "clear", returns: "void", parallel: "UNSAFE", volatility: "VOLATILE", body: pgsession.ClearBody}

// functions returns all that Install makes.
func (s *Strategy) functions() []function { return append(s.mode.functions(), clear) }

// types returns the types of f's arguments, as oidvectortypes writes them.
func (f function) types() string {
	if f.args == "" {
		return ""
	}
	var types []string
	for arg := range strings.SplitSeq(f.args, ", ") {
		types = append(types, arg[strings.LastIndexByte(arg, ' ')+1:])
	}
	return strings.Join(types, ", ")
}

// signature names f with the types of its arguments.
func (f function) signature() string { return "tenancy." + f.name + "(" + f.types() + ")" }

// sql creates or replaces f. Everyone may call it: it tells a session its own
// tenant, or wants a token.
func (f function) sql() string {
	security := ""
	if f.definer {
		security = " SECURITY DEFINER SET search_path = " + definerPath
	}
	var args []string
	for arg := range strings.SplitSeq(f.args, ", ") {
		name := strings.LastIndexByte(arg, ' ') + 1
		args = append(args, arg[:name]+qualified(arg[name:]))
	}
	return fmt.Sprintf("CREATE OR REPLACE FUNCTION tenancy.%s(%s) RETURNS %s LANGUAGE plpgsql %s PARALLEL %s%s AS $tenancy$%s$tenancy$",
		f.name, strings.Join(args, ", "), qualified(f.returns), f.volatility, f.parallel, security, f.body)
}

// qualified returns the name of a type for any search_path. SQL's own words stand for
// themselves.
func qualified(kind string) string {
	if kind == "" || strings.HasPrefix(kind, "bigint") {
		return kind
	}
	return "pg_catalog." + kind
}

// SQL returns the statements that make the schema tenancy, with the functions
// that the policies of [Table.SQL] call, for those who keep them in migrations of
// their own. The role that Owner names must exist. Keys are never in there: Install
// and Rotate send them by themselves.
func (s *Strategy) SQL() string {
	return strings.Join(s.base(), ";\n") + ";\n"
}

func (s *Strategy) base() []string {
	owner := pq.QuoteIdentifier(s.owner)
	statements := []string{
		"CREATE SCHEMA IF NOT EXISTS tenancy AUTHORIZATION " + owner,
		"GRANT USAGE ON SCHEMA tenancy TO PUBLIC",
	}
	for _, r := range s.mode.private() {
		statements = append(statements, r.sql(),
			fmt.Sprintf("ALTER %s tenancy.%s OWNER TO %s", r.kind(), r.name, owner),
			fmt.Sprintf("REVOKE ALL ON %s tenancy.%s FROM PUBLIC", r.kind(), r.name))
	}
	for _, f := range s.functions() {
		statements = append(statements, f.sql(),
			fmt.Sprintf("ALTER FUNCTION %s OWNER TO %s", f.signature(), owner),
			fmt.Sprintf("GRANT EXECUTE ON FUNCTION %s TO PUBLIC", f.signature()))
	}
	return append(statements, s.obsolete()...)
}

// obsolete drops what other modes call. Their tables and sequences stay, for the way
// back.
func (s *Strategy) obsolete() []string {
	current := map[string]bool{}
	for _, f := range s.functions() {
		current[f.signature()] = true
	}
	var statements []string
	for _, f := range slices.Concat((*sealed)(nil).functions(), signed{}.functions()) {
		if signature := f.signature(); !current[signature] {
			current[signature] = true
			statements = append(statements, "DROP FUNCTION IF EXISTS "+signature)
		}
	}
	return statements
}

// installBase makes the schema, its owner and what is in it, unless that is there, and
// the keys.
func (s *Strategy) installBase(ctx context.Context, tx *sql.Tx, role string) error {
	findings, err := s.auditBase(ctx, tx, role)
	if err != nil {
		return err
	}
	if len(findings) > 0 || s.keys != nil {
		if err := s.ensureOwner(ctx, tx); err != nil {
			return err
		}
	}
	if len(findings) > 0 {
		statements := s.base()
		for _, r := range s.mode.private() {
			statements = append(statements, fmt.Sprintf("REVOKE ALL ON %s tenancy.%s FROM %s", r.kind(), r.name, pq.QuoteIdentifier(role)))
		}
		if err := run(ctx, tx, statements); err != nil {
			return err
		}
		if err := unlog(ctx, tx, s.mode.private()); err != nil {
			return err
		}
	}
	return s.installKeys(ctx, tx)
}

// unlog keeps registers out of the write-ahead log, which PostgreSQL can from version
// 15 on. They are worth nothing after a restart.
func unlog(ctx context.Context, tx *sql.Tx, relations []relation) error {
	const query = `SELECT current_setting('server_version_num')::int4 >= 150000 AND EXISTS (
		SELECT FROM pg_class WHERE oid = ('tenancy.' || $1::text)::regclass AND relpersistence = 'p')`
	for _, r := range relations {
		if !r.sequence {
			continue
		}
		var logged bool
		if err := tx.QueryRowContext(ctx, query, r.name).Scan(&logged); err != nil {
			return fmt.Errorf("isolation/row: install: %w", err)
		}
		if !logged {
			continue
		}
		if err := run(ctx, tx, []string{"ALTER SEQUENCE tenancy." + r.name + " SET UNLOGGED"}); err != nil {
			return err
		}
	}
	return nil
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
