package row

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Verify looks for holes as the runtime role, and changes nothing. It returns an
// [*UnsafeError], which wraps isolation.ErrUnsafe and lists each hole with its
// remedy. Run it at start-up and in CI, on a database that has the current
// migrations.
//
// It finds: a runtime role that is a superuser, bypasses row security, makes
// roles, replicates or owns something, itself or through a role it is a member of;
// tables whose tenant column, row security, policies or default are not as
// Install makes them; TRUNCATE, REFERENCES, TRIGGER, CREATE and TEMPORARY
// privileges; partitions, views, materialized views, foreign tables, definer
// functions, rules and large objects that lead past the policies; tables with
// the tenant column that were not named; keys without the tenant column.
func (s *Strategy) Verify(ctx context.Context) error {
	db := sql.OpenDB(s.runtime)
	defer db.Close()
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("isolation/row: verify: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	role, err := enterCatalog(ctx, tx)
	if err != nil {
		return fmt.Errorf("isolation/row: verify: %w", err)
	}
	findings, err := s.audit(ctx, tx, role)
	return errors.Join(err, unsafeUnlessNone(findings))
}

// enterCatalog takes everything but the catalog out of tx's search_path, and
// returns the role that logged in.
func enterCatalog(ctx context.Context, tx *sql.Tx) (role string, err error) {
	if _, err := tx.ExecContext(ctx, `SET LOCAL search_path = pg_catalog, pg_temp`); err != nil {
		return "", err
	}
	err = tx.QueryRowContext(ctx, `SELECT session_user`).Scan(&role)
	return role, err
}
