package postgres_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/postgres"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func newConnector(t testing.TB, dsn string, opts ...postgres.Option) *postgres.Connector {
	t.Helper()
	c, err := postgres.NewConnector(dsn, opts...)
	require.NoError(t, err)
	return c
}

func connect(t testing.TB, c *postgres.Connector) *postgres.Conn {
	t.Helper()
	conn, err := c.Connect(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*postgres.Conn)
}

func openDB(t testing.TB, c driver.Connector) *sql.DB {
	t.Helper()
	db := sql.OpenDB(c)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

// first returns the first column of query's first row.
func first(t testing.TB, conn driver.QueryerContext, query string) string {
	t.Helper()
	rows, err := conn.QueryContext(t.Context(), query, nil)
	require.NoError(t, err)
	dest := make([]driver.Value, len(rows.Columns()))
	require.NoError(t, rows.Next(dest))
	if b, ok := dest[0].([]byte); ok {
		dest[0] = string(b) // lib/pq reads the next message into the same bytes
	}
	require.NoError(t, rows.Close())
	return fmt.Sprint(dest[0])
}

func TestConnector(t *testing.T) {
	t.Parallel()
	_, err := postgres.NewConnector("postgres://%zz")
	require.Error(t, err)
	_, err = postgres.NewConnector("", postgres.Dial(nil))
	require.Error(t, err)

	c := newConnector(t, "host=db.internal port=5433 user=app password=secret dbname=saas")
	assert.Equal(t, "saas", c.Database())
	other := c.WithDatabase("tenant_1")
	assert.Equal(t, "tenant_1", other.Database())
	assert.Equal(t, "saas", c.Database(), "c itself stays as it was")
	assert.Equal(t, "app@db.internal:5433/tenant_1", other.String())
	assert.NotContains(t, fmt.Sprintf("%v %+v %s", c, c, c), "secret")
	assert.Equal(t, "app", newConnector(t, "host=db.internal user=app dbname=''").Database())
}

func TestConnect(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	conn := connect(t, newConnector(t, db.URL()))
	assert.Equal(t, strconv.Itoa(conn.BackendPID()), first(t, conn, `SELECT pg_backend_pid()`))
	assert.Equal(t, "postgres", first(t, connect(t, newConnector(t, db.URL()).WithDatabase("postgres")), `SELECT current_database()`))
	assert.True(t, conn.IsValid())
	require.NoError(t, conn.ResetSession(t.Context()))
	pq.SetNoticeHandler(conn.Unwrap(), func(*pq.Error) {}) // panics on what is not lib/pq's

	_, err := newConnector(t, "postgres://nobody:wrong@"+db.Server.Addr()+"/postgres?sslmode=disable").Connect(t.Context())
	require.ErrorContains(t, err, "password authentication failed")
	assert.NotErrorIs(t, err, isolation.ErrUnsafe)
}

// TestQueriesTakeOneFlight sees that binary_parameters is on: a query with
// arguments leaves in a single write.
func TestQueriesTakeOneFlight(t *testing.T) {
	t.Parallel()
	var counted *countingConn
	c := newConnector(t, pgtest.Open(t).URL(), postgres.Dial(func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		counted = &countingConn{Conn: conn}
		return counted, err
	}))
	conn := connect(t, c)
	before := counted.writes
	rows, err := conn.QueryContext(t.Context(), `SELECT $1::text`, []driver.NamedValue{{Ordinal: 1, Value: "x"}})
	require.NoError(t, err)
	require.NoError(t, rows.Close())
	assert.Equal(t, 1, counted.writes-before)
}

type countingConn struct {
	net.Conn
	writes int
}

func (c *countingConn) Write(b []byte) (int, error) {
	c.writes++
	return c.Conn.Write(b)
}

func TestOldLiteralsAreRefused(t *testing.T) {
	t.Parallel()
	c := newConnector(t, pgtest.Open(t).URL()+"&standard_conforming_strings=off")
	_, err := c.Connect(t.Context())
	require.ErrorIs(t, err, isolation.ErrUnsafe)
	assert.ErrorContains(t, err, "standard_conforming_strings")
}

func TestConnectGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts, and never answers
	require.NoError(t, err)
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = newConnector(t, "postgres://app@"+silent.Addr().String()+"/x?sslmode=disable").Connect(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestOpenTransactionsAndRowsAreNotValid(t *testing.T) {
	t.Parallel()
	conn := connect(t, newConnector(t, pgtest.Open(t).URL()))
	run := func(query string) {
		_, _ = conn.ExecContext(t.Context(), query, nil)
	}
	run(`BEGIN`)
	assert.False(t, conn.IsValid(), "in a transaction")
	require.ErrorIs(t, conn.ResetSession(t.Context()), driver.ErrBadConn)
	run(`SELECT 1/0`)
	assert.False(t, conn.IsValid(), "in a failed transaction")
	run(`ROLLBACK`)
	assert.True(t, conn.IsValid())
	rows, err := conn.QueryContext(t.Context(), `SELECT generate_series(1, 10)`, nil)
	require.NoError(t, err)
	assert.False(t, conn.IsValid(), "rows still to be read")
	require.NoError(t, rows.Close())
	assert.True(t, conn.IsValid())
}

// TestCancelledStatementsEndTheConnection: lib/pq would use it again, and the
// cancellation may reach the next statement.
func TestCancelledStatementsEndTheConnection(t *testing.T) {
	t.Parallel()
	c := newConnector(t, pgtest.Open(t).URL())
	const sleep = `SELECT pg_sleep(60)`
	tests := map[string]func(ctx context.Context, conn *postgres.Conn) error{
		"exec": func(ctx context.Context, conn *postgres.Conn) error {
			_, err := conn.ExecContext(ctx, sleep, nil)
			return err
		},
		"prepared exec": func(ctx context.Context, conn *postgres.Conn) error {
			stmt, err := conn.PrepareContext(t.Context(), sleep)
			require.NoError(t, err)
			_, err = stmt.(driver.StmtExecContext).ExecContext(ctx, nil)
			return err
		},
		"prepared query": func(ctx context.Context, conn *postgres.Conn) error {
			stmt, err := conn.Prepare(sleep)
			require.NoError(t, err)
			_, err = stmt.(driver.StmtQueryContext).QueryContext(ctx, nil)
			return err
		},
		"prepared query, while rows are read": func(ctx context.Context, conn *postgres.Conn) error {
			stmt, err := conn.PrepareContext(t.Context(), `SELECT g, pg_sleep(g * 60) FROM generate_series(0, 1) g`)
			require.NoError(t, err)
			rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, nil)
			if err != nil {
				return err
			}
			assert.NotPanics(t, func() { rows.(driver.RowsColumnTypeDatabaseTypeName).ColumnTypeDatabaseTypeName(0) })
			dest := make([]driver.Value, 2)
			for err == nil {
				err = rows.Next(dest)
			}
			return errors.Join(err, rows.Close())
		},
	}
	for name, run := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, c)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			require.Error(t, run(ctx, conn))
			assert.False(t, conn.IsValid())
			assert.ErrorIs(t, conn.ResetSession(t.Context()), driver.ErrBadConn)
		})
	}
}

func TestContextsThatEndLaterDoNotMatter(t *testing.T) {
	t.Parallel()
	conn := connect(t, newConnector(t, pgtest.Open(t).URL()))
	stmt, err := conn.PrepareContext(t.Context(), `SELECT 1`)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, rows.Close())
	cancel()
	assert.True(t, conn.IsValid())
	require.NoError(t, stmt.Close())
}

func TestCopyIn(t *testing.T) {
	t.Parallel()
	conn := connect(t, newConnector(t, pgtest.Open(t).URL()))
	_, err := conn.ExecContext(t.Context(), `CREATE TABLE t (n int); BEGIN`, nil)
	require.NoError(t, err)
	stmt, err := conn.PrepareContext(t.Context(), `COPY t (n) FROM STDIN`)
	require.NoError(t, err)
	_, err = stmt.Exec([]driver.Value{int64(7)}) //nolint:staticcheck // a COPY has no other
	require.NoError(t, err)
	assert.False(t, conn.IsValid())
	require.NoError(t, stmt.Close())
	_, err = conn.ExecContext(t.Context(), `COMMIT`, nil)
	require.NoError(t, err)
	assert.Equal(t, "7", first(t, conn, `SELECT n FROM t`))
	assert.True(t, conn.IsValid())
}

