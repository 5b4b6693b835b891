package schema

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/isolation/internal/pgsession"
)

// ownVersions is the version table of the registry itself.
const ownVersions = "tenancy.schema_version"

//go:embed migrations/*.sql
var ownMigrations embed.FS

// Prepare makes the registry of homes, in schema tenancy, and takes from PUBLIC
// what would let tenants meet: temporary tables, and all of schema public. It is
// idempotent. Provision calls it when it was not called before.
//
// The database is the strategy's from then on: other roles that use schema
// public need grants of their own.
func (s *Strategy) Prepare(ctx context.Context) error {
	if _, err := s.install(ctx); err != nil {
		return fmt.Errorf("isolation/schema: install: %w", err)
	}
	return nil
}

// installation is what Prepare found out.
type installation struct {
	facts
	login    string   // whom the tenants' connector logs in as
	reserved []string // words that name nothing unless quoted
}

func (s *Strategy) install(ctx context.Context) (*installation, error) {
	if s.admin == nil {
		return nil, errNoAdmin
	}
	login, err := s.loginRole(ctx)
	if err != nil {
		return nil, err
	}
	in := &installation{login: login}
	err = pghome.With(ctx, s.admin, func(ctx context.Context, conn *sql.Conn) error {
		return pghome.WithLock(ctx, conn, pghome.Exclusive, "schema/install", func() error {
			if in.facts, err = readFacts(ctx, conn); err != nil {
				return err
			}
			if in.reserved, err = pghome.Texts(ctx, conn, reservedQuery); err != nil {
				return err
			}
			return s.setUp(ctx, conn, in)
		})
	})
	if err != nil {
		return nil, err
	}
	s.installed.Store(in)
	return in, nil
}

var errNoAdmin = errors.New("no administrative connector was given; use the option Admin")

// loginRole asks the server whom the connector logs in as.
func (s *Strategy) loginRole(ctx context.Context) (string, error) {
	var role string
	err := pghome.With(ctx, s.connector, func(ctx context.Context, conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, "SELECT SESSION_USER::pg_catalog.text").Scan(&role)
	})
	if err != nil {
		return "", fmt.Errorf("connect as the tenants' login role (postgres.EnsureRole makes one): %w", err)
	}
	return role, nil
}

// setUp does the work of Prepare under its lock.
func (s *Strategy) setUp(ctx context.Context, conn *sql.Conn, in *installation) error {
	if err := pghome.ExecAll(ctx, conn, "CREATE SCHEMA IF NOT EXISTS tenancy"); err != nil {
		return err
	}
	files, err := fs.Sub(ownMigrations, "migrations")
	if err != nil {
		return err
	}
	if err := migrate(ctx, s.admin, files, ownVersions); err != nil {
		return err
	}
	if err := pghome.ExecAll(ctx, conn, append([]string{pgsession.Clear}, in.rights()...)...); err != nil {
		return err
	}
	if !s.revokeConfig {
		return nil
	}
	if err := in.revokeConfig(ctx, conn); err != nil || !s.scoped {
		return err
	}
	return in.grantConfig(ctx, conn)
}

// grantConfig lets the login role alone set what a transaction runs under.
func (in *installation) grantConfig(ctx context.Context, conn *sql.Conn) error {
	const may = `SELECT has_function_privilege($1, 'pg_catalog.set_config(text,text,boolean)', 'EXECUTE')`
	var granted bool
	if err := conn.QueryRowContext(ctx, may, in.login).Scan(&granted); err != nil || granted {
		return err
	}
	grant := "GRANT EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) TO " + pghome.Quote(in.login)
	if !in.superuser {
		return fmt.Errorf("%w: RevokeSetConfig with TransactionScoped needs a superuser; have one run in database %s: %s", isolation.ErrUnsafe, in.database, grant)
	}
	return pghome.ExecAll(ctx, conn, grant)
}

// rights returns the statements that let the login role read the registry, one
// tenant at a time, and shut PUBLIC out where the administrator may.
func (in *installation) rights() []string {
	statements := []string{
		"REVOKE ALL ON SCHEMA tenancy FROM PUBLIC",
		"GRANT USAGE ON SCHEMA tenancy TO " + pghome.Quote(in.login),
		"GRANT EXECUTE ON FUNCTION tenancy.home_of(text) TO " + pghome.Quote(in.login),
		"GRANT EXECUTE ON FUNCTION tenancy.clear() TO " + pghome.Quote(in.login),
	}
	if in.ownsDatabase {
		statements = append(statements, "REVOKE TEMPORARY, CREATE ON DATABASE "+pghome.Quote(in.database)+" FROM PUBLIC")
	}
	if in.ownsPublic {
		statements = append(statements, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
	}
	return statements
}

// authors is the role that keeps the use of languages when PUBLIC loses it. The
// homes' owners are its members, so that migrations may make functions.
func (in *installation) authors() string { return fmt.Sprintf("tenancy_authors_%d", in.databaseOID) }

// revokeConfig does what RevokeSetConfig asks for, where it is still to be done.
func (in *installation) revokeConfig(ctx context.Context, conn *sql.Conn) error {
	authors := pghome.Quote(in.authors())
	statements := []string{
		"REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM PUBLIC",
		"REVOKE USAGE ON LANGUAGE plpgsql, sql FROM PUBLIC",
		"GRANT USAGE ON LANGUAGE plpgsql, sql TO " + authors,
	}
	if !in.hasAuthors {
		statements = append([]string{"CREATE ROLE " + authors + " NOLOGIN"}, statements...)
	}
	switch {
	case !in.openConfig && in.hasAuthors:
		return nil
	case !in.superuser:
		return fmt.Errorf("%w: RevokeSetConfig needs a superuser; have one run in database %s: %s",
			isolation.ErrUnsafe, in.database, strings.Join(statements, "; "))
	default:
		return pghome.ExecAll(ctx, conn, statements...)
	}
}

// facts is what depends on the server and on the administrative role.
type facts struct {
	database     string
	databaseOID  uint32
	version      int // such as 150018
	superuser    bool
	ownsDatabase bool
	ownsPublic   bool
	openConfig   bool // PUBLIC has what RevokeSetConfig takes
	hasAuthors   bool // installation.authors exists
}

const reservedQuery = `SELECT word FROM pg_catalog.pg_get_keywords() WHERE catcode <> 'U'`

const factsQuery = `SELECT d.datname, d.oid, current_setting('server_version_num')::int, r.rolsuper,
	pg_has_role(d.datdba, 'USAGE'),
	COALESCE((SELECT pg_has_role(n.nspowner, 'USAGE') FROM pg_namespace n WHERE n.nspname = 'public'), false),
	has_function_privilege('public', 'pg_catalog.set_config(text,text,boolean)', 'EXECUTE')
		OR has_language_privilege('public', 'plpgsql', 'USAGE') OR has_language_privilege('public', 'sql', 'USAGE'),
	EXISTS (SELECT FROM pg_roles a WHERE a.rolname = 'tenancy_authors_' || d.oid)
	FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = current_user`

func readFacts(ctx context.Context, conn *sql.Conn) (facts, error) {
	var f facts
	err := conn.QueryRowContext(ctx, factsQuery).Scan(&f.database, &f.databaseOID, &f.version, &f.superuser,
		&f.ownsDatabase, &f.ownsPublic, &f.openConfig, &f.hasAuthors)
	return f, err
}
