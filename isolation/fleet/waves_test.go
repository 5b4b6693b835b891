package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/fleet"
	"github.com/tenancy-go/tenancy/tenant"
)

// failing returns migrations whose second, in Go, fails for some tenants.
func failing(t *testing.T, who ...tenant.ID) *fleet.Migrations {
	t.Helper()
	return load(t, own(1), fleet.Function{Version: 2, Name: "check", Up: func(ctx context.Context, conn fleet.Conn, _ isolation.Home) error {
		one, err := tenant.FromContext(ctx)
		if err != nil {
			return err
		}
		if _, err := conn.ExecContext(ctx, "INSERT INTO log VALUES ('checked')"); err != nil {
			return err
		}
		if slices.Contains(who, one.ID) {
			return fmt.Errorf("%s is odd", one.ID)
		}
		return nil
	}})
}

func TestWavesWaitForEachOther(t *testing.T) {
	t.Parallel()
	w, s := newFiles(t, own(1))
	ts := tenants(40)
	provision(t, s, ts...)
	var ends []int
	open := 0
	f := fleetOf(t, s, w.ledger, failing(t), fleet.Workers(8), fleet.Progress(func(e fleet.Event) {
		switch e := e.(type) {
		case fleet.Planned:
			assert.Equal(t, fleet.Counts{Total: 40}, e.Counts)
		case fleet.HomeBegun:
			open++
		case fleet.HomeDone:
			open--
			assert.Equal(t, []int64{2}, e.Applied)
			assert.Equal(t, int64(1), e.From)
			assert.Equal(t, int64(2), e.To)
		case fleet.WaveBegun:
			ends = append(ends, e.UpTo)
			assert.Zero(t, open, "the wave before is done")
		case fleet.WaveDone:
			assert.Equal(t, ends[len(ends)-1], e.Progress().Done)
		}
	}))
	report, err := f.Run(t.Context(), fleet.These(ts...))
	require.NoError(t, err)
	assert.Equal(t, 40, report.Migrated)
	assert.Equal(t, []int{1, 4, 40}, ends, "1% of 40 is no more than the first home")
}

func TestACanaryThatFailsStopsTheRun(t *testing.T) {
	t.Parallel()
	w, s := newFiles(t, own(1))
	ts := tenants(20)
	provision(t, s, ts...)
	f := fleetOf(t, s, w.ledger, failing(t, "t001"), fleet.Waves(fleet.Homes(2)), fleet.ErrorBudget(10))
	report, err := f.Run(t.Context(), fleet.These(ts...))
	require.ErrorIs(t, err, fleet.ErrStopped)
	assert.Equal(t, 1, report.Migrated)
	assert.Equal(t, 1, report.Failed)
	assert.Equal(t, 18, report.Remaining)
	assert.Equal(t, []string{"00001"}, logOf(t, s, ts[1]), "nothing of the failed migration stays")
}

func TestTheErrorBudgetStopsTheRun(t *testing.T) {
	t.Parallel()
	w, s := newFiles(t, own(1))
	ts := tenants(20)
	provision(t, s, ts...)
	odd := []tenant.ID{"t002", "t004", "t006", "t008"}
	f := fleetOf(t, s, w.ledger, failing(t, odd...), fleet.Workers(1), fleet.Waves(), fleet.ErrorBudget(2))
	report, err := f.Run(t.Context(), fleet.These(ts...))
	require.ErrorIs(t, err, fleet.ErrStopped)
	// Whether another was begun before the third failure counted is a matter of time.
	assert.InDelta(t, 3, report.Failed, 1)
	assert.Positive(t, report.Remaining)

	f = fleetOf(t, s, w.ledger, failing(t, odd...), fleet.Waves(), fleet.ErrorBudget(4))
	report, err = f.Run(t.Context(), fleet.These(ts...))
	require.ErrorIs(t, err, fleet.ErrIncomplete)
	assert.Equal(t, 4, report.Failed)
	assert.Zero(t, report.Remaining)
	assert.Len(t, entries(t, w.ledger, fleet.Failed), 4)
}

