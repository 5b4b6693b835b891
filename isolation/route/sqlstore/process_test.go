package sqlstore_test

import (
	"context"
	"database/sql"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/isolation/route/sqlstore"
	"github.com/tenancy-go/tenancy/tenant"
)

// process stands for a process of a platform: a router with a pool of its own, which
// follows the common store and whose placements never grow too old by themselves.
type process struct {
	*route.Router
	pool *isolation.Pool
	db   *sql.DB
}

func newProcess(t *testing.T, cells []route.Cell, url string) process {
	t.Helper()
	store := newStore(t, open(t, "postgres", url), sqlstore.Postgres, sqlstore.WithListener(url))
	router, err := route.New(cells, route.ByPlan(map[string]string{"": cells[0].Name}), route.Record(store), route.MaxAge(time.Hour))
	require.NoError(t, err)
	pool, err := isolation.New(router)
	require.NoError(t, err)
	p := process{router, pool, sql.OpenDB(pool)}
	t.Cleanup(func() { assert.NoError(t, p.db.Close()) })
	follow(t, router, store)
	return p
}

// follow has router follow store until the test ends, and returns once it listens.
func follow(t *testing.T, router *route.Router, store tenant.Watcher) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done, ready := make(chan error, 1), make(chan struct{})
	go func() { done <- router.Follow(ctx, &signalling{Watcher: store, ready: ready}) }()
	t.Cleanup(func() {
		cancel()
		assert.ErrorIs(t, <-done, context.Canceled)
	})
	<-ready
}

// signalling closes ready once its watcher listens.
type signalling struct {
	tenant.Watcher
	ready chan struct{}
	told  atomic.Bool
}

func (s *signalling) Watch(ctx context.Context, changed func(tenant.Change)) error {
	return s.Watcher.Watch(ctx, func(c tenant.Change) {
		changed(c)
		if !s.told.Swap(true) {
			close(s.ready)
		}
	})
}

func (p process) home(t require.TestingT, ctx context.Context) string { //nolint:revive // t first, as in testify
	var home string
	require.NoError(t, p.db.QueryRowContext(ctx, "SELECT name FROM homes").Scan(&home))
	return home
}

// A move through one process takes effect in another that only listens, and drains its
// connections to the old home before anybody asks.
func TestMoveReachesOtherProcesses(t *testing.T) {
	t.Parallel()
	var cells []route.Cell
	acme := tenant.Tenant{ID: "acme"}
	for _, name := range []string{"one", "two"} {
		migrations := fstest.MapFS{"00001_homes.sql": {Data: []byte("-- +goose Up\nCREATE TABLE homes (name TEXT);\nINSERT INTO homes VALUES ('" + name + "');\n")}}
		s, err := sqlitefile.New(t.TempDir(), sqlitefile.Migrations(migrations))
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, s.Close()) })
		require.NoError(t, s.Provision(t.Context(), acme))
		cells = append(cells, route.Cell{Name: name, Strategy: s})
	}
	url := pgtest.Open(t).URL()
	here, there := newProcess(t, cells, url), newProcess(t, cells, url)
	require.NoError(t, here.Provision(t.Context(), acme))
	ctx := tenant.NewContext(t.Context(), acme)
	require.Equal(t, "one", here.home(t, ctx))
	require.Equal(t, "one", there.home(t, ctx))
	require.Equal(t, 1, there.pool.Stats().Open)

	p, err := here.Placement(t.Context(), acme.ID)
	require.NoError(t, err)
	p.Cell = "two"
	p, err = here.Update(t.Context(), p)
	require.NoError(t, err)
	assert.Equal(t, "two", here.home(t, ctx))
	assert.Eventually(t, func() bool { return there.pool.Stats().Open == 0 }, 30*time.Second, time.Millisecond)
	assert.Equal(t, "two", there.home(t, ctx))

	stale := p
	stale.Version--
	_, err = there.Update(t.Context(), stale)
	require.ErrorIs(t, err, route.ErrConflict)
	require.NoError(t, there.Deprovision(t.Context(), acme))
	assert.Eventually(t, func() bool { return here.pool.Stats().Open == 0 }, 30*time.Second, time.Millisecond)
	require.ErrorIs(t, here.db.PingContext(ctx), route.ErrUnplaced)
}
