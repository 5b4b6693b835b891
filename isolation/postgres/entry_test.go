package postgres_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/postgres"
)

const whoami = `SELECT coalesce(nullif(current_setting('app.tenant', true), ''), 'nobody')`

// as is an entry as the modes of isolation/row make them.
func as(tenant string, local bool) postgres.Entry {
	query := `SELECT set_config('app.tenant', $1, false)`
	if local {
		query = `SELECT set_config('app.tenant', $1, true)`
	}
	return postgres.Entry{Local: local, Keep: !local, Statements: []postgres.Statement{{Query: query, Args: []string{tenant}}}}
}

// counted connects and counts the flights.
func counted(t *testing.T, db *pgtest.DB, opts ...postgres.Option) (*postgres.Conn, *countingConn) {
	t.Helper()
	var flights *countingConn
	dial := postgres.Dial(func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		flights = &countingConn{Conn: conn}
		return flights, err
	})
	return connect(t, newConnector(t, db.URL(), append(opts, dial)...)), flights
}

func run(t *testing.T, conn *postgres.Conn, query string, args ...string) error {
	t.Helper()
	named := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: arg}
	}
	_, err := conn.ExecContext(t.Context(), query, named)
	return err
}

func TestEntryGoesWithTheNextStatement(t *testing.T) {
	t.Parallel()
	conn, flights := counted(t, pgtest.Open(t))
	before := flights.writes
	require.NoError(t, conn.Enter(as("acme", false)))
	assert.Equal(t, "acme", first(t, conn, whoami))
	assert.Equal(t, "acme", first(t, conn, whoami))
	require.NoError(t, conn.Enter(as("globex", false)))
	require.NoError(t, run(t, conn, `SELECT $1::text`, "x"))
	assert.Equal(t, "globex", first(t, conn, whoami))
	assert.Equal(t, 4, flights.writes-before, "as many flights as statements")
}

// TestFailedStatementsUndoNothingForLong: the entry shares the statement's transaction.
func TestFailedStatementsUndoNothingForLong(t *testing.T) {
	t.Parallel()
	conn, _ := counted(t, pgtest.Open(t))
	require.NoError(t, conn.Enter(as("acme", false)))
	assert.Equal(t, "acme", first(t, conn, whoami))
	for _, query := range []string{`SELECT 1/0`, `SELECT nonsense(`, `SELECT 1; SELECT 1/0`} {
		require.NoError(t, conn.Enter(as("globex", false)))
		require.Error(t, run(t, conn, query))
		assert.Equal(t, "globex", first(t, conn, whoami), query)
		require.NoError(t, conn.Enter(as("acme", false)))
		require.Error(t, run(t, conn, `SELECT 1/$1::int`, "0"))
		assert.Equal(t, "acme", first(t, conn, whoami), query)
	}
}

// TestSessionsLeftReadOnly has one tenant leave sessions on which the next one's
// transaction would be read-only from its beginning, and wait for others' as well.
func TestSessionsLeftReadOnly(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	require.NoError(t, run(t, connect(t, newConnector(t, db.URL())), `CREATE TABLE rows (n int)`))
	other, err := connect(t, newConnector(t, db.URL())).BeginTx(t.Context(), driver.TxOptions{Isolation: driver.IsolationLevel(sql.LevelSerializable)})
	require.NoError(t, err)
	const tidy = `SELECT set_config(name, setting, false) FROM (VALUES ('default_transaction_read_only', 'off'),
		('default_transaction_isolation', 'read committed'), ('default_transaction_deferrable', 'off')) AS s (name, setting)`
	for _, local := range []bool{false, true} {
		conn, _ := counted(t, db)
		enter := func(tenant string) {
			e := as(tenant, local)
			e.Statements = append(e.Statements, postgres.Statement{Query: tidy})
			require.NoError(t, conn.Enter(e))
		}
		for _, query := range []string{`INSERT INTO rows VALUES (1)`, `WITH r AS (INSERT INTO rows VALUES (1) RETURNING n) SELECT * FROM r`, `SELECT 1; DELETE FROM rows`} {
			enter("acme")
			require.NoError(t, run(t, conn, `SELECT set_config('default_transaction_read_only', 'on', false), set_config('default_transaction_isolation', 'serializable', false),
				set_config('default_transaction_deferrable', 'on', false)`))
			enter("globex")
			require.NoError(t, run(t, conn, query), "%s, local: %t", query, local)
			assert.Equal(t, "globex", first(t, conn, whoami))
			assert.Equal(t, "off", first(t, conn, `SHOW default_transaction_read_only`))
		}
	}
	require.NoError(t, other.Rollback())
}

