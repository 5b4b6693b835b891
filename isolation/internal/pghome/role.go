package pghome

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tenancy-go/tenancy/isolation"
)

// roleFindings tells in words what the session's login role may that it must not,
// or is empty. Up to PostgreSQL 15 a role inherits as a whole; from 16 on each
// membership says for itself, in a column that older servers lack.
const roleFindings = `
	CASE WHEN r.rolsuper THEN 'is a superuser' END,
	CASE WHEN r.rolbypassrls THEN 'bypasses row security' END,
	CASE WHEN r.rolcreaterole THEN 'may create roles' END,
	CASE WHEN r.rolcreatedb THEN 'may create databases' END,
	CASE WHEN r.rolreplication THEN 'may replicate' END,
	CASE WHEN r.rolinherit THEN 'inherits (want NOINHERIT)' END,
	(SELECT 'has the rights of role ' || pg_catalog.min(m.roleid::pg_catalog.regrole::pg_catalog.text) ||
		' without SET ROLE (want GRANT ... WITH INHERIT FALSE)'
		FROM pg_catalog.pg_auth_members m WHERE m.member = r.oid
		AND COALESCE((pg_catalog.to_jsonb(m) ->> 'inherit_option')::pg_catalog.bool, r.rolinherit) HAVING pg_catalog.count(*) > 0),
	(SELECT 'is a member of role ' || pg_catalog.min(g.rolname::pg_catalog.text) || ', which may too much'
		FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
		WHERE m.member = r.oid AND (g.rolsuper OR g.rolbypassrls OR g.rolcreaterole OR g.rolcreatedb
			OR g.rolreplication OR g.oid < 16384) HAVING pg_catalog.count(*) > 0)`

// Check returns a check of new connections, for [Checked], that costs one round
// trip. It refuses, with an error wrapping isolation.ErrUnsafe, a login role that
// may more than isolation can bear. more are further expressions of type text
// over pg_roles r, the login role's, that are null when all is well.
func Check(more ...string) func(context.Context, driver.Conn) error {
	query := "SELECT pg_catalog.concat_ws(', ', " + strings.Join(append([]string{roleFindings}, more...), ", ") +
		"), r.rolname::pg_catalog.text FROM pg_catalog.pg_roles r WHERE r.rolname = SESSION_USER"
	return func(ctx context.Context, conn driver.Conn) error {
		row, err := queryRow(ctx, conn, query, 2)
		if err != nil {
			return fmt.Errorf("isolation: check the login role: %w", err)
		}
		if findings, role := row[0], row[1]; findings != "" {
			return fmt.Errorf("%w: login role %q %s; use a role as postgres.EnsureRole makes it, "+
				"with no memberships but those that the strategy grants", isolation.ErrUnsafe, role, findings)
		}
		return nil
	}
}

// queryRow returns the only row of query, n columns of type text.
func queryRow(ctx context.Context, conn driver.Conn, query string, n int) (_ []string, err error) {
	queryer, ok := conn.(driver.QueryerContext)
	if !ok {
		return nil, fmt.Errorf("connection of type %T cannot query; use a connector of package isolation/postgres", conn)
	}
	rows, err := queryer.QueryContext(ctx, query, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	values := make([]driver.Value, n)
	if err := rows.Next(values); errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	} else if err != nil {
		return nil, err
	}
	texts := make([]string, n)
	for i, v := range values {
		if b, ok := v.([]byte); ok {
			texts[i] = string(b)
		} else {
			texts[i] = fmt.Sprint(v)
		}
	}
	return texts, nil
}

// Checked returns connector with check run on each new connection. What check
// refuses is closed.
func Checked(connector driver.Connector, check func(context.Context, driver.Conn) error) driver.Connector {
	return &checked{Connector: connector, check: check}
}

type checked struct {
	driver.Connector
	check func(context.Context, driver.Conn) error
}

func (c *checked) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.check(ctx, conn); err != nil {
		_ = conn.Close() // the check's error says more
		return nil, err
	}
	return conn, nil
}
