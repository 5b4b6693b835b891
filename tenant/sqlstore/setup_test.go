package sqlstore_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/tenant"
	"github.com/tenancy-go/tenancy/tenant/sqlstore"
	"github.com/tenancy-go/tenancy/tenant/tenanttest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func open(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	db.SetMaxOpenConns(20)
	db.SetMaxIdleConns(20)
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

// newPostgres returns a store on a database of its own, and the database's URL.
func newPostgres(t testing.TB, opts ...sqlstore.Option) (store *sqlstore.Store, url string) {
	t.Helper()
	url = pgtest.Open(t).URL()
	return newStore(t, open(t, "postgres", url), sqlstore.Postgres, append(opts, sqlstore.WithListener(url))...), url
}

// newSQLite returns a store in a file of its own, and the file's DSN.
func newSQLite(t testing.TB, opts ...sqlstore.Option) (store *sqlstore.Store, dsn string) {
	t.Helper()
	dsn = "file:" + filepath.Join(t.TempDir(), "tenants.db") + "?_pragma=busy_timeout(30000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)"
	opts = append([]sqlstore.Option{sqlstore.WithPollInterval(10 * time.Millisecond)}, opts...)
	return newStore(t, open(t, "sqlite", dsn), sqlstore.SQLite, opts...), dsn
}

// clocked is a store whose clock the suite moves on.
type clocked struct {
	tenant.Store
	*tenanttest.Clock
}

func TestPostgresStore(t *testing.T) {
	t.Parallel()
	tenanttest.TestStore(t, func(t *testing.T) tenant.Store {
		clock := tenanttest.NewClock()
		store, _ := newPostgres(t, sqlstore.WithClock(clock.Now))
		return clocked{store, clock}
	})
}

func TestSQLiteStore(t *testing.T) {
	t.Parallel()
	tenanttest.TestStore(t, func(t *testing.T) tenant.Store {
		clock := tenanttest.NewClock()
		store, _ := newSQLite(t, sqlstore.WithClock(clock.Now))
		return clocked{store, clock}
	})
}

func TestPostgresWatch(t *testing.T) {
	t.Parallel()
	tenanttest.TestWatcher(t, func(t *testing.T) (tenant.Store, tenant.Watcher) {
		store, url := newPostgres(t)
		return store, newStore(t, open(t, "postgres", url), sqlstore.Postgres, sqlstore.WithListener(url))
	})
}

func TestSQLiteWatch(t *testing.T) {
	t.Parallel()
	tenanttest.TestWatcher(t, func(t *testing.T) (tenant.Store, tenant.Watcher) {
		store, dsn := newSQLite(t)
		return store, newStore(t, open(t, "sqlite", dsn), sqlstore.SQLite, sqlstore.WithPollInterval(10*time.Millisecond))
	})
}
