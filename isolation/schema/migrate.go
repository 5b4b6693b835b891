package schema

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io/fs"

	"github.com/tenancy-go/tenancy/internal/sqlkit"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/isolation/postgres"
)

// homeVersions is the version table of each home, inside it.
const homeVersions = "tenancy_version"

// bringUp gives the tenant's role its way in, and migrates the home.
func (s *Strategy) bringUp(ctx context.Context, conn *sql.Conn, in *installation, r record) error {
	if err := s.letIn(ctx, conn, in, r); err != nil {
		return err
	}
	if s.migrations == nil {
		return nil
	}
	table := r.schema + "." + homeVersions
	if err := migrate(ctx, pghome.Checked(s.admin, r.asOwner), s.migrations, table); err != nil {
		return err
	}
	// The tenant must not make its own migrations run again.
	return pghome.ExecAll(ctx, conn,
		"REVOKE ALL ON "+table+" FROM "+pghome.Quote(r.role),
		"REVOKE ALL ON SEQUENCE "+table+"_id_seq FROM "+pghome.Quote(r.role))
}

func migrate(ctx context.Context, connector driver.Connector, files fs.FS, table string) error {
	db := sql.OpenDB(connector)
	err := sqlkit.Migrate(ctx, db, sqlkit.Postgres, files, table)
	return errors.Join(err, db.Close())
}

// asOwner makes a connection of the administrator's the one of r's owner, with
// r's schema as the only place to make things in.
func (r record) asOwner(ctx context.Context, conn driver.Conn) error {
	execer, ok := conn.(driver.ExecerContext)
	if !ok {
		return errors.New("the administrative connector's connections cannot run a statement directly; use package isolation/postgres")
	}
	_, err := execer.ExecContext(ctx, r.enter(), nil)
	return err
}

// enter returns the SQL that makes a session r's owner's.
func (r record) enter() string {
	return "SET ROLE " + pghome.Quote(r.owner) + "; SET search_path TO " + pghome.Quote(r.schema) + ", pg_temp"
}

// letIn lets the login role take on the tenant's role; with LoginRoles, it lets
// the tenant's role log in instead.
func (s *Strategy) letIn(ctx context.Context, conn *sql.Conn, in *installation, r record) error {
	role, login := pghome.Quote(r.role), pghome.Quote(in.login)
	if s.revokeConfig {
		err := pghome.ExecAll(ctx, conn, "GRANT "+pghome.Quote(in.authors())+" TO "+pghome.Quote(r.owner))
		if err != nil {
			return err
		}
	}
	if s.login == nil {
		return pghome.ExecAll(ctx, conn,
			"ALTER ROLE "+role+" NOLOGIN",
			"GRANT "+role+" TO "+login+in.membership(false))
	}
	if err := pghome.ExecAll(ctx, conn, "REVOKE "+role+" FROM "+login); err != nil {
		return err
	}
	db := sql.OpenDB(s.admin)
	err := postgres.EnsureRole(ctx, db, r.role, s.login.password(r.role))
	return errors.Join(err, db.Close())
}
