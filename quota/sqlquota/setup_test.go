package sqlquota_test

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
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/quotatest"
	"github.com/tenancy-go/tenancy/quota/sqlquota"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func open(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

// place is an empty database of a test.
type place struct {
	dialect     sqlquota.Dialect
	driver, dsn string
}

func postgres(t testing.TB) place {
	t.Helper()
	return place{sqlquota.Postgres, "postgres", pgtest.Open(t).URL()}
}

func sqlite(t testing.TB) place {
	t.Helper()
	return place{sqlquota.SQLite, "sqlite", "file:" + filepath.Join(t.TempDir(), "quota.db") +
		"?_pragma=busy_timeout(30000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)"}
}

func (p place) open(t testing.TB) *sql.DB {
	t.Helper()
	return open(t, p.driver, p.dsn)
}

// store returns a store on a pool of its own.
func (p place) store(t testing.TB, opts ...sqlquota.Option) *sqlquota.Store {
	t.Helper()
	return newStore(t, p.open(t), p.dialect, opts...)
}

func newStore(t testing.TB, db *sql.DB, dialect sqlquota.Dialect, opts ...sqlquota.Option) *sqlquota.Store {
	t.Helper()
	store, err := sqlquota.New(db, dialect, opts...)
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	return store
}

// places are the databases that most tests run on.
var places = map[string]func(t testing.TB) place{"postgres": postgres, "sqlite": sqlite}

func onEach(t *testing.T, test func(t *testing.T, p place)) {
	t.Parallel()
	for name, fresh := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, fresh(t))
		})
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	for name, fresh := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			quotatest.TestStore(t, func(t *testing.T) quotatest.Open {
				p := fresh(t)
				return func(now func() time.Time) quota.Store { return p.store(t, sqlquota.WithClock(now)) }
			})
		})
	}
}