func TestQuarantine(t *testing.T) {
	t.Parallel()
	w, s := newFiles(t, own(1))
	ts := tenants(3)
	provision(t, s, ts...)
	run := func(m *fleet.Migrations) (fleet.Report, error) {
		return fleetOf(t, s, w.ledger, m, fleet.Waves(), fleet.ErrorBudget(1), fleet.QuarantineAfter(2)).Run(t.Context(), fleet.These(ts...))
	}
	report, err := run(failing(t, "t001"))
	require.ErrorIs(t, err, fleet.ErrIncomplete)
	assert.False(t, report.Failures[0].Quarantined)
	report, err = run(failing(t, "t001"))
	require.ErrorIs(t, err, fleet.ErrIncomplete)
	assert.True(t, report.Failures[0].Quarantined)

	report, err = run(failing(t, "t001"))
	require.NoError(t, err, "nobody tries any more")
	assert.Equal(t, 1, report.Quarantined)
	assert.Zero(t, report.Failed)
	e := entries(t, w.ledger, fleet.Quarantined)
	require.Len(t, e, 1)
	assert.Equal(t, tenant.ID("t001"), e[0].Tenant)
	assert.Contains(t, e[0].Error, "t001 is odd")

	found, err := w.ledger.Release(t.Context(), "t001")
	require.NoError(t, err)
	assert.True(t, found)
	report, err = run(failing(t))
	require.NoError(t, err)
	assert.Equal(t, 1, report.Migrated)

	found, err = w.ledger.Quarantine(t.Context(), "t002", "their auditors are in the house")
	require.NoError(t, err)
	assert.True(t, found)
	found, err = w.ledger.Quarantine(t.Context(), "nobody", "")
	require.NoError(t, err)
	assert.False(t, found)
	assert.ErrorIs(t, fleetOf(t, s, w.ledger, failing(t)).Bring(t.Context(), ts[2]), fleet.ErrQuarantined)
	found, err = w.ledger.Release(t.Context(), "t000")
	require.NoError(t, err)
	assert.False(t, found, "it was in no quarantine")
}

func TestARunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w, s := newFiles(t, own(1))
	ts := tenants(10)
	provision(t, s, ts...)
	ctx, cancel := context.WithCancel(t.Context())
	f := fleetOf(t, s, w.ledger, failing(t), fleet.Workers(1), fleet.Waves(), fleet.Progress(func(e fleet.Event) {
		if _, ok := e.(fleet.HomeDone); ok && e.Progress().Done == 3 {
			cancel()
		}
	}))
	report, err := f.Run(ctx, fleet.These(ts...))
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 3, report.Migrated)
	assert.Zero(t, report.Failed)
	report, err = fleetOf(t, s, w.ledger, failing(t)).Run(t.Context(), fleet.These(ts...))
	require.NoError(t, err)
	assert.Equal(t, 7, report.Migrated)
}

func TestPlanChangesNothing(t *testing.T) {
	t.Parallel()
	w, s := newFiles(t, own(1))
	ts := tenants(3)
	provision(t, s, ts[:2]...)
	f := fleetOf(t, s, w.ledger, load(t, own(3)))
	plan := func() (steps []fleet.Step) {
		for step, err := range f.Plan(t.Context(), fleet.These(ts...)) {
			require.NoError(t, err)
			require.NoError(t, step.Problem)
			step.Home = ""
			steps = append(steps, step)
		}
		return steps
	}
	apply := []string{"00002_step.sql", "00003_step.sql"}
	want := []fleet.Step{
		{Tenant: "t000", Kind: fleet.SQLite, From: 1, Apply: apply},
		{Tenant: "t001", Kind: fleet.SQLite, From: 1, Apply: apply},
	}
	assert.Equal(t, want, plan())
	assert.Equal(t, want, plan())
	assert.Empty(t, entries(t, w.ledger))
	assert.Equal(t, "t000 (sqlite): from version 1: [00002_step.sql 00003_step.sql]", want[0].String())

	require.NoError(t, f.Bring(t.Context(), ts[0]))
	assert.Equal(t, want[1:], plan())
	for step, err := range f.Plan(t.Context(), fleet.These(ts...)) {
		require.NoError(t, err)
		assert.Equal(t, tenant.ID("t001"), step.Tenant)
		break
	}
}

