package sqlstore_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/isolation/route/routetest"
	"github.com/tenancy-go/tenancy/isolation/route/sqlstore"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func open(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func newStore(t testing.TB, db *sql.DB, dialect sqlstore.Dialect, opts ...sqlstore.Option) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.New(db, dialect, opts...)
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	return store
}

func sqliteDSN(t testing.TB) string {
	return "file:" + filepath.Join(t.TempDir(), "placements.db") + "?_pragma=busy_timeout(30000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)"
}

func TestPostgresStore(t *testing.T) {
	t.Parallel()
	routetest.TestStore(t, func(t *testing.T) route.Store {
		return newStore(t, open(t, "postgres", pgtest.Open(t).URL()), sqlstore.Postgres)
	})
}

func TestSQLiteStore(t *testing.T) {
	t.Parallel()
	routetest.TestStore(t, func(t *testing.T) route.Store {
		return newStore(t, open(t, "sqlite", sqliteDSN(t)), sqlstore.SQLite)
	})
}

// The watchers are other stores on the same database, as other processes have them.
func TestPostgresWatch(t *testing.T) {
	t.Parallel()
	routetest.TestWatcher(t, func(t *testing.T) (route.Store, tenant.Watcher) {
		url := pgtest.Open(t).URL()
		return newStore(t, open(t, "postgres", url), sqlstore.Postgres),
			newStore(t, open(t, "postgres", url), sqlstore.Postgres, sqlstore.WithListener(url))
	})
}

func TestSQLiteWatch(t *testing.T) {
	t.Parallel()
	routetest.TestWatcher(t, func(t *testing.T) (route.Store, tenant.Watcher) {
		dsn := sqliteDSN(t)
		return newStore(t, open(t, "sqlite", dsn), sqlstore.SQLite),
			newStore(t, open(t, "sqlite", dsn), sqlstore.SQLite, sqlstore.WithPollInterval(10*time.Millisecond))
	})
}

// A server that is killed between changes has each of those that were reported.
func TestPostgresKeepsWhatItReported(t *testing.T) {
	t.Parallel()
	server := pgtest.Private(t)
	dsn := server.Open(t).URL()
	store := newStore(t, open(t, "postgres", dsn), sqlstore.Postgres)
	p, err := store.Create(t.Context(), route.Placement{Tenant: "acme", Cell: "a", State: route.Placed})
	require.NoError(t, err)

	var last route.Placement
	var group sync.WaitGroup
	changed := make(chan struct{}, 1)
	group.Go(func() {
		for {
			p.Cell = map[string]string{"a": "b", "b": "a"}[p.Cell]
			next, err := store.Update(t.Context(), p)
			if err != nil {
				return
			}
			p, last = next, next
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	})
	<-changed
	<-changed
	server.Kill()
	group.Wait()
	server.Start()

	fresh := newStore(t, open(t, "postgres", dsn), sqlstore.Postgres)
	found, err := fresh.Find(t.Context(), "acme")
	require.NoError(t, err)
	if found.Version != last.Version { // the update whose answer was lost
		last.Cell = map[string]string{"a": "b", "b": "a"}[last.Cell]
		assert.Greater(t, found.Version, last.Version)
		last.Version = found.Version
	}
	assert.Equal(t, last, found)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	db := open(t, "sqlite", ":memory:")
	_, err := sqlstore.New(nil, sqlstore.SQLite)
	require.Error(t, err)
	_, err = sqlstore.New(db, 0)
	require.Error(t, err)
	_, err = sqlstore.New(db, sqlstore.SQLite, sqlstore.WithPollInterval(0))
	require.Error(t, err)
	store, err := sqlstore.New(db, sqlstore.Postgres)
	require.NoError(t, err)
	require.ErrorContains(t, store.Watch(t.Context(), func(tenant.Change) {}), "WithListener")
	require.Error(t, store.Watch(t.Context(), nil))
}

func BenchmarkFind(b *testing.B) {
	for name, store := range map[string]*sqlstore.Store{
		"postgres": newStore(b, open(b, "postgres", pgtest.Open(b).URL()), sqlstore.Postgres),
		"sqlite":   newStore(b, open(b, "sqlite", sqliteDSN(b)), sqlstore.SQLite),
	} {
		_, err := store.Create(b.Context(), route.Placement{Tenant: "acme", Cell: "a", State: route.Placed})
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, err := store.Find(b.Context(), "acme")
				require.NoError(b, err)
			}
		})
	}
}
