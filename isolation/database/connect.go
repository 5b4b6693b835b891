package database

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/tenant"
)

// homeConnector opens connections to one tenant's database.
type homeConnector struct {
	driver.Connector // checks the login role and the database's mark
	name             string
	id               tenant.ID
}

func newHomeConnector(c *postgres.Connector, name string, id tenant.ID) *homeConnector {
	marked := fmt.Sprintf(`CASE WHEN pg_catalog.shobj_description((SELECT d.oid FROM pg_catalog.pg_database d
		WHERE d.datname = pg_catalog.current_database()), 'pg_database') IS DISTINCT FROM %s THEN %s END`,
		pghome.Literal(homeMark(id)), pghome.Literal("is connected to a database that is not marked as the home of tenant "+string(id)))
	return &homeConnector{
		Connector: pghome.Checked(c.WithDatabase(name), pghome.Check(marked)),
		name:      name,
		id:        id,
	}
}

// Connect opens a connection. Without a database, or with one that is being
// removed, the error wraps isolation.ErrNotProvisioned.
func (c *homeConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	switch pghome.State(err) {
	case "3D000", // there is no such database
		"55000": // it accepts no connections any more
		return nil, fmt.Errorf("%w: tenant %s: %w", isolation.ErrNotProvisioned, c.id, err)
	}
	if err != nil {
		return nil, err
	}
	inner, ok := conn.(*postgres.Conn)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: connection of type %T is not of package isolation/postgres", isolation.ErrUnsafe, conn)
	}
	return &homeConn{Conn: inner, database: c.name}, nil
}

// homeConn is a connection that knows its database.
type homeConn struct {
	*postgres.Conn
	database string
	limits   isolation.Limits // of its session
}

// KeepsStatements returns true: the connection serves one tenant, whose limits change at
// most.
func (c *homeConn) KeepsStatements() bool { return true }

func (c *homeConn) checkHome(id tenant.ID, name string) error {
	if c.database != name {
		return fmt.Errorf("%w: a connection to database %s was offered for tenant %s, whose home is %s",
			isolation.ErrUnsafe, c.database, id, name)
	}
	return nil
}
