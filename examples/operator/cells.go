package main

import (
	"database/sql"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/tenancy-go/tenancy/isolation/archive"
	"github.com/tenancy-go/tenancy/isolation/database"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/isolation/schema"
	"github.com/tenancy-go/tenancy/tenant"
)

// cell is a place for tenants.
type cell struct {
	cellConfig
	strategy cellStrategy
	rows     *row.Strategy // the same, if rows are shared
	admin    *sql.DB       // nil for SQLite
	closers  []io.Closer
}

// cellStrategy is what every strategy is.
type cellStrategy = archive.Strategy

// openCell returns a cell. It does not connect.
func (c config) openCell(cc cellConfig, files fs.FS) (*cell, error) {
	opened := &cell{cellConfig: cc}
	folder, ok := map[string]string{"row": "shared", "schema": "own", "database": "own", "sqlite": "sqlite"}[cc.Strategy]
	if !ok {
		return nil, usagef("strategy %q: want row, schema, database or sqlite", cc.Strategy)
	}
	migrations, err := fs.Sub(files, folder)
	if err != nil {
		return nil, err
	}
	if cc.Strategy == "sqlite" {
		return opened, opened.openFiles(c.path(cc.Folder), migrations)
	}
	return opened, opened.openServer(c, migrations)
}

func (c *cell) openFiles(folder string, migrations fs.FS) error {
	s, err := sqlitefile.New(folder, sqlitefile.Migrations(migrations))
	if err != nil {
		return err
	}
	c.strategy, c.closers = s, append(c.closers, s)
	return nil
}

// openServer makes the strategy of a cell on PostgreSQL.
func (c *cell) openServer(cfg config, migrations fs.FS) error {
	admin, err := postgres.NewConnector(c.Server)
	if err != nil {
		return err
	}
	if c.Database != "" {
		admin = admin.WithDatabase(c.Database)
	}
	password, err := os.ReadFile(cfg.secret(c.passwordFile()))
	if err != nil {
		return fmt.Errorf("password of role %s: %w", c.Role, err)
	}
	app := admin.WithUser(c.Role, strings.TrimSpace(string(password)))
	c.admin = sql.OpenDB(admin)
	c.closers = append(c.closers, c.admin)
	switch c.Strategy {
	case "row":
		return c.openRows(cfg, app, admin, migrations)
	case "schema":
		c.strategy, err = schema.New(app, schema.Admin(admin), schema.Migrations(migrations))
	default:
		c.strategy, err = database.New(app, database.Admin(admin), database.Prefix(c.Prefix), database.Migrations(migrations))
	}
	return err
}

// openRows makes a strategy whose context SQL cannot forge.
func (c *cell) openRows(cfg config, app, admin *postgres.Connector, migrations fs.FS) error {
	keys, err := readSigningKeys(cfg.secret(c.signingFile()))
	if err != nil {
		return err
	}
	signing, older := keys[0].key, make([]row.Key, 0, len(keys)-1)
	for _, k := range keys[1:] {
		older = append(older, k.key)
	}
	c.rows, err = row.New(app, row.Admin(admin), row.Owner(c.Role+"_owner"), row.Tables(appTables()...),
		row.Migrations(migrations), row.Sealed(signing, older...))
	c.strategy = c.rows
	return err
}

func (c cellConfig) passwordFile() string { return c.Role + ".password" }
func (c cellConfig) signingFile() string  { return c.Name + ".signing" }

// archiver returns what takes tenants out of the cell and puts them in.
func (s *session) archiver(p *platform, c *cell, opts ...archive.Option) (*archive.Archiver, error) {
	opts = append([]archive.Option{
		archive.Tables(appTables()...), archive.SchemaVersion(fmt.Sprint(p.migrations.Latest())), archive.RoundTimes(),
	}, opts...)
	a, err := archive.New(c.strategy, opts...)
	if err == nil {
		s.closing(a)
	}
	return a, err
}

// where tells a tenant and its cell in one word.
func where(id tenant.ID, cell string) string { return fmt.Sprintf("%s in %s", id, cell) }
