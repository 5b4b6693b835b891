package pgsession_test

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation/internal/pgsession"
	"github.com/tenancy-go/tenancy/isolation/postgres"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func connect(t testing.TB, db *pgtest.DB) *postgres.Conn {
	t.Helper()
	connector, err := postgres.NewConnector(db.URL())
	require.NoError(t, err)
	conn, err := connector.Connect(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*postgres.Conn)
}

func exec(t testing.TB, conn *postgres.Conn, query string) {
	t.Helper()
	_, err := conn.ExecContext(t.Context(), query, nil)
	require.NoError(t, err, query)
}

// value returns the first column of the first row, as text.
func value(t testing.TB, conn *postgres.Conn, query string) (string, error) {
	t.Helper()
	rows, err := conn.QueryContext(t.Context(), query, nil)
	if err != nil {
		return "", err
	}
	dest := make([]driver.Value, len(rows.Columns()))
	err = rows.Next(dest)
	if b, ok := dest[0].([]byte); ok {
		dest[0] = string(b)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return fmt.Sprint(dest[0]), errors.Join(err, rows.Close())
}

func TestConfineClearsTheSession(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	conn := connect(t, db)
	role := pgtest.Name(t, "other")
	exec(t, conn, `CREATE SEQUENCE ids; CREATE ROLE `+role)
	tests := []struct {
		name, leave, ask string
		want             string // empty means that asking fails
	}{
		{"setting", `SET statement_timeout = '7min'`, `SHOW statement_timeout`, "0"},
		{"setting by function", `SELECT set_config('search_path', 'elsewhere', false)`, `SHOW search_path`, `"$user", public`},
		{"custom setting", `SET tenancy.tenant = 'acme'`, `SELECT coalesce(current_setting('tenancy.tenant', true), '') = ''`, "true"},
		{"row_security", `SET row_security = off`, `SHOW row_security`, "on"},
		{"role", `SET ROLE ` + role, `SELECT current_user = session_user`, "true"},
		{"session authorization", `SET SESSION AUTHORIZATION ` + role, `SELECT session_user <> '` + role + `'`, "true"},
		{"cursor", `BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT`, `FETCH c`, ""},
		{"temporary table", `CREATE TEMP TABLE left_behind AS SELECT 1`, `SELECT count(*) FROM left_behind`, ""},
		{"sequence", `SELECT nextval('ids')`, `SELECT currval('ids')`, ""},
		{"notifications", `LISTEN news`, `SELECT count(*) FROM pg_listening_channels()`, "0"},
		{"advisory lock", `SELECT pg_advisory_lock(7)`, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()`, "0"},
		{"how literals are read", `SET standard_conforming_strings = off`, `SHOW standard_conforming_strings`, "on"},
	}
	for _, tt := range tests {
		exec(t, conn, tt.leave)
		require.NoError(t, pgsession.Confine(t.Context(), conn, `SET tenancy.next = 'x'`), tt.name)
		got, err := value(t, conn, tt.ask)
		if tt.want == "" {
			require.Error(t, err, tt.name)
			continue
		}
		require.NoError(t, err, tt.name)
		assert.Equal(t, tt.want, got, tt.name)
		next, err := value(t, conn, `SHOW tenancy.next`)
		require.NoError(t, err)
		assert.Equal(t, "x", next)
		assert.True(t, conn.IsValid())
	}
}

func TestConfineForgetsPreparedStatements(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.Open(t))
	_, err := conn.PrepareContext(t.Context(), `SELECT 'a secret of the tenant before'`)
	require.NoError(t, err)
	require.NoError(t, pgsession.Confine(t.Context(), conn, ``))
	kept, err := value(t, conn, `SELECT count(*)::text FROM pg_prepared_statements WHERE statement LIKE '%secret of%' AND statement NOT LIKE '%pg_prepared%'`)
	require.NoError(t, err)
	assert.Equal(t, "0", kept, "its text is there for the next tenant to read")
}

func TestConfineFailsInsideAnOlderTransaction(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.Open(t))
	for begin, want := range map[string]string{
		`BEGIN`: "division by zero", `BEGIN; SELECT 1`: "must be called before any query", `BEGIN; SAVEPOINT s`: "subtransaction",
	} {
		exec(t, conn, begin)
		require.ErrorContains(t, pgsession.Confine(t.Context(), conn, `SET tenancy.tenant = 'acme'`), want, begin)
		assert.False(t, conn.IsValid(), "the transaction is still open")
		exec(t, conn, `ROLLBACK`)
	}
	got, err := value(t, conn, `SELECT coalesce(current_setting('tenancy.tenant', true), '')`)
	require.NoError(t, err)
	assert.Empty(t, got)
}

func TestConfineIsAllOrNothing(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.Open(t))
	exec(t, conn, `SET tenancy.tenant = 'acme'`)
	require.ErrorContains(t, pgsession.Confine(t.Context(), conn, `SET tenancy.tenant = 'globex'; SELECT 1/0`), "division by zero")
	got, err := value(t, conn, `SHOW tenancy.tenant`)
	require.NoError(t, err)
	assert.Equal(t, "acme", got, "so the connection must be closed")
}

type bare struct{ driver.Conn }

func TestConfineWantsAConnectionThatExecutes(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, pgsession.Confine(t.Context(), bare{}, ``), "isolation/postgres")
}

func BenchmarkConfine(b *testing.B) {
	conn := connect(b, pgtest.Open(b))
	for _, bench := range []struct{ name, query string }{
		{"select 1", `SELECT 1`},
		{"discard all", `DISCARD ALL`},
		{"confine", pgsession.Reset + `SET tenancy.tenant = 'acme'`},
	} {
		b.Run(bench.name, func(b *testing.B) {
			for b.Loop() {
				exec(b, conn, bench.query)
			}
		})
	}
}
