package postgres_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
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
