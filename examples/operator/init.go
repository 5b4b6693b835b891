package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/isolation/postgres"
)

func initEntry() entry {
	return entry{
		name: "init", summary: "Set the platform up, or bring its own tables up to date", new: func() command { return &initCommand{} },
		help: `Writes the configuration file, unless there is one, and makes what it names:
keys and passwords, the control database, the login roles, and what the
tenants of a cell share. Run it again after each release; it changes only
what is not as it should be.

Without a server, tenants are SQLite files. With the URL of a PostgreSQL
server's administrator in OPERATOR_DATABASE_URL there are cells for shared
rows, for schemas and for databases too, and the control database is there.
The URL stays in the environment; the file refers to it by name.`,
	}
}

type initCommand struct {
	prefix, region, migrations string
}

func (c *initCommand) flags(fs *flag.FlagSet) {
	fs.StringVar(&c.prefix, "prefix", defaultPrefix, "`name` that databases and roles begin with: at most 16 bytes")
	fs.StringVar(&c.region, "region", "", "`region` of the cells")
	fs.StringVar(&c.migrations, "migrations", "", "`folder` of migrations, relative to the configuration file; else those of the program")
}

type initResult struct {
	Config  string   `json:"config"`
	Written bool     `json:"written"` // else it was there
	Control string   `json:"control"`
	Cells   []string `json:"cells"`
	Version int64    `json:"version"`
}

func (r initResult) print(w io.Writer) {
	done := "is as before"
	if r.Written {
		done = "is written"
	}
	fmt.Fprintf(w, "%s %s: control database on %s, schema version %d\n", r.Config, done, r.Control, r.Version)
	for _, c := range r.Cells {
		fmt.Fprintf(w, "  cell %s\n", c)
	}
}

const defaultPrefix = "app"

const serverVariable = "OPERATOR_DATABASE_URL"

func (c *initCommand) run(ctx context.Context, s *session, _ []string) (result, error) {
	if err := os.MkdirAll(filepath.Dir(s.config), 0o700); err != nil {
		return nil, err
	}
	server := s.env(serverVariable) != ""
	err := c.describe(server).write(s.config)
	written := err == nil
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	cfg, err := readConfig(s.config, s.env)
	if err != nil {
		return nil, err
	}
	if !written {
		if err := c.agrees(cfg, s.config, server); err != nil {
			return nil, err
		}
	}
	if err := cfg.makeSecrets(); err != nil {
		return nil, err
	}
	if err := s.makeServers(ctx, cfg); err != nil {
		return nil, err
	}
	p, err := s.openPlatform(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, p); err != nil {
		return nil, err
	}
	r := initResult{Config: s.config, Written: written, Control: "SQLite", Version: p.migrations.Latest()}
	if cfg.Control.Server != "" {
		r.Control = "PostgreSQL"
	}
	for _, cell := range p.cells {
		r.Cells = append(r.Cells, fmt.Sprintf("%s (%s)", cell.Name, cell.Strategy))
	}
	return r, nil
}

// agrees returns an error if what the command line asks for is not what an older
// configuration says.
func (c *initCommand) agrees(cfg config, path string, server bool) error {
	asked := c.prefix != defaultPrefix || c.region != "" || c.migrations != ""
	same := func(a, b cellConfig) bool {
		a.Server, b.Server = "", "" // a reference to it, and what it refers to
		return a == b
	}
	if fresh := c.describe(server); asked && (fresh.Migrations != cfg.Migrations || !slices.EqualFunc(fresh.Cells, cfg.Cells, same)) {
		return usagef("%s is there already, and says something else: change it there; -prefix, -region and -migrations are for a new one", path)
	}
	if server && !slices.ContainsFunc(cfg.Cells, func(cell cellConfig) bool { return cell.Server != "" }) {
		return usagef("%s is there already, of a platform without a server: unset %s, or name another file with -config", path, serverVariable)
	}
	return nil
}

// describe returns the configuration of a new platform.
func (c *initCommand) describe(server bool) config {
	cfg := config{
		Control: control{File: "control.db"}, Secrets: "secrets", KeyTTL: "5m", Migrations: c.migrations, Default: "files",
		Cells: []cellConfig{{Name: "files", Strategy: "sqlite", Region: c.region, Folder: "tenants"}},
	}
	if !server {
		return cfg
	}
	url := "$" + serverVariable
	cfg.Control = control{Server: url, Database: c.prefix + "_control"}
	cfg.Default = "rows"
	cfg.Cells = append([]cellConfig{
		{Name: "rows", Strategy: "row", Region: c.region, Server: url, Database: c.prefix + "_rows", Role: c.prefix + "_rows"},
		{Name: "schemas", Strategy: "schema", Region: c.region, Server: url, Database: c.prefix + "_schemas", Role: c.prefix + "_schemas"},
		{Name: "databases", Strategy: "database", Region: c.region, Server: url, Role: c.prefix + "_databases", Prefix: c.prefix + "_t_"},
	}, cfg.Cells...)
	return cfg
}