// TestReadOnlyTransactionsStaySo: one tenant's leftover does not let another's
// transaction write that was begun to read.
func TestReadOnlyTransactionsStaySo(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	require.NoError(t, run(t, connect(t, newConnector(t, db.URL())), `CREATE TABLE rows (n int)`))
	for _, local := range []bool{false, true} {
		conn, _ := counted(t, db)
		require.NoError(t, conn.Enter(as("acme", local)))
		require.NoError(t, run(t, conn, `SELECT set_config('default_transaction_read_only', 'on', false)`))
		require.NoError(t, conn.Enter(as("globex", local)))
		tx, err := conn.BeginTx(t.Context(), driver.TxOptions{ReadOnly: true})
		require.NoError(t, err)
		require.ErrorContains(t, run(t, conn, `INSERT INTO rows VALUES (1)`), "read-only transaction")
		require.NoError(t, tx.Rollback())
		tx, err = conn.BeginTx(t.Context(), driver.TxOptions{})
		require.NoError(t, err)
		require.NoError(t, run(t, conn, `INSERT INTO rows VALUES (1)`))
		require.NoError(t, tx.Commit())
	}
}

// TestQueriesThatWriteBehindAPooler: whether a SELECT writes, its text does not tell, nor
// does the server tell one client what another did.
func TestQueriesThatWriteBehindAPooler(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	require.NoError(t, run(t, connect(t, newConnector(t, db.URL())), `CREATE TABLE rows (n int);
		CREATE FUNCTION book(i int) RETURNS int LANGUAGE sql AS 'INSERT INTO rows VALUES (i) RETURNING n'`))
	user := login(t, db)
	password, _ := user.Password()
	pooler := db.Bouncer(t, "transaction", 1, user.Username(), password)
	var conns []*postgres.Conn
	for _, tenant := range []string{"acme", "globex"} {
		conn := connect(t, newConnector(t, pooler.URL(), postgres.BehindPooler(), postgres.CloseToCancel()))
		e := as(tenant, true)
		e.Statements = append(e.Statements, postgres.Statement{Query: `SELECT set_config('default_transaction_read_only', 'off', false)`})
		require.NoError(t, conn.Enter(e))
		conns = append(conns, conn)
	}
	for range 3 {
		require.NoError(t, run(t, conns[0], `SELECT set_config('default_transaction_read_only', 'on', false)`))
		require.ErrorContains(t, run(t, conns[1], `SELECT book(1)`), "read-only transaction")
		require.NoError(t, run(t, conns[1], `SELECT book($1::int)`, "1"))
		require.NoError(t, run(t, conns[1], `SELECT book(1)`))
	}
}

// TestReadOnlySessionsStaySo: whoever connects so means it.
func TestReadOnlySessionsStaySo(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	require.NoError(t, run(t, connect(t, newConnector(t, db.URL())), `CREATE TABLE rows (n int)`))
	for _, local := range []bool{false, true} {
		conn := connect(t, newConnector(t, db.URL()+"&default_transaction_read_only=on"))
		for range 2 {
			require.NoError(t, conn.Enter(as("acme", local)))
			require.ErrorContains(t, run(t, conn, `INSERT INTO rows VALUES (1)`), "read-only transaction")
		}
	}
}

