package pgtest_test

import (
	"database/sql"
	"os"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
)

func TestMain(m *testing.M) {
	if pgtest.Hold() { // this process is the child of a test
		return
	}
	os.Exit(pgtest.Run(m))
}

func connect(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", url)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func TestOpenGivesEachTestItsOwnDatabase(t *testing.T) {
	t.Parallel()
	one, two := pgtest.Open(t), pgtest.Open(t)
	assert.NotEqual(t, one.Name, two.Name)
	_, err := connect(t, one.URL()).ExecContext(t.Context(), "CREATE TABLE orders (id int)")
	require.NoError(t, err)

	var found bool
	query := "SELECT to_regclass('orders') IS NOT NULL"
	require.NoError(t, connect(t, two.URL()).QueryRowContext(t.Context(), query).Scan(&found))
	assert.False(t, found, "a table of one database is seen in another")
}

func TestOpenDropsTheDatabase(t *testing.T) {
	t.Parallel()
	outer := pgtest.Open(t)
	var name string
	t.Run("inner", func(t *testing.T) {
		inner := pgtest.Open(t)
		name = inner.Name
		held, err := sql.Open("postgres", inner.URL())
		require.NoError(t, err)
		require.NoError(t, held.PingContext(t.Context())) // stays open: the drop ends it
	})
	var count int
	query := "SELECT count(*) FROM pg_database WHERE datname = $1"
	require.NoError(t, connect(t, outer.URL()).QueryRowContext(t.Context(), query, name).Scan(&count))
	assert.Zero(t, count)
}

func TestAsChecksThePassword(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	role := pgtest.Name(t, "app")
	_, err := connect(t, db.URL()).ExecContext(t.Context(), "CREATE ROLE "+pq.QuoteIdentifier(role)+" LOGIN PASSWORD 'right/p@ss'")
	require.NoError(t, err)

	var user string
	require.NoError(t, connect(t, db.As(role, "right/p@ss")).QueryRowContext(t.Context(), "SELECT current_user").Scan(&user))
	assert.Equal(t, role, user)
	assert.Error(t, connect(t, db.As(role, "wrong")).PingContext(t.Context()))
}

func TestServerSettings(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.Open(t).URL())
	for setting, want := range map[string]string{
		"max_connections":         "200",
		"fsync":                   "off",
		"full_page_writes":        "off",
		"synchronous_commit":      "on",
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "",
		"server_encoding":         "UTF8",
	} {
		var got string
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT current_setting($1)", setting).Scan(&got))
		assert.Equal(t, want, got, setting)
	}
}

func TestTerminateEndsOneBackend(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	conn, err := connect(t, db.URL()).Conn(t.Context())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	var pid int
	require.NoError(t, conn.QueryRowContext(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))

	db.Server.Terminate(pid)

	var count int
	query := "SELECT count(*) FROM pg_stat_activity WHERE pid = $1"
	require.NoError(t, connect(t, db.URL()).QueryRowContext(t.Context(), query, pid).Scan(&count))
	assert.Zero(t, count)
	assert.Error(t, conn.PingContext(t.Context()))
}

func TestPrivateServerKeepsItsDataThroughStopAndKill(t *testing.T) {
	t.Parallel()
	server := pgtest.Private(t)
	addr := server.Addr()
	_, err := connect(t, server.URL("postgres")).ExecContext(t.Context(), "CREATE TABLE kept AS SELECT 42 AS answer")
	require.NoError(t, err)

	for name, end := range map[string]func(){"stop": server.Stop, "kill": server.Kill} {
		end()
		require.Error(t, connect(t, server.URL("postgres")).PingContext(t.Context()), name)
		server.Start()
		assert.Equal(t, addr, server.Addr(), name)
		var answer int
		err := connect(t, server.URL("postgres")).QueryRowContext(t.Context(), "SELECT answer FROM kept").Scan(&answer)
		require.NoError(t, err, name)
		assert.Equal(t, 42, answer, name)
	}
}

func TestNameIsAnIdentifierOfItsOwn(t *testing.T) {
	t.Parallel()
	one, two := pgtest.Name(t, "App"), pgtest.Name(t, "App")
	assert.NotEqual(t, one, two)
	assert.Regexp(t, `^app_[a-z0-9]{12}$`, one)
}
