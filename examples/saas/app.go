package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/examples/saas/model"
	"github.com/tenancy-go/tenancy/examples/saas/signup"
	"github.com/tenancy-go/tenancy/examples/saas/web"
	"github.com/tenancy-go/tenancy/examples/saas/workspace"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// Config is what an App is made of.
type Config struct {
	Domain    string // whose subdomains are workspaces: "localhost"
	Dir       string // of the SQLite files, unless Database is given
	Database  string // URL of PostgreSQL, as an administrator
	Isolation string // with Database: row, schema or database
	Role      string // with Database: whom statements of tenants run as; made if missing
	Prefix    string // with isolation by database: what the databases' names begin with

	PerAddress int64 // requests a minute from one address; 0 for as many as it likes
}

// backend is what differs from one database to another.
type backend struct {
	store    tenant.Store      // the registry: a record for each tenant
	strategy isolation.Managed // where tenants' data lives
	about    string            // for people: how tenants are kept apart
	close    func() error      // of all connections but the pool's
}

// App is the whole program but its server.
type App struct {
	Handler http.Handler
	Store   tenant.Store // tells the directory what it changes
	Sign    *signup.Service
	DB      *sql.DB             // each statement belongs to the tenant of its context
	Guard   *quota.Guard        // of the listener
	Plans   *quota.MemorySource // plans.json, and what single tenants have beside it

	backend backend
	stop    context.CancelFunc
	follow  sync.WaitGroup
}

// Open wires the SDK and makes the program ready to serve. Close the App.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*App, error) {
	b, err := openBackend(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return openOn(ctx, cfg, b, log)
}

// openOn is Open on databases that were chosen.
func openOn(ctx context.Context, cfg Config, b backend, log *slog.Logger) (*App, error) {
	app, err := wire(cfg, b, log)
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	if err := app.prepare(ctx, log); err != nil {
		return nil, errors.Join(err, app.Close())
	}
	return app, nil
}

// openBackend chooses the databases.
func openBackend(ctx context.Context, cfg Config) (backend, error) {
	if cfg.Database == "" {
		return openSQLite(ctx, cfg)
	}
	return openPostgres(ctx, cfg)
}

// wire puts the parts together. A request goes through them from the bottom up: the
// guard counts it for its address; the gate finds its tenant in the directory and puts
// it into the context; the tenant's plan decides whether it is let in; the handlers run
// statements with that context, and the pool gives each statement a connection that is
// confined to the tenant.
func wire(cfg Config, b backend, log *slog.Logger) (_ *App, err error) {
	var enforcer *quota.Enforcer // which asks the database what is kept, which asks it for limits
	opts := []isolation.Option{isolation.MaxConns(40), isolation.MaxConnsPerTenant(10)}
	if _, ok := b.strategy.(isolation.Limiter); ok { // SQLite is none
		opts = append(opts, isolation.LimitsBy(limitsOf(&enforcer)))
	}
	pool, err := isolation.New(b.strategy, opts...)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(pool)
	defer closeUnless(&err, db)
	var plans *quota.MemorySource
	if plans, enforcer, err = openPlans(db); err != nil {
		return nil, err
	}
	work := workspace.New(db, model.Default(), time.Now, workspace.WithLimits(enforcer))

	directory, err := tenant.NewDirectory(b.store)
	if err != nil {
		return nil, err
	}
	store := directory.Store(b.store) // a workspace opens as soon as it is made
	service := signup.New(store, pool.Provisioner(b.strategy), time.Now)

	ui, err := web.NewUI(web.Platform{Name: "Atrium", Isolation: b.about}, log)
	if err != nil {
		return nil, err
	}
	room := web.NewRoom(ui, work, store.Update, plans, enforcer)
	limits, err := quota.NewGate(enforcer, quota.WithErrorHandler(room.Refuse))
	if err != nil {
		return nil, err
	}
	hosts := web.Hosts{Domain: cfg.Domain}
	gate, err := tenant.NewGate(directory,
		tenant.First(tenant.Subdomain(cfg.Domain), hosts.AtSite(tenant.Path("/t/"))),
		tenant.WithPlatform(web.NewSite(ui, service, hosts, demos()).Handler()),
		tenant.WithErrorHandler(ui.Refuse))
	if err != nil {
		return nil, err
	}
	guard, err := openGuard(cfg, ui)
	if err != nil {
		return nil, err
	}
	rooms := gate.Middleware(room.Handler(limits.Middleware))

	app := &App{
		Handler: ui.Wrap(guard.Middleware(rooms)), Store: store, Sign: service, DB: db, Guard: guard, Plans: plans, backend: b,
	}
	app.followChanges(directory, log)
	return app, nil
}

// prepare makes what workspaces share, brings homes to the current schema, goes on with sign-ups that were cut
// short, and makes the sample workspaces. A tenant that fails does not keep the
// others from being served.
func (a *App) prepare(ctx context.Context, log *slog.Logger) error {
	if err := a.backend.strategy.Prepare(ctx); err != nil {
		return err
	}
	if err := a.Sign.Recover(ctx); err != nil {
		log.ErrorContext(ctx, "some workspaces are not in order", "error", err)
	}
	return seed(ctx, a.Store, a.Sign, a.DB, time.Now())
}

// followChanges lets the directory hear of what other processes change, if the
// registry can tell.
func (a *App) followChanges(directory *tenant.Directory, log *slog.Logger) {
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	watcher, ok := a.backend.store.(tenant.Watcher)
	if !ok {
		return
	}
	a.follow.Go(func() {
		for ctx.Err() == nil {
			if err := directory.Follow(ctx, watcher); ctx.Err() == nil {
				log.WarnContext(ctx, "registry: changes of other processes show late", "error", err)
			}
			wait(ctx, time.Second)
		}
	})
}

// Close ends the App: the pool first, which waits for statements that still run, then
// the rest. It is called after the server has stopped.
func (a *App) Close() error {
	a.stop()
	a.follow.Wait()
	err := errors.Join(a.DB.Close(), a.backend.close())
	if err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