// TestTransactionsUndoNoEntry tries whatever ends the transaction that entry and
// statement might share.
func TestTransactionsUndoNoEntry(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	conn, _ := counted(t, db)
	require.NoError(t, run(t, conn, `CREATE TABLE seen (who text);
		CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN ROLLBACK; INSERT INTO seen VALUES (current_setting('app.tenant', true)); END $$`))
	for _, query := range []string{
		`CALL p()`, `-- why
		CALL p()`, `BEGIN; ROLLBACK; INSERT INTO seen VALUES (current_setting('app.tenant', true))`,
		`begin; insert into seen values ('x'); rollback; INSERT INTO seen VALUES (current_setting('app.tenant', true))`,
		`SELECT 1; ROLLBACK; INSERT INTO seen VALUES (current_setting('app.tenant', true))`,
	} {
		require.NoError(t, conn.Enter(as("acme", false)))
		assert.Equal(t, "acme", first(t, conn, whoami))
		require.NoError(t, conn.Enter(as("globex", false)))
		require.NoError(t, run(t, conn, query), query)
		assert.Equal(t, "globex", first(t, conn, `SELECT string_agg(who, ',') FROM seen`), query)
		require.NoError(t, run(t, conn, `DELETE FROM seen`))
	}
	require.NoError(t, conn.Enter(as("acme", false)))
	tx, err := conn.BeginTx(t.Context(), driver.TxOptions{})
	require.NoError(t, err)
	assert.Equal(t, "acme", first(t, conn, whoami))
	require.NoError(t, tx.Rollback())
	assert.Equal(t, "acme", first(t, conn, whoami))

	require.NoError(t, conn.Enter(as("globex", false)))
	require.NoError(t, run(t, conn, `begin`))
	require.NoError(t, run(t, conn, `rollback`))
	assert.Equal(t, "globex", first(t, conn, whoami), "a transaction that is begun by hand joins the entry's")
}

func TestFailedEntriesRunNothing(t *testing.T) {
	t.Parallel()
	for _, local := range []bool{false, true} {
		for _, query := range []string{`INSERT INTO ran VALUES (1)`, `INSERT INTO ran VALUES ($1::int)`, `CALL note()`, `BEGIN`} {
			db := pgtest.Open(t)
			conn, _ := counted(t, db)
			require.NoError(t, run(t, conn, `CREATE TABLE ran (n int); CREATE PROCEDURE note() LANGUAGE sql AS 'INSERT INTO ran VALUES (1)'`))
			var told error
			require.NoError(t, conn.Enter(postgres.Entry{
				Local: local, Failed: func(err error) { told = err },
				Statements: []postgres.Statement{{Query: `SELECT $1::int`, Args: []string{"no number"}}},
			}))
			var err error
			switch query {
			case `BEGIN`:
				_, err = conn.BeginTx(t.Context(), driver.TxOptions{})
			case `INSERT INTO ran VALUES ($1::int)`:
				err = run(t, conn, query, "1")
			default:
				err = run(t, conn, query)
			}
			if local && query == `CALL note()` {
				require.ErrorContains(t, err, "BeginTx", "it is not sent")
				assert.True(t, conn.IsValid())
				continue
			}
			var refused *postgres.EntryError
			require.ErrorAs(t, err, &refused, query)
			assert.True(t, refused.NotBegun())
			require.ErrorContains(t, err, "no number")
			require.ErrorContains(t, told, "no number")
			assert.False(t, conn.IsValid(), "nobody uses the connection again")
			assert.Equal(t, "0", first(t, connect(t, newConnector(t, db.URL())), `SELECT count(*) FROM ran`), query)
		}
	}
}

