package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/internal/sqlkit"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/isolation/postgres"
)

// homeVersions is the version table of each home.
const homeVersions = "public.tenancy_version"

// templateTries bounds how often a template is made again because another
// process, with other migrations, replaced it meanwhile.
const templateTries = 10

// Prepare makes the template that new homes are cloned from, unless there is one
// that fits the migrations as they are. Provision does so too when it must.
func (s *Strategy) Prepare(ctx context.Context) error {
	err := s.prepare(ctx)
	if err != nil {
		return fmt.Errorf("isolation/database: make template %s: %w", s.templateName(), err)
	}
	return nil
}

func (s *Strategy) prepare(ctx context.Context) error {
	if s.admin == nil {
		return errNoAdmin
	}
	login, err := s.loginRole(ctx)
	if err != nil {
		return err
	}
	sum, err := s.sum(login)
	if err != nil {
		return err
	}
	return pghome.With(ctx, s.admin, func(ctx context.Context, conn *sql.Conn) error {
		return pghome.WithLock(ctx, conn, pghome.Exclusive, s.templateLock(), func() error {
			return s.ensureTemplate(ctx, conn, sum, login)
		})
	})
}

// clone makes database draft from a template that fits the migrations. While
// someone clones, nobody replaces the template.
func (s *Strategy) clone(ctx context.Context, conn *sql.Conn, draft, login string) error {
	sum, err := s.sum(login)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	for range templateTries {
		cloned, err := s.tryClone(ctx, conn, draft, sum)
		if err != nil || cloned {
			return err
		}
		err = pghome.WithLock(ctx, conn, pghome.Exclusive, s.templateLock(), func() error {
			return s.ensureTemplate(ctx, conn, sum, login)
		})
		if err != nil {
			return fmt.Errorf("make template %s: %w", s.templateName(), err)
		}
	}
	return errors.New("other processes keep replacing the template: they run other migrations under the same Prefix")
}

func (s *Strategy) templateLock() string { return "database/template/" + s.prefix }

// tryClone reports false if there is no template for sum.
func (s *Strategy) tryClone(ctx context.Context, conn *sql.Conn, draft, sum string) (cloned bool, err error) {
	err = pghome.WithLock(ctx, conn, pghome.Shared, s.templateLock(), func() error {
		fits, err := s.templateFits(ctx, conn, sum)
		if err != nil || !fits {
			return err
		}
		strategy, err := cloneStrategy(ctx, conn)
		if err != nil {
			return err
		}
		cloned = true
		return pghome.ExecAll(ctx, conn, "CREATE DATABASE "+draft+" TEMPLATE "+pghome.Quote(s.templateName())+strategy)
	})
	return cloned, err
}

// cloneStrategy returns the clause that copies through the write-ahead log, which
// needs no checkpoint. Before PostgreSQL 15 there is only the other way.
func cloneStrategy(ctx context.Context, conn *sql.Conn) (string, error) {
	var has bool
	err := conn.QueryRowContext(ctx, "SELECT pg_catalog.current_setting('server_version_num')::int >= 150000").Scan(&has)
	if has {
		return " STRATEGY wal_log", err
	}
	return "", err
}

// templateFits reports whether the template was made for sum and is closed.
func (s *Strategy) templateFits(ctx context.Context, conn *sql.Conn, sum string) (bool, error) {
	mark, _, err := readMark(ctx, conn, s.templateName())
	return mark == templateMark(sum), err
}

// ensureTemplate makes the template under another name and puts it in the place
// of the old one, which accepted no connections at any time.
func (s *Strategy) ensureTemplate(ctx context.Context, conn *sql.Conn, sum, login string) error {
	if fits, err := s.templateFits(ctx, conn, sum); err != nil || fits {
		return err
	}
	draft, name := pghome.Quote(s.newTemplateName()), pghome.Quote(s.templateName())
	err := pghome.ExecAll(ctx, conn,
		"DROP DATABASE IF EXISTS "+draft+" WITH (FORCE)",
		"CREATE DATABASE "+draft,
		"REVOKE ALL ON DATABASE "+draft+" FROM PUBLIC")
	if err != nil {
		return err
	}
	if err := s.bringUp(ctx, s.newTemplateName(), login); err != nil {
		return err
	}
	if err := s.dropTemplate(ctx, conn); err != nil {
		return err
	}
	return pghome.InTx(ctx, conn, func(tx *sql.Tx) error {
		return pghome.ExecAll(ctx, tx,
			"COMMENT ON DATABASE "+draft+" IS "+pghome.Literal(templateMark(sum)),
			"ALTER DATABASE "+draft+" ALLOW_CONNECTIONS false IS_TEMPLATE true",
			"ALTER DATABASE "+draft+" RENAME TO "+name)
	})
}

// dropTemplate drops the template, if there is one.
func (s *Strategy) dropTemplate(ctx context.Context, conn *sql.Conn) error {
	_, exists, err := readMark(ctx, conn, s.templateName())
	if err != nil || !exists {
		return err
	}
	name := pghome.Quote(s.templateName())
	return pghome.ExecAll(ctx, conn, "ALTER DATABASE "+name+" IS_TEMPLATE false", "DROP DATABASE "+name+" WITH (FORCE)")
}

// bringUp gives a database the login role's rights, and migrates it.
func (s *Strategy) bringUp(ctx context.Context, name, login string) error {
	connector := s.admin.WithDatabase(name)
	err := pghome.With(ctx, connector, func(ctx context.Context, conn *sql.Conn) error {
		if err := pghome.ExecAll(ctx, conn, rights(login)...); err != nil {
			return err
		}
		return checkPublic(ctx, conn, login)
	})
	if err != nil || s.migrations == nil {
		return err
	}
	return s.migrate(ctx, connector, login)
}

// rights returns the statements that give login its rights on what exists later.
// The defaults concern what the administrative role makes, as the migrations do.
func rights(login string) []string {
	to := " TO " + pghome.Quote(login)
	return []string{
		"REVOKE ALL ON SCHEMA public FROM PUBLIC",
		"GRANT USAGE ON SCHEMA public" + to,
		"ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS" + to,
		"ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES" + to,
		"ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES" + to,
	}
}

// checkPublic makes sure that the rights took effect: a role that does not own
// schema public, as before PostgreSQL 15, revokes nothing and gets a warning.
func checkPublic(ctx context.Context, conn *sql.Conn, login string) error {
	var creates bool
	err := conn.QueryRowContext(ctx, "SELECT pg_catalog.has_schema_privilege($1, 'public', 'CREATE')", login).Scan(&creates)
	if err == nil && creates {
		return fmt.Errorf("%w: role %q may create in schema public; let the administrative role own schema public in template1, "+
			"or REVOKE CREATE ON SCHEMA public FROM PUBLIC there", isolation.ErrUnsafe, login)
	}
	return err
}

func (s *Strategy) migrate(ctx context.Context, connector *postgres.Connector, login string) error {
	db := sql.OpenDB(connector)
	err := sqlkit.Migrate(ctx, db, sqlkit.Postgres, s.migrations, homeVersions)
	if err == nil { // the tenant must not make its own migrations run again
		err = pghome.ExecAll(ctx, db,
			"REVOKE ALL ON "+homeVersions+" FROM "+pghome.Quote(login),
			"REVOKE ALL ON SEQUENCE "+homeVersions+"_id_seq FROM "+pghome.Quote(login))
	}
	return errors.Join(err, db.Close())
}
