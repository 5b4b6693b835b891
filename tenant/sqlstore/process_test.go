package sqlstore_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/tenant"
	"github.com/tenancy-go/tenancy/tenant/sqlstore"
	"github.com/tenancy-go/tenancy/tenant/tenanttest"
)

const (
	patience = 30 * time.Second
	interval = 5 * time.Millisecond
)

// process stands for a process of a platform: a store and a directory that
// follows it, with TTLs too long to help.
type process struct {
	*sqlstore.Store
	directory *tenant.Directory
}

func newProcess(t *testing.T, store *sqlstore.Store) process {
	t.Helper()
	directory, err := tenant.NewDirectory(store, tenant.WithTTL(time.Hour), tenant.WithUnknownTTL(time.Hour))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	ready := make(chan struct{})
	go func() { done <- directory.Follow(ctx, signalling{store, ready}) }()
	t.Cleanup(func() {
		cancel()
		assert.ErrorIs(t, <-done, context.Canceled)
	})
	select {
	case <-ready:
	case err := <-done:
		require.NoError(t, err)
	}
	return process{store, directory}
}

// signalling closes ready once its watcher listens.
type signalling struct {
	tenant.Watcher
	ready chan struct{}
}

func (s signalling) Watch(ctx context.Context, changed func(tenant.Change)) error {
	first := true
	return s.Watcher.Watch(ctx, func(c tenant.Change) {
		changed(c)
		if first {
			first = false
			close(s.ready)
		}
	})
}

func (p process) sees(t *testing.T, ref tenant.Ref, want tenant.Tenant) {
	t.Helper()
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		got, err := p.directory.Find(t.Context(), ref)
		if assert.NoError(c, err) {
			assert.Equal(c, want, got)
		}
	}, patience, interval)
}

func (p process) losesSight(t *testing.T, ref tenant.Ref) {
	t.Helper()
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := p.directory.Find(t.Context(), ref)
		assert.ErrorIs(c, err, tenant.ErrNotFound)
	}, patience, interval)
}

// changesReach changes tenants through one process and looks at them through
// another.
func changesReach(t *testing.T, here, there process) {
	t.Helper()
	there.losesSight(t, tenant.BySlug("acme")) // known to be unknown from now on
	acme, err := here.Create(t.Context(), tenanttest.Tenant(t, "acme"))
	require.NoError(t, err)
	there.sees(t, tenant.BySlug("acme"), acme)

	acme.Slug, acme.Status = "acme-2", tenant.StatusSuspended
	acme, err = here.Update(t.Context(), acme)
	require.NoError(t, err)
	there.sees(t, tenant.BySlug("acme-2"), acme)
	there.losesSight(t, tenant.BySlug("acme"))

	acme, err = here.Delete(t.Context(), acme.ID, acme.Version)
	require.NoError(t, err)
	there.sees(t, tenant.ByID("acme"), acme)
}

func TestChangesReachOtherProcessesOnPostgres(t *testing.T) {
	t.Parallel()
	store, url := newPostgres(t)
	other := newStore(t, open(t, "postgres", url), sqlstore.Postgres, sqlstore.WithListener(url))
	changesReach(t, newProcess(t, store), newProcess(t, other))
}

func TestChangesReachOtherProcessesOnSQLite(t *testing.T) {
	t.Parallel()
	store, dsn := newSQLite(t)
	other := newStore(t, open(t, "sqlite", dsn), sqlstore.SQLite, sqlstore.WithPollInterval(10*time.Millisecond))
	changesReach(t, newProcess(t, store), newProcess(t, other))
}

// Changes by hand, in SQL, are told of too.
func TestChangesByHandReachADirectory(t *testing.T) {
	t.Parallel()
	store, url := newPostgres(t)
	p := newProcess(t, store)
	acme, err := store.Create(t.Context(), tenanttest.Tenant(t, "acme"))
	require.NoError(t, err)
	p.sees(t, tenant.ByID("acme"), acme)
	db := open(t, "postgres", url)
	_, err = db.ExecContext(t.Context(), "UPDATE tenancy_tenants SET plan = 'gold' WHERE id = 'acme'")
	require.NoError(t, err)
	acme.Plan = "gold"
	p.sees(t, tenant.ByID("acme"), acme)
	_, err = db.ExecContext(t.Context(), "TRUNCATE tenancy_tenants CASCADE")
	require.NoError(t, err)
	p.losesSight(t, tenant.ByID("acme"))
}

