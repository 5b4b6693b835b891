package row

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/tenancy-go/tenancy/isolation/internal/pgsession"
)

// guarded opens the connections that tenants use. It looks at the role and at the
// tables of each, so that a database on which nobody called Install or Verify is
// refused just the same.
type guarded struct {
	inner    driver.Connector
	strategy *Strategy
}

func (g guarded) Driver() driver.Driver { return g.inner.Driver() }

// Connect costs one round trip more than the inner connector's, in mode Sealed two.
func (g guarded) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := g.inner.Connect(ctx)
	if err != nil {
		return nil, err
	}
	err = g.strategy.inspect(ctx, conn)
	if err == nil {
		err = g.strategy.mode.admit(ctx, conn)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// inspect returns an error that wraps isolation.ErrUnsafe if conn is not fit for
// tenants.
func (s *Strategy) inspect(ctx context.Context, conn driver.Conn) error {
	if !fromPostgres(conn) {
		return &UnsafeError{Findings: []Finding{{
			Object:  fmt.Sprintf("connection of type %T", conn),
			Problem: "it was not opened by package isolation/postgres, so nobody looked for a pooler before the server",
			Remedy:  "give row.New a connector of postgres.NewConnector",
		}}}
	}
	if shared, ok := conn.(interface{ BehindPooler() bool }); ok && shared.BehindPooler() && !s.scoped {
		return pgsession.ErrPooler
	}
	queryer, ok := conn.(driver.QueryerContext)
	if !ok {
		return fmt.Errorf("isolation/row: connection of type %T runs no queries", conn)
	}
	findings, err := s.look(ctx, queryer)
	if err != nil {
		return fmt.Errorf("isolation/row: check new connection: %w", err)
	}
	return unsafeUnlessNone(findings)
}

// fromPostgres reports whether conn, or what it wraps, is a *postgres.Conn.
func fromPostgres(conn driver.Conn) bool {
	for conn != nil {
		if _, ok := conn.(interface{ BackendPID() int }); ok {
			return true
		}
		wrapper, ok := conn.(interface{ Unwrap() driver.Conn })
		if !ok {
			return false
		}
		conn = wrapper.Unwrap()
	}
	return false
}

// look runs the audit of connections on conn, below database/sql.
func (s *Strategy) look(ctx context.Context, conn driver.QueryerContext) (findings []Finding, err error) {
	args, err := s.driverArgs()
	if err != nil {
		return nil, err
	}
	rows, err := conn.QueryContext(ctx, connectionAudit, args)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	values := make([]driver.Value, 3)
	for {
		switch err := rows.Next(values); {
		case errors.Is(err, io.EOF):
			return findings, nil
		case err != nil:
			return nil, err
		}
		findings = append(findings, Finding{Object: text(values[0]), Problem: text(values[1]), Remedy: text(values[2])})
	}
}

// driverArgs are the audit's arguments for the role that asks.
func (s *Strategy) driverArgs() ([]driver.NamedValue, error) {
	var named []driver.NamedValue
	for i, arg := range s.auditArgs(nil) {
		if valuer, ok := arg.(driver.Valuer); ok {
			value, err := valuer.Value()
			if err != nil {
				return nil, err
			}
			arg = value
		}
		named = append(named, driver.NamedValue{Ordinal: i + 1, Value: arg})
	}
	return named, nil
}

// text returns a column of type text.
func text(v driver.Value) string {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return fmt.Sprint(v)
}