func TestLocalEntriesLeaveNothing(t *testing.T) {
	t.Parallel()
	conn, flights := counted(t, pgtest.Open(t), postgres.BehindPooler())
	require.ErrorIs(t, conn.Enter(as("acme", false)), isolation.ErrUnsafe, "the session may be another's next")
	require.NoError(t, conn.Enter(as("acme", true)))
	before := flights.writes
	assert.Equal(t, "acme", first(t, conn, whoami))
	require.NoError(t, run(t, conn, `SELECT set_config('app.tenant', $1, false)`, "globex"))
	assert.Equal(t, "acme", first(t, conn, whoami), "each statement has an entry of its own")
	assert.Equal(t, 3, flights.writes-before)

	tx, err := conn.BeginTx(t.Context(), driver.TxOptions{ReadOnly: true, Isolation: driver.IsolationLevel(sql.LevelSerializable)})
	require.NoError(t, err)
	assert.Equal(t, 4, flights.writes-before, "BEGIN and the entry are one message")
	require.NoError(t, run(t, conn, `SAVEPOINT s`))
	assert.Equal(t, "acme", first(t, conn, whoami))
	require.NoError(t, run(t, conn, `ROLLBACK TO s`))
	assert.Equal(t, "acme", first(t, conn, whoami))
	assert.Equal(t, "serializable/on", first(t, conn, `SELECT current_setting('transaction_isolation') || '/' || current_setting('transaction_read_only')`))
	require.NoError(t, tx.Commit())

	s, err := conn.PrepareContext(t.Context(), whoami)
	require.NoError(t, err)
	rows, err := s.(driver.StmtQueryContext).QueryContext(t.Context(), nil)
	require.NoError(t, err)
	dest := make([]driver.Value, 1)
	require.NoError(t, rows.Next(dest))
	assert.Equal(t, "acme", dest[0])
	require.NoError(t, rows.Close())
	assert.Equal(t, "0", first(t, conn, `SELECT count(*) FROM pg_prepared_statements`), "another session would not know it")
}

// TestOnlyTextsWithoutLiteralsOutliveATenant: pg_prepared_statements shows them.
func TestOnlyTextsWithoutLiteralsOutliveATenant(t *testing.T) {
	t.Parallel()
	conn, _ := counted(t, pgtest.Open(t))
	const texts = `SELECT count(*) FROM pg_prepared_statements`
	require.NoError(t, conn.Enter(as("acme", false)))
	_, err := conn.PrepareContext(t.Context(), `SELECT $1::int`)
	require.NoError(t, err)
	assert.True(t, conn.KeepsStatements())
	require.NoError(t, conn.Enter(as("globex", false)))
	assert.Equal(t, "1", first(t, conn, texts))
	_, err = conn.PrepareContext(t.Context(), `SELECT 'of globex', $1::int`)
	require.NoError(t, err)
	assert.False(t, conn.KeepsStatements())
	require.NoError(t, conn.Enter(as("acme", false)))
	assert.Equal(t, "0", first(t, conn, texts))
	assert.True(t, conn.KeepsStatements())
	assert.Equal(t, "acme", first(t, conn, whoami))
	require.NoError(t, conn.Enter(as("globex", false)))
	assert.Equal(t, "globex", first(t, conn, whoami))
}

// TestCopyIsReadAside: lib/pq reads the answer to a COPY in a goroutine of its own,
// while rows are still being sent.
func TestCopyIsReadAside(t *testing.T) {
	t.Parallel()
	conn, _ := counted(t, pgtest.Open(t))
	require.NoError(t, run(t, conn, `CREATE TABLE few (n int CHECK (n < 1000))`))
	for range 20 {
		require.NoError(t, conn.Enter(as("acme", true)))
		tx, err := conn.BeginTx(t.Context(), driver.TxOptions{})
		require.NoError(t, err)
		rows, err := conn.PrepareContext(t.Context(), `COPY "few" ("n") FROM STDIN`)
		require.NoError(t, err)
		for n := 0; err == nil && n < 100_000; n++ {
			_, err = rows.Exec([]driver.Value{int64(n)}) //nolint:staticcheck // lib/pq's COPY has no other
		}
		require.ErrorContains(t, errors.Join(err, rows.Close()), "few_n_check")
		require.NoError(t, tx.Rollback())
		assert.Equal(t, "acme", first(t, conn, whoami))
	}
}