// makeSecrets makes the keys and passwords that are not there.
func (c config) makeSecrets() error {
	if err := os.MkdirAll(c.path(c.Secrets), 0o700); err != nil {
		return err
	}
	if err := unless(c.secret(wrappingKeys), func(path string) error { return envelope.CreateKeyFile(path, newKeyID()) }); err != nil {
		return err
	}
	for _, cell := range c.Cells {
		if cell.Role == "" {
			continue
		}
		err := unless(c.secret(cell.passwordFile()), func(path string) error {
			return replaceFile(path, func(f *os.File) error {
				_, err := fmt.Fprintln(f, rand.Text())
				return err
			})
		})
		if err == nil && cell.Strategy == "row" {
			err = unless(c.secret(cell.signingFile()), func(path string) error {
				key, err := newSigningKey(newKeyID())
				if err != nil {
					return err
				}
				return writeSigningKeys(path, []signingKey{key})
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unless makes the file at path if it is not there.
func unless(path string, make func(string) error) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return make(path)
	}
	return err
}

// newKeyID names a key after the moment.
func newKeyID() string {
	return strings.ReplaceAll(time.Now().UTC().Format("20060102-150405.000"), ".", "-")
}

// makeServers makes the databases and the login roles.
func (s *session) makeServers(ctx context.Context, c config) error {
	if c.Control.Server != "" {
		if err := makeDatabase(ctx, c.Control.Server, c.Control.Database, ""); err != nil {
			return err
		}
	}
	for _, cell := range c.Cells {
		if cell.Role == "" {
			continue
		}
		if err := c.makeRole(ctx, cell); err != nil {
			return fmt.Errorf("cell %s: %w", cell.Name, err)
		}
		if err := makeDatabase(ctx, cell.Server, cell.Database, cell.Role); err != nil {
			return fmt.Errorf("cell %s: %w", cell.Name, err)
		}
	}
	return nil
}

// makeRole makes a login role, with the password of the secrets.
func (c config) makeRole(ctx context.Context, cell cellConfig) (err error) {
	admin, err := postgres.NewConnector(cell.Server)
	if err != nil {
		return err
	}
	password, err := os.ReadFile(c.secret(cell.passwordFile()))
	if err != nil {
		return err
	}
	db := sql.OpenDB(admin)
	defer func() { err = errors.Join(err, db.Close()) }()
	return postgres.EnsureRole(ctx, db, cell.Role, string(trimLine(password)))
}

func trimLine(text []byte) []byte {
	for len(text) > 0 && (text[len(text)-1] == '\n' || text[len(text)-1] == '\r') {
		text = text[:len(text)-1]
	}
	return text
}

// makeDatabase makes a database that is not there, to which only its owner connects,
// and role, if there is one.
func makeDatabase(ctx context.Context, server, name, role string) (err error) {
	if name == "" {
		return nil
	}
	admin, err := postgres.NewConnector(server)
	if err != nil {
		return err
	}
	db := sql.OpenDB(admin)
	defer func() { err = errors.Join(err, db.Close()) }()
	var there bool
	if err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&there); err != nil {
		return err
	}
	quoted := pq.QuoteIdentifier(name)
	statements := []string{"REVOKE CONNECT, TEMPORARY ON DATABASE " + quoted + " FROM PUBLIC"}
	if !there {
		statements = append([]string{"CREATE DATABASE " + quoted}, statements...)
	}
	if role != "" {
		statements = append(statements, "GRANT CONNECT ON DATABASE "+quoted+" TO "+pq.QuoteIdentifier(role))
	}
	for _, statement := range statements {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("database %s: %w", name, err)
		}
	}
	return nil
}

// prepare brings the platform's own tables, and what tenants share, up to date.
func (s *session) prepare(ctx context.Context, p *platform) error {
	for _, migrate := range []func(context.Context) error{
		p.tenants.Migrate, p.placements.Migrate, p.ledger.Migrate, p.keyStore.Migrate,
	} {
		if err := migrate(ctx); err != nil {
			return err
		}
	}
	b := s.begin("prepare", len(p.cells))
	defer b.end()
	for i, c := range p.cells {
		b.set(i, len(p.cells), c.Name)
		if err := c.strategy.Prepare(ctx); err != nil {
			return fmt.Errorf("cell %s: %w", c.Name, err)
		}
	}
	return nil
}
