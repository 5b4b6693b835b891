package fleet_test

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/fleet"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/schema"
	"github.com/tenancy-go/tenancy/tenant"
)

// quick keeps retries short.
var quick = fleet.Retries(1000, time.Millisecond, 5*time.Millisecond)

// TestALockedTableIsTriedAgain holds a table until the run has met the lock, and sees
// that nobody waits behind the migration for long.
func TestALockedTableIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.schemas(t, own(1))
	one := tenants(1)[0]
	provision(t, s, one)
	tx, err := w.root.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), `LOCK TABLE t_t000.orders IN ACCESS SHARE MODE`)
	require.NoError(t, err)

	retries := 0
	f := w.fleet(t, s, own(2), quick, fleet.LockTimeout(5*time.Millisecond), fleet.Progress(func(e fleet.Event) {
		if r, ok := e.(fleet.HomeRetried); ok {
			assert.ErrorContains(t, r.Err, "lock timeout")
			if retries++; r.Attempt == 2 {
				assert.NoError(t, tx.Rollback())
			}
		}
	}))
	report, err := f.Run(t.Context(), fleet.These(one))
	require.NoError(t, err)
	assert.Equal(t, 1, report.Migrated)
	assert.GreaterOrEqual(t, retries, 2)
	assert.Equal(t, []string{"00001", "00002"}, logOf(t, s, one))
}

func TestALockThatStaysFailsTheHome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.schemas(t, own(1))
	one := tenants(1)[0]
	provision(t, s, one)
	tx, err := w.root.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback() //nolint:errcheck // the test is over
	_, err = tx.ExecContext(t.Context(), `LOCK TABLE t_t000.orders`)
	require.NoError(t, err)
	f := w.fleet(t, s, own(2), fleet.Retries(2, time.Millisecond, time.Millisecond), fleet.LockTimeout(time.Millisecond))
	_, err = f.Run(t.Context(), fleet.These(one))
	require.ErrorIs(t, err, fleet.ErrStopped)
	e := entries(t, w.ledger)[0]
	assert.Equal(t, int64(1), e.Version)
	assert.Contains(t, e.Error, "lock timeout")
}

func TestStatementsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.schemas(t, own(1))
	one := tenants(1)[0]
	provision(t, s, one)
	f := w.fleet(t, s, own(1, "SELECT pg_sleep(60);\n"), fleet.StatementTimeout(10*time.Millisecond))
	report, err := f.Run(t.Context(), fleet.These(one))
	require.ErrorIs(t, err, fleet.ErrStopped)
	assert.ErrorContains(t, report.Failures[0].Err, "statement timeout")

	files, sqlite := newFiles(t, own(1))
	provision(t, sqlite, one)
	endless := "CREATE TABLE n AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS i FROM n;\n"
	report, err = files.fleet(t, sqlite, own(1, endless), fleet.StatementTimeout(10*time.Millisecond)).Run(t.Context(), fleet.These(one))
	require.ErrorIs(t, err, fleet.ErrStopped)
	assert.ErrorContains(t, report.Failures[0].Err, "longer than 10ms")
}

// TestABusyHomeIsNotWaitedForWithoutEnd runs while an administrator is in the home.
func TestABusyHomeIsNotWaitedForWithoutEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.schemas(t, own(1))
	one := tenants(1)[0]
	provision(t, s, one)
	err := s.Administer(t.Context(), one, func(ctx context.Context, _ *sql.Conn, _ isolation.Home) error {
		report, err := w.fleet(t, s, own(2), fleet.HomeWait(50*time.Millisecond)).Run(ctx, fleet.These(one))
		require.ErrorIs(t, err, fleet.ErrStopped)
		assert.ErrorIs(t, report.Failures[0].Err, fleet.ErrBusy)
		return nil
	})
	require.NoError(t, err)
	_, err = w.fleet(t, s, own(2)).Run(t.Context(), fleet.These(one))
	require.NoError(t, err)
}

