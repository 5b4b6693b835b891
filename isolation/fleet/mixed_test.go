package fleet_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/fleet"
	"github.com/tenancy-go/tenancy/tenant"
)

// byPlan is each tenant's own strategy.
type byPlan map[string]strategy

func (m byPlan) HomeKeys(ctx context.Context, ts []tenant.Tenant) ([]string, error) {
	keys := make([]string, len(ts))
	for i, t := range ts {
		one, err := m[t.Plan].HomeKeys(ctx, []tenant.Tenant{t})
		if err != nil {
			return nil, err
		}
		keys[i] = one[0]
	}
	return keys, nil
}

func (m byPlan) Administer(ctx context.Context, t tenant.Tenant, work func(context.Context, *sql.Conn, isolation.Home) error) error {
	return m[t.Plan].Administer(ctx, t, work)
}

func TestSeveralStrategiesInOneFleet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, small := newFiles(t, sub(t, files(1), "sqlite"))
	// Row mode does not put up with the functions of schema mode in its database.
	m := byPlan{"free": newWorld(t).shared(t), "team": w.schemas(t, sub(t, files(1), "own")), "desk": small}
	ts := tenants(6)
	for i, plan := range []string{"free", "free", "team", "team", "desk", "desk"} {
		ts[i].Plan = plan
		provision(t, m[plan], ts[i])
	}
	report, err := w.fleet(t, m, files(3)).Run(t.Context(), fleet.These(ts...))
	require.NoError(t, err)
	assert.Equal(t, 5, report.Migrated, "two tenants share a home")
	kinds := map[fleet.Kind]int{}
	for _, e := range entries(t, w.ledger) {
		assert.Equal(t, int64(3), e.Version)
		kinds[e.Kind]++
	}
	assert.Equal(t, map[fleet.Kind]int{fleet.Shared: 1, fleet.Own: 2, fleet.SQLite: 2}, kinds)
	for _, one := range ts[2:] {
		assert.Equal(t, []string{"00001", "00002", "00003"}, logOf(t, m, one))
	}
}

// TestALedgerThatIsLostAfterTheCommit takes the control database away when the home is
// about to commit.
func TestALedgerThatIsLostAfterTheCommit(t *testing.T) {
	t.Parallel()
	_, s := newFiles(t, own(1))
	ts := tenants(3)
	provision(t, s, ts...)
	path := filepath.Join(t.TempDir(), "control.db")
	open := func() *sql.DB {
		db, err := sql.Open("sqlite", "file:"+path+sqliteDB)
		require.NoError(t, err)
		return db
	}
	control := open()
	m := load(t, own(1), fleet.Function{Version: 2, Name: "last words", Up: func(ctx context.Context, conn fleet.Conn, _ isolation.Home) error {
		_, err := conn.ExecContext(ctx, "INSERT INTO log VALUES ('once')")
		if control != nil {
			assert.NoError(t, control.Close())
			control = nil
		}
		return err
	}})
	report, err := fleetOf(t, s, ledgerOn(t, control, fleet.OnSQLite), m, fleet.Workers(1)).Run(t.Context(), fleet.These(ts...))
	require.ErrorContains(t, err, "note that a home")
	assert.Zero(t, report.Migrated)
	assert.Equal(t, []string{"00001", "once"}, logOf(t, s, ts[0]), "the home has it, and the ledger does not")

	again := open()
	defer again.Close()
	ledger := ledgerOn(t, again, fleet.OnSQLite)
	assert.Len(t, entries(t, ledger, fleet.Running), 1)
	report, err = fleetOf(t, s, ledger, m).Run(t.Context(), fleet.These(ts...))
	require.NoError(t, err)
	assert.Equal(t, 3, report.Migrated)
	for _, one := range ts {
		assert.Equal(t, []string{"00001", "once"}, logOf(t, s, one))
	}
}

func TestALedgerInMemory(t *testing.T) {
	t.Parallel()
	_, s := newFiles(t, own(1))
	one := tenants(1)[0]
	provision(t, s, one)
	control, err := sql.Open("sqlite", ":memory:")
	require.NoError(t, err)
	defer control.Close()
	control.SetMaxOpenConns(1)
	ledger := ledgerOn(t, control, fleet.OnSQLite)
	var f *fleet.Fleet
	m := load(t, own(1), fleet.Function{Version: 2, Name: "a run within a run", Up: func(ctx context.Context, _ fleet.Conn, _ isolation.Home) error {
		_, err := f.Run(ctx, fleet.These(one))
		assert.ErrorIs(t, err, fleet.ErrRunning)
		return nil
	}})
	f = fleetOf(t, s, ledger, m)
	report, err := f.Run(t.Context(), fleet.These(one))
	require.NoError(t, err)
	assert.Equal(t, 1, report.Migrated)
}

// TestARunnerThatLostItsLockStops ends the session that holds the lock, after the
// first wave.
func TestARunnerThatLostItsLockStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.schemas(t, own(1))
	ts := tenants(3)
	provision(t, s, ts...)
	f := w.fleet(t, s, own(2), fleet.Waves(fleet.Homes(1)), fleet.Progress(func(e fleet.Event) {
		if _, ok := e.(fleet.WaveDone); ok && e.Progress().Done == 1 {
			texts(t, w.control, `SELECT pg_terminate_backend(pid, 10000)::text FROM pg_locks
				WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
		}
	}))
	report, err := f.Run(t.Context(), fleet.These(ts...))
	require.ErrorContains(t, err, "lock was lost")
	assert.Equal(t, 1, report.Migrated)
	report, err = w.fleet(t, s, own(2)).Run(t.Context(), fleet.These(ts...))
	require.NoError(t, err)
	assert.Equal(t, 2, report.Migrated)
}

// TestManyBringOneHome lets several processes' worth of fleets at one tenant.
func TestManyBringOneHome(t *testing.T) {
	t.Parallel()
	four(t, func(t *testing.T, w *world, s strategy) {
		one := tenants(1)[0]
		provision(t, s, one)
		var group errgroup.Group
		for range 5 {
			f := w.fleet(t, s, files(3), fleet.Retries(100, time.Millisecond, 10*time.Millisecond))
			group.Go(func() error { return f.Bring(t.Context(), one) })
		}
		require.NoError(t, group.Wait())
		assert.Equal(t, []string{"00001", "00002", "00003"}, logOf(t, s, one))
	})
}
