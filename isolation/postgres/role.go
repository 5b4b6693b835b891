package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// roleAttempts is how often EnsureRole tries when another process changes the same
// role. Those that are connected to the same database take turns; roles belong to
// all databases of a server, though.
const roleAttempts = 10

// EnsureRole makes the login role name, or takes from it what a tenants' role
// must not have: it logs in, inherits nothing, and is no superuser, creates no
// databases or roles, does not replicate and does not bypass row security. An
// empty password leaves the password as it is; else it is set, and travels only
// as a SCRAM-SHA-256 verifier, so that neither the wire nor the server's log
// shows it. Passwords are printable ASCII.
//
// admin needs CREATEROLE; to take SUPERUSER or the like away, it must have that
// itself. Several processes may call EnsureRole at once.
func EnsureRole(ctx context.Context, admin *sql.DB, name, password string) error {
	verifier, err := scramVerifier(password)
	if err != nil {
		return fmt.Errorf("isolation/postgres: role %q: %w", name, err)
	}
	for range roleAttempts {
		if err = ensureRole(ctx, admin, name, verifier); !isRoleRace(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("isolation/postgres: role %q: %w", name, err)
	}
	return nil
}

// attributes pairs what a role may have wrongly with what mends it.
const attributes = `SELECT pg_catalog.concat_ws(' ',
	CASE WHEN NOT rolcanlogin THEN 'LOGIN' END,
	CASE WHEN rolinherit THEN 'NOINHERIT' END,
	CASE WHEN rolsuper THEN 'NOSUPERUSER' END,
	CASE WHEN rolcreatedb THEN 'NOCREATEDB' END,
	CASE WHEN rolcreaterole THEN 'NOCREATEROLE' END,
	CASE WHEN rolreplication THEN 'NOREPLICATION' END,
	CASE WHEN rolbypassrls THEN 'NOBYPASSRLS' END)
	FROM pg_catalog.pg_roles WHERE rolname = $1`

// ensureRole makes or mends the role once.
func ensureRole(ctx context.Context, admin *sql.DB, name, verifier string) error {
	tx, err := admin.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	if _, err := tx.ExecContext(ctx, `SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('tenancy role ' || $1::pg_catalog.text, 0))`, name); err != nil {
		return err
	}
	statement, err := roleStatement(ctx, tx, name, verifier)
	if err != nil || statement == "" {
		return err
	}
	if _, err := tx.ExecContext(ctx, statement); err != nil {
		return err
	}
	return tx.Commit()
}

// roleStatement returns what the role still needs, or nothing. It names only the
// attributes that are wrong, since naming some at all takes a superuser.
func roleStatement(ctx context.Context, tx *sql.Tx, name, verifier string) (string, error) {
	verb, change := "ALTER", ""
	err := tx.QueryRowContext(ctx, attributes, name).Scan(&change)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		verb, change = "CREATE", "LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
	case err != nil:
		return "", err
	}
	if verifier != "" {
		change += " PASSWORD " + pq.QuoteLiteral(verifier)
	}
	if change == "" {
		return "", nil
	}
	return strings.Join([]string{verb, "ROLE", pq.QuoteIdentifier(name), change}, " "), nil
}

// isRoleRace reports whether err comes from two sessions making or changing a
// role at the same time. PostgreSQL has no code of its own for the second.
func isRoleRace(err error) bool {
	e := pq.As(err, pqerror.DuplicateObject, pqerror.UniqueViolation, pqerror.InternalError)
	return e != nil && (e.Code != pqerror.InternalError || strings.Contains(e.Message, "concurrently"))
}
