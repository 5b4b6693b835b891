// Package pgsession clears a PostgreSQL session of what an earlier tenant left
// on it and confines it to the next, in one round trip.
package pgsession

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/postgres"
)

// Reset returns a session to how it was when it was opened: role, settings,
// cursors, notifications, temporary tables, sequences' last values, advisory
// locks, prepared statements. It is DISCARD ALL, which cannot share a message.
//
// It fails inside an older transaction, which would undo everything on rollback: now()
// is the time of the transaction's first message, statement_timestamp() that of the
// latest, and where they differ it divides by zero, unless the first statement failed
// before, which nothing may precede in its transaction.
//
// All names are qualified and nothing depends on the settings it finds. Text that
// follows in the same message is parsed under those settings, though: an earlier
// tenant may have turned standard_conforming_strings off. Literals of
// pq.QuoteLiteral read the same either way.
//
// That first statement is there since a tenant may have left the session with
// transactions that only read and are DEFERRABLE, which wait for others'.
const Reset = `SET transaction_deferrable = off;` +
	`SELECT 1 OPERATOR(pg_catalog./) (pg_catalog.now() OPERATOR(pg_catalog.=) pg_catalog.statement_timestamp())::pg_catalog.int4,` +
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
	if shared, ok := conn.(interface{ BehindPooler() bool }); ok && shared.BehindPooler() {
		return ErrPooler
	}
	// Without arguments lib/pq uses the simple protocol, which takes several
	// statements and runs them in one transaction.
	if _, err := execer.ExecContext(ctx, Reset+sql, nil); err != nil {
		return fmt.Errorf("isolation: confine connection: %w", err)
	}
	return nil
}

// ErrPooler means that a connection may lead through a pooler, which hands what is
// left on a session to others.
var ErrPooler = fmt.Errorf("%w: the connector is postgres.BehindPooler, so the strategy needs the option TransactionScoped; or connect to PostgreSQL itself", isolation.ErrUnsafe)

// Enter gives conn's session to a tenant by e, in the flight of the next statement.
func Enter(conn driver.Conn, e postgres.Entry) error {
	c, ok := conn.(interface{ Enter(e postgres.Entry) error })
	if !ok {
		return fmt.Errorf("%w: connection of type %T cannot take a tenant along with a statement; use a connector of package isolation/postgres", isolation.ErrUnsafe, conn)
	}
	return c.Enter(e)
}

// Clearing is the part of a function in plpgsql that does what [Reset] does, but for
// the sequences' last values and for statements that the driver prepared, whose texts
// it cannot tell from others'. To look for cursors and channels would cost more than to
// close them. In each transaction, what an expression costs is above all that it is there,
// however much is in it.
//
// It runs under whatever settings it finds, so every name in it is qualified.
const Clearing = `
  IF pg_catalog.pg_advisory_unlock_all() IS NULL OR pg_catalog.current_setting('role') OPERATOR(pg_catalog.<>) 'none' THEN
    SET ROLE NONE;
  END IF;
  RESET ALL;
  EXECUTE 'CLOSE ALL';
  UNLISTEN *;
  IF pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0::pg_catalog.oid THEN
    DISCARD TEMP;
  END IF;
  DECLARE
    made pg_catalog.name;
  BEGIN
    FOR made IN SELECT s.name FROM pg_catalog.pg_prepared_statement() AS s WHERE s.from_sql LOOP
      EXECUTE pg_catalog.format('DEALLOCATE %I', made);
    END LOOP;
  END;`

// ClearBody is the body of tenancy.clear(), a volatile function for sessions that are
// given to a tenant together with each statement. Every tenant's role may call it: it
// changes nothing but the session.
const ClearBody = `
BEGIN` + Clearing + `
  DISCARD SEQUENCES;
END`

// Clear makes tenancy.clear() in a schema that is there.
const Clear = "CREATE OR REPLACE FUNCTION tenancy.clear() RETURNS pg_catalog.void LANGUAGE plpgsql VOLATILE AS $tenancy$" + ClearBody + "$tenancy$"
