package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/tenancy-go/tenancy/isolation"
)

// checkQuery costs one round trip.
const checkQuery = `SELECT pg_catalog.pg_backend_pid()::pg_catalog.text, pg_catalog.current_setting('standard_conforming_strings')`

// checkSession refuses a session that a pooler shares between clients, unless it may, and one
// that reads quoted literals in the manner of before PostgreSQL 9.1. pid is the
// backend that the server announced when the connection was opened.
func checkSession(ctx context.Context, conn driver.QueryerContext, pid int, pooler bool) error {
	rows, err := conn.QueryContext(ctx, checkQuery, nil)
	if err != nil {
		return fmt.Errorf("isolation/postgres: check session: %w", err)
	}
	values := make([]driver.Value, 2)
	err = rows.Next(values)
	if err = errors.Join(err, rows.Close()); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // a session that answers nothing is no session
		}
		return fmt.Errorf("isolation/postgres: check session: %w", err)
	}
	if answered, announced := text(values[0]), fmt.Sprint(pid); answered != announced && !pooler {
		return unsafe("a pooler such as PgBouncer stands before the server (backend %s answered, %s was announced): "+
			"it shares sessions between clients, so one tenant's context would serve another's statements; "+
			"connect to PostgreSQL itself, isolation.Pool does the pooling; or use postgres.BehindPooler with a strategy that is TransactionScoped", answered, announced)
	}
	if on := text(values[1]); on != "on" {
		return unsafe("standard_conforming_strings is %q: backslashes in literals would be escapes; "+
			"remove the setting from the connection string, the role and the database", on)
	}
	return nil
}

// text returns v, a column of type text, as a string.
func text(v driver.Value) string {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return fmt.Sprint(v)
}

// unsafe returns an error that wraps isolation.ErrUnsafe.
func unsafe(format string, args ...any) error {
	return fmt.Errorf("%w: %s", isolation.ErrUnsafe, fmt.Sprintf(format, args...))
}