// A listener whose backend is killed misses what changes until it is back. Then
// the directory has to forget all it knew.
func TestAKilledListenerLeadsToAPurge(t *testing.T) {
	t.Parallel()
	store, dsn := newPostgres(t)
	named, err := url.Parse(dsn)
	require.NoError(t, err)
	query := named.Query()
	query.Set("application_name", "listener")
	named.RawQuery = query.Encode()

	admin := open(t, "postgres", dsn)
	acme, err := store.Create(t.Context(), tenanttest.Tenant(t, "acme"))
	require.NoError(t, err)
	p := newProcess(t, newStore(t, open(t, "postgres", dsn), sqlstore.Postgres, sqlstore.WithListener(named.String())))
	for range 3 {
		p.sees(t, tenant.ByID("acme"), acme)
		// The change and the end of the listener are one transaction: the backend
		// is gone before the change is told of, so that only a purge can help.
		tx, err := admin.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), "UPDATE tenancy_tenants SET plan = plan || '+' WHERE id = 'acme'")
		require.NoError(t, err)
		var killed int
		require.NoError(t, tx.QueryRowContext(t.Context(),
			"SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE application_name = 'listener'").Scan(&killed))
		require.Equal(t, 1, killed)
		require.NoError(t, tx.Commit())
		acme.Plan += "+"
		p.sees(t, tenant.ByID("acme"), acme)
	}
}

func TestWatchSurvivesARestartOfTheServer(t *testing.T) {
	t.Parallel()
	server := pgtest.Private(t)
	dsn := server.Open(t).URL()
	store := newStore(t, open(t, "postgres", dsn), sqlstore.Postgres, sqlstore.WithListener(dsn))
	acme, err := store.Create(t.Context(), tenanttest.Tenant(t, "acme"))
	require.NoError(t, err)
	p := newProcess(t, store)
	p.sees(t, tenant.ByID("acme"), acme)

	server.Kill()
	p.sees(t, tenant.ByID("acme"), acme) // from memory
	_, err = store.Find(t.Context(), tenant.ByID("acme"))
	require.Error(t, err)
	require.NotErrorIs(t, err, tenant.ErrNotFound)
	_, err = p.directory.Find(t.Context(), tenant.ByID("other"))
	require.Error(t, err)
	require.NotErrorIs(t, err, tenant.ErrNotFound, "a failure is no answer")

	server.Start()
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		acme.Name = "After"
		updated, err := store.Update(t.Context(), acme)
		if assert.NoError(c, err) {
			acme = updated
		}
	}, patience, interval)
	p.sees(t, tenant.ByID("acme"), acme)
}

func TestWatchFailsAtOnce(t *testing.T) {
	t.Parallel()
	store, dsn := newPostgres(t)
	db := open(t, "postgres", dsn)
	silent := newStore(t, db, sqlstore.Postgres)
	require.ErrorContains(t, silent.Watch(t.Context(), func(tenant.Change) {}), "WithListener")
	lost := newStore(t, db, sqlstore.Postgres, sqlstore.WithListener("postgres://127.0.0.1:1/none?sslmode=disable"))
	require.Error(t, lost.Watch(t.Context(), func(tenant.Change) {}))
	require.Error(t, store.Watch(t.Context(), nil))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, store.Watch(ctx, func(tenant.Change) {}), context.Canceled)

	unmigrated, err := sqlstore.New(open(t, "sqlite", ":memory:"), sqlstore.SQLite)
	require.NoError(t, err)
	require.Error(t, unmigrated.Watch(t.Context(), func(tenant.Change) {}))
}
