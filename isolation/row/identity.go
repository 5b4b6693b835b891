package row

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"
)

// identity tells databases, and who logged in to them, apart.
type identity struct {
	role     string
	database string
	oid      int64
	started  time.Time // of the server
}

const identityQuery = `SELECT session_user, current_database(), d.oid::int8, pg_postmaster_start_time() FROM pg_database d WHERE d.datname = current_database()`

// identify asks the database that connector leads to.
func identify(ctx context.Context, connector driver.Connector) (identity, error) {
	db := sql.OpenDB(connector)
	defer db.Close()
	var id identity
	err := db.QueryRowContext(ctx, identityQuery).Scan(&id.role, &id.database, &id.oid, &id.started)
	if err != nil {
		return identity{}, fmt.Errorf("isolation/row: ask for the runtime role: %w", err)
	}
	return id, nil
}

// same returns an error unless tx works in id's database, as another role.
func (id identity) same(ctx context.Context, tx *sql.Tx) error {
	var other identity
	err := tx.QueryRowContext(ctx, identityQuery).Scan(&other.role, &other.database, &other.oid, &other.started)
	switch {
	case err != nil:
		return fmt.Errorf("isolation/row: install: %w", err)
	case other.oid != id.oid || !other.started.Equal(id.started):
		return fmt.Errorf("isolation/row: row.Admin connects to another database (%q) than the runtime connector (%q)", other.database, id.database)
	case other.role == id.role:
		return &UnsafeError{Findings: []Finding{{
			Object:  fmt.Sprintf("role %q", id.role),
			Problem: "it is both the administrator and the runtime role, so it may undo the policies",
			Remedy:  "make a runtime role with postgres.EnsureRole, and give row.New a connector that logs in as it",
		}}}
	}
	return nil
}
