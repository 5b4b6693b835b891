package sqlstore_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/isolation/envelope/envelopetest"
	"github.com/tenancy-go/tenancy/isolation/envelope/sqlstore"
)

// TestMain runs as one of the children when asked to.
func TestMain(m *testing.M) {
	child, ok := children[os.Getenv(childVariable)]
	if !ok {
		os.Exit(pgtest.Run(m))
	}
	if err := child(context.Background(), os.Args[1:]); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func open(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	db.SetMaxOpenConns(20)
	db.SetMaxIdleConns(20)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func newStore(t testing.TB, db *sql.DB, dialect sqlstore.Dialect) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.New(db, dialect)
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	return store
}

func newPostgres(t testing.TB) (*sqlstore.Store, *sql.DB) {
	t.Helper()
	db := open(t, "postgres", pgtest.Open(t).URL())
	return newStore(t, db, sqlstore.Postgres), db
}

// sqliteDSN is that of a file, whose writers wait for each other.
func sqliteDSN(path string) string {
	return "file:" + path + "?_pragma=busy_timeout(30000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=foreign_keys(ON)"
}

func newSQLite(t testing.TB) (*sqlstore.Store, *sql.DB) {
	t.Helper()
	db := open(t, "sqlite", sqliteDSN(filepath.Join(t.TempDir(), "keys.db")))
	return newStore(t, db, sqlstore.SQLite), db
}

func TestPostgresStore(t *testing.T) {
	t.Parallel()
	envelopetest.TestStore(t, func(t *testing.T) envelope.Store {
		store, _ := newPostgres(t)
		return store
	})
}

func TestSQLiteStore(t *testing.T) {
	t.Parallel()
	envelopetest.TestStore(t, func(t *testing.T) envelope.Store {
		store, _ := newSQLite(t)
		return store
	})
}

func keyring(t testing.TB, current string, others ...string) *envelope.Keyring {
	t.Helper()
	keys := make(map[string][]byte)
	for _, id := range append(others, current) {
		keys[id] = bytes.Repeat([]byte(id)[:1], 32)
	}
	r, err := envelope.NewKeyring(current, keys)
	require.NoError(t, err)
	return r
}

func newKeys(t testing.TB, p envelope.Provider, s envelope.Store, opts ...envelope.Option) *envelope.Keys {
	t.Helper()
	k, err := envelope.New(p, s, opts...)
	require.NoError(t, err)
	return k
}
