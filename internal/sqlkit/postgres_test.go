package sqlkit_test

import (
	"database/sql"
	"os"
	"testing"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/internal/sqlkit"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func openPostgres(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", url)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func TestMigratePostgresConcurrently(t *testing.T) {
	t.Parallel()
	url := pgtest.Open(t).URL()
	var group errgroup.Group
	for range 8 {
		db := openPostgres(t, url)
		group.Go(func() error { return sqlkit.Migrate(t.Context(), db, sqlkit.Postgres, notes(), version) })
	}
	require.NoError(t, group.Wait())

	db := openPostgres(t, url)
	assert.Equal(t, 2, count(t, db))
	var locks int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").Scan(&locks))
	assert.Zero(t, locks, "the lock is let go")
}

func TestMigratePostgresKeepsWhatWentWell(t *testing.T) {
	t.Parallel()
	db := openPostgres(t, pgtest.Open(t).URL())
	require.Error(t, sqlkit.Migrate(t.Context(), db, sqlkit.Postgres, broken(), version))
	assert.Equal(t, 2, count(t, db), "the third migration left nothing")
	require.NoError(t, sqlkit.Migrate(t.Context(), db, sqlkit.Postgres, notes(), version))
	assert.Equal(t, 2, count(t, db))
}

func TestMigratePostgresInASchema(t *testing.T) {
	t.Parallel()
	db := openPostgres(t, pgtest.Open(t).URL())
	_, err := db.ExecContext(t.Context(), "CREATE SCHEMA books")
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, sqlkit.Migrate(t.Context(), db, sqlkit.Postgres, notes(), "books.version"))
	}
	assert.Equal(t, 2, count(t, db))
}
