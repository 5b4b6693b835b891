package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/lib/pq"

	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/tenant"
)

// scratch returns cfg with data of its own, and a function that removes it.
func scratch(ctx context.Context, cfg Config) (Config, func(context.Context) error, error) {
	if cfg.Database != "" {
		return scratchDatabase(ctx, cfg)
	}
	if cfg.Dir != "" {
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			return cfg, nil, err
		}
	}
	dir, err := os.MkdirTemp(cfg.Dir, "saas-selftest-")
	cfg.Dir = dir
	return cfg, func(context.Context) error { return os.RemoveAll(dir) }, err
}

// scratchDatabase makes a database on the server that cfg names. The role and what
// else is shared by all databases of the server get names of their own too.
func scratchDatabase(ctx context.Context, cfg Config) (Config, func(context.Context) error, error) {
	target, err := url.Parse(cfg.Database)
	if err != nil {
		return cfg, nil, errors.New("-database: want a URL like postgres://admin:password@host/database")
	}
	admin, err := postgres.NewConnector(cfg.Database)
	if err != nil {
		return cfg, nil, err
	}
	db := sql.OpenDB(admin)
	suffix := strings.ToLower(rand.Text()[:8])
	name := "saas_selftest_" + suffix
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+pq.QuoteIdentifier(name)); err != nil {
		return cfg, nil, errors.Join(fmt.Errorf("make a database: %w", err), db.Close())
	}
	target.Path = "/" + name
	cfg.Database, cfg.Role, cfg.Prefix = target.String(), name, "st_"+suffix+"_"
	return cfg, func(ctx context.Context) error {
		return errors.Join(removeTenants(ctx, cfg), dropAll(ctx, db, cfg, name), db.Close())
	}, nil
}

// removeTenants takes away what tenants have outside of the database: roles and
// databases of their own.
func removeTenants(ctx context.Context, cfg Config) error {
	b, err := openPostgres(ctx, cfg)
	if err != nil {
		return err
	}
	page, err := b.store.List(ctx, tenant.Query{Limit: tenant.MaxLimit})
	for _, t := range page.Tenants {
		err = errors.Join(err, b.strategy.Deprovision(ctx, t))
	}
	return errors.Join(err, b.close())
}

// dropAll drops the databases, and then the roles, which had rights in them.
func dropAll(ctx context.Context, db *sql.DB, cfg Config, name string) error {
	template := cfg.Prefix + "_template"
	if _, err := db.ExecContext(ctx, "ALTER DATABASE "+pq.QuoteIdentifier(template)+" IS_TEMPLATE false"); err == nil {
		if _, err := db.ExecContext(ctx, "DROP DATABASE "+pq.QuoteIdentifier(template)); err != nil {
			return err
		}
	}
	for _, statement := range []string{
		"DROP DATABASE " + pq.QuoteIdentifier(name) + " WITH (FORCE)",
		"DROP ROLE IF EXISTS " + pq.QuoteIdentifier(cfg.Role),
		"DROP ROLE IF EXISTS " + pq.QuoteIdentifier(ownerRole(cfg)),
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("clean up: %s: %w", statement, err)
		}
	}
	return nil
}
