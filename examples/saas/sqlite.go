package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the registry's driver

	"github.com/tenancy-go/tenancy/examples/saas/workspace"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/tenant/sqlstore"
)

// openSQLite keeps the registry in one file and each tenant in another: no server.
func openSQLite(ctx context.Context, cfg Config) (_ backend, err error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return backend{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return backend{}, err
	}
	registry, err := sql.Open("sqlite", registryFile(dir))
	if err != nil {
		return backend{}, fmt.Errorf("open the registry: %w", err)
	}
	defer closeUnless(&err, registry)
	store, err := sqlstore.New(registry, sqlstore.SQLite)
	if err != nil {
		return backend{}, err
	}
	if err := store.Migrate(ctx); err != nil {
		return backend{}, fmt.Errorf("migrate the registry: %w", err)
	}
	strategy, err := sqlitefile.New(filepath.Join(dir, "tenants"), sqlitefile.Migrations(workspace.OwnTables()))
	if err != nil {
		return backend{}, err
	}
	return backend{
		store:    store,
		strategy: strategy,
		about:    "a database file for each workspace",
		close:    func() error { return errors.Join(strategy.Close(), registry.Close()) },
	}, nil
}

// registryFile returns the registry's DSN. Writers wait for each other, and readers
// for nobody.
func registryFile(dir string) string {
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(dir, "registry.db"))}
	return file.String() + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
}

// closeUnless closes what was opened, if what came after it failed.
func closeUnless(err *error, opened interface{ Close() error }) {
	if *err != nil {
		*err = errors.Join(*err, opened.Close())
	}
}
