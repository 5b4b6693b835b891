package row

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// Only one Install runs at a time in a database; the others wait. Then it does not
// wait long for a table that is in use, because everyone else would wait behind it.
const (
	installLock    = `SELECT pg_advisory_xact_lock(hashtextextended('tenancy row install', 0))`
	installTimeout = `SET LOCAL lock_timeout = '10s'`
)

// installAttempts is how often Install tries again after it met another that
// works in another database of the same server, where roles are shared.
const installAttempts = 5

// Install makes the schema tenancy with its functions, and puts the tenants'
// tables under row security, for the role that the runtime connector logs in as.
// It changes only what is not as it should be, in one transaction, and takes an
// exclusive lock only on tables that it changes.
//
// Then it looks for holes as Verify does. What it may not mend itself, such as a
// privilege that a superuser gave, or a key without the tenant column, it returns
// as an [*UnsafeError]; what it did remains.
func (s *Strategy) Install(ctx context.Context) error {
	return s.administer(ctx, s.installAll)
}

func (s *Strategy) installAll(ctx context.Context, tx *sql.Tx, role string) error {
	if err := s.installBase(ctx, tx, role); err != nil {
		return err
	}
	return s.installTables(ctx, tx, role)
}

// administer runs work in a transaction of the administrator, for the runtime
// role. Findings are returned after the commit, any other error without it.
func (s *Strategy) administer(ctx context.Context, work func(ctx context.Context, tx *sql.Tx, role string) error) error {
	if s.admin == nil {
		return fmt.Errorf("isolation/row: %w", errNoAdmin)
	}
	runtime, err := identify(ctx, s.runtime)
	if err != nil {
		return err
	}
	return s.administerFor(ctx, runtime, work)
}

func (s *Strategy) administerFor(ctx context.Context, runtime identity,
	work func(ctx context.Context, tx *sql.Tx, role string) error,
) (err error) {
	db := sql.OpenDB(s.admin)
	defer db.Close()
	for range installAttempts {
		if err = transact(ctx, db, runtime, work); !isRace(err) {
			break
		}
	}
	return err
}

var errNoAdmin = errors.New("no administrative connector was given: use row.Admin")

func transact(ctx context.Context, db *sql.DB, runtime identity, work func(ctx context.Context, tx *sql.Tx, role string) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("isolation/row: install: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	if _, err := enterCatalog(ctx, tx); err != nil {
		return fmt.Errorf("isolation/row: install: %w", err)
	}
	if err := runtime.same(ctx, tx); err != nil {
		return err
	}
	for _, query := range []string{installLock, installTimeout} {
		if _, err := tx.ExecContext(ctx, query); err != nil {
			return fmt.Errorf("isolation/row: install: %w", err)
		}
	}
	err = work(ctx, tx, runtime.role)
	if unsafe := (*UnsafeError)(nil); err != nil && !errors.As(err, &unsafe) {
		return err
	}
	if commitErr := tx.Commit(); commitErr != nil {
		return fmt.Errorf("isolation/row: install: %w", commitErr)
	}
	return err
}

// installTables brings each table, and what is around it, to order.
func (s *Strategy) installTables(ctx context.Context, tx *sql.Tx, role string) error {
	findings, err := s.find(ctx, tx, role, roleAudit)
	if err != nil {
		return err
	}
	if len(findings) > 0 {
		return unsafeUnlessNone(findings) // no grant would be safe with this role
	}
	tables, err := s.catalog(ctx, tx, role)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if err := run(ctx, tx, t.missing()); err != nil {
			return err
		}
	}
	audits := []string{privilegesAudit, settingsAudit}
	if s.harden {
		audits = append(audits, hardenAudit)
	}
	for _, audit := range audits {
		if err := s.mend(ctx, tx, role, audit); err != nil {
			return err
		}
	}
	findings, err = s.audit(ctx, tx, role)
	if err != nil {
		return err
	}
	return unsafeUnlessNone(findings)
}

// mend runs the remedies of an audit whose remedies are statements. What the
// administrator may not do stays, for the last audit to report.
func (s *Strategy) mend(ctx context.Context, tx *sql.Tx, role, audit string) error {
	findings, err := s.find(ctx, tx, role, audit)
	if err != nil {
		return err
	}
	for _, f := range findings {
		err := run(ctx, tx, []string{"SAVEPOINT tenancy", f.Remedy})
		if pq.As(err, pqerror.InsufficientPrivilege) != nil {
			err = run(ctx, tx, []string{"ROLLBACK TO SAVEPOINT tenancy"})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// run executes statements in order.
func run(ctx context.Context, tx *sql.Tx, statements []string) error {
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("isolation/row: install: %s: %w", statement, err)
		}
	}
	return nil
}

// isRace reports whether err comes from another Install in another database.
func isRace(err error) bool {
	e := pq.As(err, pqerror.DuplicateObject, pqerror.UniqueViolation, pqerror.TRDeadlockDetected, pqerror.InternalError)
	return e != nil && (e.Code != pqerror.InternalError || strings.Contains(e.Message, "concurrently"))
}
