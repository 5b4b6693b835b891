package sqlkit_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite"

	"github.com/tenancy-go/tenancy/internal/sqlkit"
)

const version = "notes_version"

// notes inserts rows without a key, so that a migration applied twice shows in
// their number.
func notes() fstest.MapFS {
	return fstest.MapFS{
		"00001_notes.sql": {Data: []byte("-- +goose Up\nCREATE TABLE IF NOT EXISTS notes (body TEXT);\nINSERT INTO notes VALUES ('one');\n")},
		"00002_more.sql":  {Data: []byte("-- +goose Up\nINSERT INTO notes VALUES ('two');\n")},
	}
}

// broken adds a third migration, which fails half way through.
func broken() fstest.MapFS {
	files := notes()
	files["00003_broken.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nINSERT INTO notes VALUES ('three');\nINSERT INTO nowhere VALUES (1);\n")}
	return files
}

func openSQLite(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func count(t *testing.T, db *sql.DB) int {
	t.Helper()
	var n int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM notes").Scan(&n))
	return n
}

func TestMigrateSQLite(t *testing.T) {
	t.Parallel()
	db := openSQLite(t, filepath.Join(t.TempDir(), "a.db"))
	for range 3 {
		require.NoError(t, sqlkit.Migrate(t.Context(), db, sqlkit.SQLite, notes(), version))
	}
	assert.Equal(t, 2, count(t, db))

	more := notes()
	more["00003_third.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nINSERT INTO notes VALUES ('three');\n")}
	require.NoError(t, sqlkit.Migrate(t.Context(), db, sqlkit.SQLite, more, version))
	assert.Equal(t, 3, count(t, db), "only the new migration runs")
}

func TestMigrateSQLiteOnOneConnection(t *testing.T) {
	t.Parallel()
	db := openSQLite(t, ":memory:")
	db.SetMaxOpenConns(1)
	_, err := db.ExecContext(t.Context(), "PRAGMA busy_timeout = 7")
	require.NoError(t, err)
	require.NoError(t, sqlkit.Migrate(t.Context(), db, sqlkit.SQLite, notes(), version))
	assert.Equal(t, 2, count(t, db))

	var timeout int
	require.NoError(t, db.QueryRowContext(t.Context(), "PRAGMA busy_timeout").Scan(&timeout))
	assert.Equal(t, 7, timeout, "the connection's settings are as before")
}

func TestMigrateSQLiteAllOrNothing(t *testing.T) {
	t.Parallel()
	db := openSQLite(t, filepath.Join(t.TempDir(), "a.db"))
	require.Error(t, sqlkit.Migrate(t.Context(), db, sqlkit.SQLite, broken(), version))

	var tables int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM sqlite_master").Scan(&tables))
	assert.Zero(t, tables)
	require.NoError(t, sqlkit.Migrate(t.Context(), db, sqlkit.SQLite, notes(), version))
	assert.Equal(t, 2, count(t, db))
}

// Pools that share nothing but the file stand for processes: SQLite locks
// between connections, whoever owns them.
func TestMigrateSQLiteConcurrently(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"", "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)"} {
		path := filepath.Join(t.TempDir(), "a.db")
		var group errgroup.Group
		for range 8 {
			db := openSQLite(t, path+mode)
			group.Go(func() error { return sqlkit.Migrate(t.Context(), db, sqlkit.SQLite, notes(), version) })
		}
		require.NoError(t, group.Wait())
		assert.Equal(t, 2, count(t, openSQLite(t, path)))
	}
}

func TestMigrateSQLiteGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	holder := openSQLite(t, path)
	conn, err := holder.Conn(t.Context())
	require.NoError(t, err)
	_, err = conn.ExecContext(t.Context(), "BEGIN EXCLUSIVE")
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.Error(t, sqlkit.Migrate(ctx, openSQLite(t, path), sqlkit.SQLite, notes(), version))
	require.NoError(t, conn.Close())
}

func TestMigrateRefuses(t *testing.T) {
	t.Parallel()
	db := openSQLite(t, ":memory:")
	for _, table := range []string{"", "Version", "a b", "v;drop", "a.b.c", `"v"`, "1v"} {
		assert.Error(t, sqlkit.Migrate(t.Context(), db, sqlkit.SQLite, notes(), table), table)
	}
	assert.Error(t, sqlkit.Migrate(t.Context(), nil, sqlkit.SQLite, notes(), version))
	assert.Error(t, sqlkit.Migrate(t.Context(), db, sqlkit.SQLite, nil, version))
	assert.Error(t, sqlkit.Migrate(t.Context(), db, 0, notes(), version))
	assert.Error(t, sqlkit.Migrate(t.Context(), db, sqlkit.SQLite, fstest.MapFS{}, version), "no migration at all is a mistake")
}