// loose is a file that is no transaction, whose third statement fails.
func loose(third string) fstest.MapFS {
	files := own(1)
	files["00002_loose.sql"] = &fstest.MapFile{Data: []byte("-- +goose NO TRANSACTION\n-- +goose Up\n" +
		"CREATE INDEX CONCURRENTLY orders_item ON orders (item);\nINSERT INTO log VALUES ('second');\nSET application_name = 'left over';\n" +
		third + ";\nINSERT INTO log VALUES ('last');\n")}
	files["00003_after.sql"] = file("INSERT INTO log SELECT 'after, as ' || current_setting('application_name');\n")
	return files
}

func TestAFileWithoutTransactionGoesOnWhereItFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.schemas(t, own(1))
	one := tenants(1)[0]
	provision(t, s, one)
	report, err := w.fleet(t, s, loose("SELECT 1/0")).Run(t.Context(), fleet.These(one))
	require.ErrorIs(t, err, fleet.ErrStopped)
	assert.ErrorContains(t, report.Failures[0].Err, "statement 4 of 5, in no transaction")
	assert.Equal(t, []string{"00001", "second"}, logOf(t, s, one), "what came before stays")
	assert.Equal(t, int64(1), entries(t, w.ledger)[0].Version)

	_, err = w.fleet(t, s, own(1, "SELECT 1;\n"), fleet.AcceptChanges()).Run(t.Context(), fleet.These(one))
	require.NoError(t, err, "a file that is a transaction takes no notice of how far another came")

	other := newWorld(t)
	s = other.schemas(t, own(1))
	provision(t, s, one)
	_, err = other.fleet(t, s, loose("SELECT 1/0")).Run(t.Context(), fleet.These(one))
	require.ErrorIs(t, err, fleet.ErrStopped)
	changed := loose("SELECT 1")
	changed["00002_loose.sql"] = &fstest.MapFile{Data: []byte(strings.Replace(string(changed["00002_loose.sql"].Data), "second", "2nd", 1))}
	report, err = other.fleet(t, s, changed).Run(t.Context(), fleet.These(one))
	require.ErrorIs(t, err, fleet.ErrStopped)
	require.ErrorIs(t, report.Failures[0].Err, fleet.ErrChanged)

	_, err = other.fleet(t, s, loose("SELECT 1")).Run(t.Context(), fleet.These(one))
	require.NoError(t, err)
	assert.Equal(t, []string{"00001", "second", "last", "after, as "}, logOf(t, s, one), "on a session of its own")
}

// TestTheVersionTableIsNotTheTenants makes homes without migrations of the strategy's,
// so that the fleet makes the version table under its default privileges.
func TestTheVersionTableIsNotTheTenants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, err := schema.New(w.app, schema.Admin(w.admin))
	require.NoError(t, err)
	one := tenants(1)[0]
	provision(t, s, one)
	_, err = w.fleet(t, s, own(2)).Run(t.Context(), fleet.These(one))
	require.NoError(t, err)
	pool, err := isolation.New(s)
	require.NoError(t, err)
	db := sql.OpenDB(pool)
	defer db.Close()
	ctx := tenant.NewContext(t.Context(), one)
	_, err = db.ExecContext(ctx, `INSERT INTO orders (item, total) VALUES ('x', 1)`)
	require.NoError(t, err)
	for _, query := range []string{
		`DELETE FROM tenancy_version`, `SELECT * FROM tenancy_version`, `SELECT nextval('tenancy_version_id_seq')`,
	} {
		_, err = db.ExecContext(ctx, query)
		assert.ErrorContains(t, err, "permission denied", query)
	}
}