func TestProvisionerKeepsTheLedger(t *testing.T) {
	t.Parallel()
	w, s := newFiles(t, own(1))
	one := tenants(1)[0]
	f := fleetOf(t, s, w.ledger, failing(t))
	p := f.Provisioner(s)
	require.NoError(t, p.Prepare(t.Context()))
	require.NoError(t, p.Provision(t.Context(), one))
	assert.Equal(t, []string{"00001", "checked"}, logOf(t, s, one), "a migration in Go, which the strategy does not know")
	require.Len(t, entries(t, w.ledger), 1)
	require.NoError(t, p.Migrate(t.Context(), one))
	require.NoError(t, p.Deprovision(t.Context(), one))
	assert.Empty(t, entries(t, w.ledger))
	assert.ErrorIs(t, p.Migrate(t.Context(), one), isolation.ErrNotProvisioned)
}

func TestAFunctionThatPanicsFailsItsHomeAlone(t *testing.T) {
	t.Parallel()
	w, s := newFiles(t, own(1))
	ts := tenants(2)
	provision(t, s, ts...)
	m := load(t, own(1), fleet.Function{Version: 2, Name: "panics", Up: func(ctx context.Context, _ fleet.Conn, _ isolation.Home) error {
		if one, _ := tenant.FromContext(ctx); one.ID == "t000" {
			var none *tenant.Tenant
			none.Name = "x"
		}
		return nil
	}})
	report, err := fleetOf(t, s, w.ledger, m, fleet.Waves(), fleet.ErrorBudget(1)).Run(t.Context(), fleet.These(ts...))
	require.ErrorIs(t, err, fleet.ErrIncomplete)
	assert.Equal(t, 1, report.Migrated)
	assert.ErrorContains(t, report.Failures[0].Err, "panic")
}

func TestChangedMigrationsAreRefused(t *testing.T) {
	t.Parallel()
	w, s := newFiles(t, own(1))
	one := tenants(1)[0]
	provision(t, s, one)
	_, err := fleetOf(t, s, w.ledger, load(t, own(2))).Run(t.Context(), fleet.These(one))
	require.NoError(t, err)
	changed := own(3)
	changed["00001_step.sql"] = &fstest.MapFile{Data: append(changed["00001_step.sql"].Data, "CREATE TABLE late (x);\n"...)}
	_, err = fleetOf(t, s, w.ledger, load(t, changed)).Run(t.Context(), fleet.These(one))
	require.ErrorIs(t, err, fleet.ErrChanged)
	assert.Equal(t, []string{"00001", "00002"}, logOf(t, s, one))
	_, err = fleetOf(t, s, w.ledger, load(t, changed), fleet.AcceptChanges()).Run(t.Context(), fleet.These(one))
	require.NoError(t, err)
	report, err := fleetOf(t, s, w.ledger, load(t, changed)).Run(t.Context(), fleet.These(one))
	require.NoError(t, err)
	assert.Equal(t, 1, report.Current)
}

func TestOrder(t *testing.T) {
	t.Parallel()
	w, s := newFiles(t, own(1))
	one := tenants(1)[0]
	provision(t, s, one)
	gap := own(3)
	delete(gap, "00002_step.sql")
	_, err := fleetOf(t, s, w.ledger, load(t, gap)).Run(t.Context(), fleet.These(one))
	require.Error(t, err, "the index is on a column of the second")
	gap["00003_step.sql"] = file("INSERT INTO log VALUES ('00003');\n")
	_, err = fleetOf(t, s, w.ledger, load(t, gap)).Run(t.Context(), fleet.These(one))
	require.NoError(t, err)

	late := own(2)
	late["00003_step.sql"] = gap["00003_step.sql"]
	_, err = fleetOf(t, s, w.ledger, load(t, late), fleet.AcceptChanges()).Run(t.Context(), fleet.These(one))
	require.ErrorIs(t, err, fleet.ErrStopped)
	assert.Contains(t, entries(t, w.ledger)[0].Error, "came too late")
	_, err = fleetOf(t, s, w.ledger, load(t, late), fleet.AcceptChanges(), fleet.AllowMissing()).Run(t.Context(), fleet.These(one))
	require.NoError(t, err)
	assert.Equal(t, []string{"00001", "00003", "00002"}, logOf(t, s, one))
}

