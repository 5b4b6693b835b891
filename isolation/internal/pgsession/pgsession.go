// Package pgsession clears a PostgreSQL session of what an earlier tenant left
// on it and confines it to the next, in one round trip.
package pgsession

import (
	"context"
	"database/sql/driver"
	"fmt"
)

// Reset returns a session to how it was when it was opened: role, settings,
// cursors, notifications, temporary tables, sequences' last values, advisory
// locks, prepared statements. It is DISCARD ALL, which cannot share a message.
//
// It fails with division by zero inside an older transaction, which would undo
// everything on rollback: now() is the time of the transaction's first message,
// statement_timestamp() that of the latest.
//
// All names are qualified and nothing depends on the settings it finds. Text that
// follows in the same message is parsed under those settings, though: an earlier
// tenant may have turned standard_conforming_strings off. Literals of
// pq.QuoteLiteral read the same either way.
const Reset = `SELECT 1 OPERATOR(pg_catalog./) (pg_catalog.now() OPERATOR(pg_catalog.=) pg_catalog.statement_timestamp())::pg_catalog.int4,` +
	` pg_catalog.pg_advisory_unlock_all();` +
	`SET SESSION AUTHORIZATION DEFAULT;` + // and RESET ROLE with it
	`RESET ALL;` +
	`CLOSE ALL;` +
	`DEALLOCATE ALL;` +
	`UNLISTEN *;` +
	`DISCARD TEMP;` +
	`DISCARD SEQUENCES;`

// Confine runs [Reset] and then sql, one or more statements, as one message: one
// round trip and one transaction. After an error nothing is certain about conn,
// and it must be closed.
func Confine(ctx context.Context, conn driver.Conn, sql string) error {
	execer, ok := conn.(driver.ExecerContext)
	if !ok {
		return fmt.Errorf("isolation: connection of type %T cannot run a statement directly; use a connector of package isolation/postgres", conn)
	}
	// Without arguments lib/pq uses the simple protocol, which takes several
	// statements and runs them in one transaction.
	if _, err := execer.ExecContext(ctx, Reset+sql, nil); err != nil {
		return fmt.Errorf("isolation: confine connection: %w", err)
	}
	return nil
}