// TestWorkersAreTheBudgetOfConnections counts the sessions of a run in the server, from
// within each migration.
func TestWorkersAreTheBudgetOfConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	named, err := postgres.NewConnector(w.URL() + "&application_name=the_runner")
	require.NoError(t, err)
	s, err := schema.New(w.app, schema.Admin(named), schema.Migrations(own(1)))
	require.NoError(t, err)
	ts := tenants(9)
	provision(t, w.schemas(t, own(1)), ts...)
	require.NoError(t, s.Prepare(t.Context()))
	const sessions = `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'the_runner'`
	require.Eventually(t, func() bool { // those of Prepare are gone
		return slices.Equal([]string{"0"}, texts(t, w.root, `SELECT ((`+sessions+`))::text`))
	}, time.Minute, time.Millisecond)
	var most atomic.Int64
	m := load(t, own(1), fleet.Function{Version: 2, Name: "count", Up: func(ctx context.Context, conn fleet.Conn, _ isolation.Home) error {
		var n int64
		err := conn.QueryRowContext(ctx, sessions).Scan(&n)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		return err
	}})
	_, err = fleetOf(t, s, w.ledger, m, fleet.Workers(3), fleet.Waves()).Run(t.Context(), fleet.These(ts...))
	require.NoError(t, err)
	assert.LessOrEqual(t, most.Load(), int64(3))
	assert.Positive(t, most.Load())
}

// TestEightWorkersWorkAtATime lets migrations wait until eight of them are under way.
func TestEightWorkersWorkAtATime(t *testing.T) {
	t.Parallel()
	w, s := newFiles(t, own(1))
	ts := tenants(16)
	provision(t, s, ts...)
	arrived := make(chan struct{}, len(ts))
	var once sync.Once
	all := make(chan struct{})
	m := load(t, own(1), fleet.Function{Version: 2, Name: "meet", Up: func(ctx context.Context, _ fleet.Conn, _ isolation.Home) error {
		if arrived <- struct{}{}; len(arrived) == 8 {
			once.Do(func() { close(all) })
		}
		select {
		case <-all:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}})
	report, err := fleetOf(t, s, w.ledger, m, fleet.Workers(8), fleet.Waves()).Run(t.Context(), fleet.These(ts...))
	require.NoError(t, err)
	assert.Equal(t, 16, report.Migrated)
}

// TestNoRunOnOneControlConnection would wait for itself.
func TestNoRunOnOneControlConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.schemas(t, own(1))
	one := tenants(1)[0]
	provision(t, s, one)
	w.control.SetMaxOpenConns(1)
	_, err := w.fleet(t, s, own(2)).Run(t.Context(), fleet.These(one))
	assert.ErrorContains(t, err, "two connections")
}

// TestRowModeIsOneHome migrates shared tables once for many tenants, and sees the new
// table under its policies.
func TestRowModeIsOneHome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.shared(t)
	ts := tenants(1200)
	files := files(1)
	for _, kind := range []string{"own", "sqlite"} {
		files[kind+"/00002_notes.sql"] = file("SELECT 1;\n")
	}
	files["shared/00002_notes.sql"] = file("CREATE TABLE notes (tenant_id text NOT NULL DEFAULT tenancy.current_tenant(), body text);\n" +
		"INSERT INTO notes VALUES ('t001', 'of another');\n")
	f := w.fleet(t, s, files)
	report, err := f.Run(t.Context(), fleet.These(ts...))
	require.NoError(t, err)
	assert.Equal(t, 1, report.Migrated)
	assert.Equal(t, 1200, report.Tenants)
	report, err = f.Run(t.Context(), fleet.These(ts...))
	require.NoError(t, err)
	assert.Equal(t, 1, report.Current)

	pool, err := isolation.New(s)
	require.NoError(t, err)
	db := sql.OpenDB(pool)
	defer db.Close()
	for i, want := range [][]string{{}, {"of another"}} {
		ctx := tenant.NewContext(t.Context(), ts[i])
		found := textsIn(t, ctx, db, `SELECT body FROM notes`)
		assert.Equal(t, want, found)
	}
}