func TestHomesAheadAreLeftAlone(t *testing.T) {
	t.Parallel()
	w, s := newFiles(t, own(1))
	one := tenants(1)[0]
	provision(t, s, one)
	newer, older := load(t, own(3)), load(t, own(2))
	_, err := fleetOf(t, s, w.ledger, newer).Run(t.Context(), fleet.These(one))
	require.NoError(t, err)
	report, err := fleetOf(t, s, w.ledger, older).Run(t.Context(), fleet.These(one))
	require.NoError(t, err)
	assert.Equal(t, 1, report.Ahead)
	require.NoError(t, fleetOf(t, s, w.ledger, older).Bring(t.Context(), one), "a visit changes nothing")
	report, err = fleetOf(t, s, w.ledger, newer).Run(t.Context(), fleet.These(one))
	require.NoError(t, err, "what the older code noted is no change of a migration")
	assert.Equal(t, 1, report.Migrated)
	report, err = fleetOf(t, s, w.ledger, newer, fleet.Recheck()).Run(t.Context(), fleet.These(one))
	require.NoError(t, err)
	assert.Equal(t, 1, report.Migrated, "looked into once more")
	assert.Equal(t, []string{"00001", "00002", "00003"}, logOf(t, s, one))
}

func TestALostLedgerIsWrittenAnew(t *testing.T) {
	t.Parallel()
	w, s := newFiles(t, own(1))
	ts := tenants(3)
	provision(t, s, ts...)
	f := fleetOf(t, s, w.ledger, load(t, own(3)))
	_, err := f.Run(t.Context(), fleet.These(ts...))
	require.NoError(t, err)
	_, err = w.control.ExecContext(t.Context(), "DELETE FROM tenancy_fleet_homes")
	require.NoError(t, err)
	report, err := f.Run(t.Context(), fleet.These(ts...))
	require.NoError(t, err)
	assert.Equal(t, 3, report.Migrated)
	assert.Equal(t, []string{"00001", "00002", "00003"}, logOf(t, s, ts[2]))
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	w, s := newFiles(t, own(1))
	m := load(t, own(2))
	for _, opt := range []fleet.Option{
		fleet.Workers(0), fleet.Target(3), fleet.Target(-1), fleet.ErrorBudget(-1), fleet.QuarantineAfter(-1),
		fleet.Retries(-1, 1, 1), fleet.Retries(1, 0, 1), fleet.Retries(1, 2, 1), fleet.LockTimeout(-1), fleet.StatementTimeout(-1),
		fleet.HomeWait(0), fleet.Progress(nil), fleet.Waves(fleet.Homes(0)), fleet.Waves(fleet.Homes(-1)), fleet.Waves(fleet.Percent(101)),
	} {
		_, err := fleet.New(s, w.ledger, m, opt)
		require.Error(t, err)
	}
	_, err := fleet.New(nil, w.ledger, m)
	require.Error(t, err)
	_, err = fleet.NewLedger(nil, fleet.OnSQLite)
	require.Error(t, err)
	_, err = fleet.NewLedger(w.control, 0)
	require.Error(t, err)
}

// pages is a store whose second page is lost.
type pages struct{ tenant.Store }

var errLost = errors.New("lost")

func (p pages) List(ctx context.Context, q tenant.Query) (tenant.Page, error) {
	if q.Cursor != "" {
		return tenant.Page{}, errLost
	}
	return p.Store.List(ctx, q)
}

func TestAllReadsPages(t *testing.T) {
	t.Parallel()
	store := tenant.NewMemoryStore()
	for _, one := range tenants(7) {
		_, err := store.Create(t.Context(), one)
		require.NoError(t, err)
	}
	all := fleet.All(t.Context(), store, tenant.Query{Limit: 3})
	for range 2 { // from the beginning each time
		var ids []tenant.ID
		for one, err := range all {
			require.NoError(t, err)
			ids = append(ids, one.ID)
		}
		assert.Len(t, ids, 7)
	}
	for one, err := range all { // no page more than is asked for
		require.NoError(t, err)
		assert.Equal(t, tenant.ID("t000"), one.ID)
		break
	}
	n := 0
	for _, err := range fleet.All(t.Context(), pages{store}, tenant.Query{Limit: 3}) {
		if n++; n > 3 {
			require.ErrorIs(t, err, errLost)
		}
	}
	assert.Equal(t, 4, n)
}
