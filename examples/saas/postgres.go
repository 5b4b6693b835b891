package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"

	"github.com/tenancy-go/tenancy/examples/saas/workspace"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/isolation/schema"
	"github.com/tenancy-go/tenancy/tenant/sqlstore"
)

// server is a PostgreSQL server, as the two roles that the program uses.
type server struct {
	admin *postgres.Connector // makes homes, keeps the registry
	app   *postgres.Connector // runs the statements of tenants, and has no other rights
}

// openPostgres keeps the registry and the tenants on one server. cfg.Database is the
// administrator's URL; tenants' statements never run as the administrator.
func openPostgres(ctx context.Context, cfg Config) (_ backend, err error) {
	pg, err := connect(ctx, cfg)
	if err != nil {
		return backend{}, err
	}
	strategy, about, err := isolate(cfg, pg)
	if err != nil {
		return backend{}, err
	}
	registry := sql.OpenDB(pg.admin)
	registry.SetMaxOpenConns(10)
	defer closeUnless(&err, registry)
	store, err := openRegistry(ctx, registry, cfg.Database)
	if err == nil {
		err = remember(ctx, registry, cfg.Isolation)
	}
	if err != nil {
		return backend{}, err
	}
	return backend{store: store, strategy: strategy, about: about, close: registry.Close}, nil
}

// openRegistry opens the tenants' records, in tables that only the administrator can
// use.
func openRegistry(ctx context.Context, db *sql.DB, listen string) (*sqlstore.Store, error) {
	store, err := sqlstore.New(db, sqlstore.Postgres, sqlstore.WithListener(listen))
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, fmt.Errorf("migrate the registry: %w", err)
	}
	return store, nil
}

// remember keeps in the database how workspaces are isolated there, and refuses another
// way: none of them would have a home.
func remember(ctx context.Context, db *sql.DB, isolation string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit there is nothing to roll back
	for _, query := range []string{
		"SELECT pg_advisory_xact_lock(hashtextextended('saas/installation', 0))", // starts that meet
		"CREATE SCHEMA IF NOT EXISTS saas",
		"CREATE TABLE IF NOT EXISTS saas.installation (one boolean PRIMARY KEY DEFAULT true CHECK (one), isolation text NOT NULL)",
	} {
		if _, err := tx.ExecContext(ctx, query); err != nil {
			return fmt.Errorf("remember the isolation: %w", err)
		}
	}
	var before string
	const keep = "INSERT INTO saas.installation (isolation) VALUES ($1) ON CONFLICT (one) DO UPDATE SET one = true RETURNING isolation"
	if err := tx.QueryRowContext(ctx, keep, isolation).Scan(&before); err != nil {
		return fmt.Errorf("remember the isolation: %w", err)
	}
	if before != isolation {
		return fmt.Errorf("-isolation: workspaces in this database are isolated by %s; start with -isolation %[1]s, or use another database for %s", before, isolation)
	}
	return tx.Commit()
}

// connect makes the role that tenants' statements run as, and returns connectors for
// it and for the administrator.
func connect(ctx context.Context, cfg Config) (server, error) {
	admin, err := postgres.NewConnector(cfg.Database)
	if err != nil {
		return server{}, err
	}
	target, err := url.Parse(cfg.Database)
	if err != nil || target.Scheme != "postgres" && target.Scheme != "postgresql" {
		return server{}, errors.New("-database: want a URL like postgres://admin:password@host/database")
	}
	password := rolePassword(target.User, cfg.Role)
	db := sql.OpenDB(admin)
	err = errors.Join(postgres.EnsureRole(ctx, db, cfg.Role, password), db.Close())
	return server{admin: admin, app: admin.WithUser(cfg.Role, password)}, err
}

// ownerRole names the role without a login that owns what row isolation is made of.
func ownerRole(cfg Config) string { return cfg.Role + "_owner" }

// rolePassword derives the role's password from the administrator's, so that all
// processes of an installation agree on it. Where the administrator needs none, each
// start makes a new one.
func rolePassword(admin *url.Userinfo, role string) string {
	secret, ok := admin.Password()
	if !ok || secret == "" {
		return rand.Text()
	}
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte("saas role " + role)) // a hash never fails
	return hex.EncodeToString(mac.Sum(nil))
}

// isolate returns the strategy that cfg names, and what to call it.
func isolate(cfg Config, pg server) (isolation.Managed, string, error) {
	switch cfg.Isolation {
	case "row":
		s, err := row.New(pg.app, row.Admin(pg.admin), row.Owner(ownerRole(cfg)),
			row.Tables(workspace.Tables()...), row.Migrations(workspace.SharedTables()))
		return s, "row-level security in shared tables", err
	case "schema":
		s, err := schema.New(pg.app, schema.Admin(pg.admin), schema.Migrations(workspace.OwnTables()))
		return s, "a database schema for each workspace", err
	case "database":
		s, err := database.New(pg.app, database.Admin(pg.admin), database.Prefix(cfg.Prefix), database.Migrations(workspace.OwnTables()))
		return s, "a database for each workspace", err
	default:
		return nil, "", fmt.Errorf("-isolation: want row, schema or database, got %q", cfg.Isolation)
	}
}