func TestAbortEndsWhatRuns(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	c := newConnector(t, db.URL())
	admin, conn := openDB(t, c), connect(t, c)
	done := make(chan error, 1)
	go func() {
		_, err := conn.ExecContext(t.Context(), `SELECT pg_sleep(60)`, nil)
		done <- err
	}()
	count := func(query string) func() bool {
		return func() bool {
			var n int
			return admin.QueryRowContext(t.Context(), query, conn.BackendPID()).Scan(&n) == nil && n == 1
		}
	}
	require.Eventually(t, count(`SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND query LIKE '%pg_sleep%' AND state = 'active'`), 10*time.Second, time.Millisecond)
	require.NoError(t, conn.Abort())
	require.Error(t, <-done)
	assert.Eventually(t, count(`SELECT 1 - count(*) FROM pg_stat_activity WHERE pid = $1`), 10*time.Second, time.Millisecond, "the server gave up too")
	assert.False(t, conn.IsValid())
	require.NoError(t, conn.Abort(), "again")
}

func TestEnsureRole(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	admin := openDB(t, newConnector(t, db.URL()))
	name := pgtest.Name(t, `o"dd`)
	const password = `it's "\ secret`

	errs := make(chan error)
	for range 8 {
		go func() { errs <- postgres.EnsureRole(t.Context(), admin, name, password) }()
	}
	for range 8 {
		require.NoError(t, <-errs, "several at once")
	}
	assert.Equal(t, name, first(t, connect(t, newConnector(t, db.As(name, password))), `SELECT session_user`))

	_, err := admin.ExecContext(t.Context(), `ALTER ROLE `+pq.QuoteIdentifier(name)+` NOLOGIN INHERIT SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS`)
	require.NoError(t, err)
	require.NoError(t, postgres.EnsureRole(t.Context(), admin, name, ""), "an empty password stays as it is")
	conn := connect(t, newConnector(t, db.As(name, password)))
	assert.Equal(t, "false", first(t, conn, `SELECT rolinherit OR rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = session_user`))

	require.NoError(t, postgres.EnsureRole(t.Context(), admin, name, "another"))
	_, err = newConnector(t, db.As(name, password)).Connect(t.Context())
	require.ErrorContains(t, err, "password authentication failed")
	require.ErrorContains(t, postgres.EnsureRole(t.Context(), admin, name, "pässword"), "ASCII")
}

func TestEnsureRoleWithoutSuperuser(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	super := openDB(t, newConnector(t, db.URL()))
	creator, name := pgtest.Name(t, "creator"), pgtest.Name(t, "made")
	_, err := super.ExecContext(t.Context(), `CREATE ROLE `+creator+` LOGIN CREATEROLE PASSWORD 'x'`)
	require.NoError(t, err)
	admin := openDB(t, newConnector(t, db.As(creator, "x")))
	for range 2 {
		require.NoError(t, postgres.EnsureRole(t.Context(), admin, name, "y"))
	}
	connect(t, newConnector(t, db.As(name, "y")))
}

func BenchmarkQuery(b *testing.B) {
	url := pgtest.Open(b).URL()
	plain, err := pq.NewConnector(url + "&binary_parameters=yes")
	require.NoError(b, err)
	for name, connector := range map[string]driver.Connector{"lib-pq": plain, "postgres": newConnector(b, url)} {
		b.Run(name, func(b *testing.B) {
			db := openDB(b, connector)
			db.SetMaxOpenConns(1)
			var n int
			for b.Loop() {
				if err := db.QueryRowContext(b.Context(), `SELECT $1::int`, 1).Scan(&n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
