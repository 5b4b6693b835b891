package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the control database's driver

	"github.com/tenancy-go/tenancy/isolation/archive"
	"github.com/tenancy-go/tenancy/isolation/envelope"
	keystore "github.com/tenancy-go/tenancy/isolation/envelope/sqlstore"
	"github.com/tenancy-go/tenancy/isolation/fleet"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/route"
	placestore "github.com/tenancy-go/tenancy/isolation/route/sqlstore"
	"github.com/tenancy-go/tenancy/tenant"
	"github.com/tenancy-go/tenancy/tenant/sqlstore"
)

// session is one run of the program.
type session struct {
	options
	*console
	env    func(string) string
	opened []io.Closer
}

// closing has c closed at the end.
func (s *session) closing(c io.Closer) { s.opened = append(s.opened, c) }

func (s *session) close() error {
	var errs []error
	for i := len(s.opened) - 1; i >= 0; i-- {
		errs = append(errs, s.opened[i].Close())
	}
	return errors.Join(errs...)
}

// platform is all that the commands work on.
type platform struct {
	config     config
	tenants    *sqlstore.Store
	placements *placestore.Store
	ledger     *fleet.Ledger
	journal    *archive.SQLJournal
	keyStore   *keystore.Store
	keys       *envelope.Keys
	migrations *fleet.Migrations
	files      fs.FS // that migrations were loaded from
	cells      []*cell
	router     *route.Router
}

// open opens the platform of the configuration file.
func (s *session) open(ctx context.Context) (*platform, error) {
	c, err := readConfig(s.config, s.env)
	if err != nil {
		return nil, err
	}
	return s.openPlatform(ctx, c)
}

func (s *session) openPlatform(ctx context.Context, c config) (*platform, error) {
	p := &platform{config: c}
	steps := []func(context.Context) error{s.openFiles(p), s.openControl(p), s.openKeys(p), s.openCells(p)}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (s *session) openFiles(p *platform) func(context.Context) error {
	return func(context.Context) (err error) {
		if p.files, err = appMigrations(); err != nil {
			return err
		}
		if p.config.Migrations != "" {
			p.files = os.DirFS(p.config.path(p.config.Migrations))
		}
		p.migrations, err = fleet.Load(p.files)
		return err
	}
}

func (s *session) openControl(p *platform) func(context.Context) error {
	return func(ctx context.Context) error {
		db, dialect, listen, err := p.config.openControl()
		if err != nil {
			return err
		}
		s.closing(db)
		if p.tenants, err = sqlstore.New(db, dialect, sqlstore.WithListener(listen)); err != nil {
			return err
		}
		if p.placements, err = placestore.New(db, dialect, placestore.WithListener(listen)); err != nil {
			return err
		}
		if p.ledger, err = fleet.NewLedger(db, dialect); err != nil {
			return err
		}
		if p.keyStore, err = keystore.New(db, dialect); err != nil {
			return err
		}
		p.journal, err = archive.NewSQLJournal(ctx, db)
		return err
	}
}

func (c config) openControl() (db *sql.DB, dialect sqlstore.Dialect, listen string, err error) {
	if c.Control.Server == "" {
		dsn, err := sqliteFile(c.path(c.Control.File))
		if err != nil {
			return nil, sqlstore.SQLite, "", err
		}
		db, err = sql.Open("sqlite", dsn)
		return db, sqlstore.SQLite, "", err
	}
	connector, err := postgres.NewConnector(c.Control.Server)
	if err != nil {
		return nil, sqlstore.Postgres, "", err
	}
	db = sql.OpenDB(connector.WithDatabase(c.Control.Database))
	db.SetMaxOpenConns(10)
	return db, sqlstore.Postgres, c.Control.Server, nil
}

func (s *session) openKeys(p *platform) func(context.Context) error {
	return func(context.Context) error {
		ring, err := envelope.OpenKeyring(p.config.secret(wrappingKeys))
		if err != nil {
			return err
		}
		tombstones, err := envelope.OpenFileJournal(p.config.secret("tombstones"))
		if err != nil {
			return err
		}
		s.closing(tombstones)
		ttl, err := time.ParseDuration(p.config.KeyTTL)
		if err != nil {
			return usagef("key_ttl in %s: %v", s.config, err)
		}
		p.keys, err = envelope.New(ring, p.keyStore, envelope.WithJournal(tombstones), envelope.WithTTL(ttl))
		return err
	}
}

// wrappingKeys is the file of the keys that wrap those of the tenants.
const wrappingKeys = "wrapping.keys"

func (s *session) openCells(p *platform) func(context.Context) error {
	return func(context.Context) error {
		var all []route.Cell
		for _, cc := range p.config.Cells {
			c, err := p.config.openCell(cc, p.files)
			if err != nil {
				return fmt.Errorf("cell %s: %w", cc.Name, err)
			}
			for _, closer := range c.closers {
				s.closing(closer)
			}
			p.cells = append(p.cells, c)
			all = append(all, route.Cell{Name: cc.Name, Region: cc.Region, Strategy: c.strategy})
		}
		var err error
		p.router, err = route.New(all, nil, route.Record(p.placements))
		return err
	}
}

// fleet returns the homes of all tenants.
func (p *platform) fleet(opts ...fleet.Option) (*fleet.Fleet, error) {
	return fleet.New(p.router, p.ledger, p.migrations, opts...)
}

// all are the tenants that are not deleted, by ID.
func (p *platform) all(ctx context.Context) fleet.Tenants {
	return fleet.All(ctx, p.tenants, tenant.Query{Limit: tenant.MaxLimit})
}

// find returns the tenant with an ID or a slug.
func (p *platform) find(ctx context.Context, name string) (tenant.Tenant, error) {
	t, err := p.tenants.Find(ctx, tenant.ByID(tenant.ID(name)))
	if errors.Is(err, tenant.ErrNotFound) {
		t, err = p.tenants.Find(ctx, tenant.BySlug(name))
	}
	switch {
	case errors.Is(err, tenant.ErrNotFound):
		return t, fmt.Errorf("there is no tenant %q; see operator tenants", name)
	case err == nil && t.Status == tenant.StatusDeleted:
		return t, fmt.Errorf("tenant %s was deleted", t.ID)
	}
	return t, err
}

// cell returns the cell of this name.
func (p *platform) cell(name string) (*cell, error) {
	var names []string
	for _, c := range p.cells {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return nil, usagef("there is no cell %q, only %s", name, strings.Join(names, ", "))
}

// home returns the cell that a tenant lives in.
func (p *platform) home(ctx context.Context, t tenant.Tenant) (*cell, error) {
	placement, err := p.placements.Find(ctx, t.ID)
	if err != nil {
		return nil, fmt.Errorf("find the cell of tenant %s: %w", t.ID, err)
	}
	return p.cell(placement.Cell)
}

// current returns an error unless t's home is at the version of the migrations, which
// archives are labelled with.
func (p *platform) current(ctx context.Context, t tenant.Tenant) error {
	gate, err := fleet.NewGate(p.ledger, p.router, p.migrations.Latest())
	if err != nil {
		return err
	}
	if err := gate.Check(ctx, t); err != nil {
		return fmt.Errorf("%w; run operator migrate first", err)
	}
	return nil
}
