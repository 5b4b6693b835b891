package fleet_test

import (
	"errors"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/fleet"
)

func TestRunBringsAllStrategiesToTheLatest(t *testing.T) {
	t.Parallel()
	four(t, func(t *testing.T, w *world, s strategy) {
		ts := tenants(5)
		provision(t, s, ts[:4]...)
		f := w.fleet(t, s, files(3))
		shared := len(entries(t, w.ledger)) == 0 && t.Name() == "TestRunBringsAllStrategiesToTheLatest/row"
		homes := 4
		if shared {
			homes = 1
		}

		report, err := f.Run(t.Context(), fleet.These(ts...))
		require.NoError(t, err)
		assert.Equal(t, homes, report.Migrated, "%s", report)
		if !shared {
			assert.Equal(t, 1, report.Absent)
		}
		for _, one := range ts[:homes] {
			assert.Equal(t, []string{"00001", "00002", "00003"}, logOf(t, s, one))
		}

		again, err := f.Run(t.Context(), fleet.These(ts...))
		require.NoError(t, err)
		assert.Zero(t, again.Migrated)
		assert.Equal(t, homes, again.Current)
		all := entries(t, w.ledger)
		require.Len(t, all, homes)
		for _, e := range all {
			assert.Equal(t, int64(3), e.Version)
			assert.Equal(t, fleet.Migrated, e.State)
			assert.NotEmpty(t, e.Checksum)
			assert.False(t, e.Finished.Before(e.Started))
		}

		// The strategy's own Migrate knows what the fleet did, and the other way round.
		require.NoError(t, s.Migrate(t.Context(), ts[0]))
		assert.Equal(t, []string{"00001", "00002", "00003"}, logOf(t, s, ts[0]))
	})
}

func TestAHomeMadeAnewIsVisited(t *testing.T) {
	t.Parallel()
	four(t, func(t *testing.T, w *world, s strategy) {
		if t.Name() == "TestAHomeMadeAnewIsVisited/row" {
			return // shared tables are not made anew for one tenant
		}
		ts := tenants(2)
		provision(t, s, ts...)
		f := w.fleet(t, s, files(3))
		_, err := f.Run(t.Context(), fleet.These(ts...))
		require.NoError(t, err)

		require.NoError(t, s.Deprovision(t.Context(), ts[0]))
		provision(t, s, ts[0]) // at version 1
		report, err := f.Run(t.Context(), fleet.These(ts...))
		require.NoError(t, err)
		assert.Equal(t, 1, report.Migrated)
		assert.Equal(t, 1, report.Current)
		assert.Equal(t, []string{"00001", "00002", "00003"}, logOf(t, s, ts[0]))
		assert.Len(t, entries(t, w.ledger), 2, "the earlier home is forgotten")
	})
}

func TestAFailedMigrationLeavesItsTenantAtTheOldVersion(t *testing.T) {
	t.Parallel()
	four(t, func(t *testing.T, w *world, s strategy) {
		ts := tenants(1)
		provision(t, s, ts...)
		broken := files(3)
		for name, f := range broken {
			if name[len(name)-14:] == "00003_step.sql" {
				broken[name] = &fstest.MapFile{Data: append(f.Data, "INSERT INTO nowhere VALUES (1);\n"...)}
			}
		}
		report, err := w.fleet(t, s, broken).Run(t.Context(), fleet.These(ts...))
		require.ErrorIs(t, err, fleet.ErrStopped)
		require.Len(t, report.Failures, 1)
		assert.Equal(t, int64(2), report.Failures[0].Version)
		assert.ErrorContains(t, report.Failures[0].Err, "00003_step.sql")
		assert.Equal(t, []string{"00001", "00002"}, logOf(t, s, ts[0]))
		e := entries(t, w.ledger)[0]
		assert.Equal(t, int64(2), e.Version)
		assert.Equal(t, fleet.Failed, e.State)
		assert.Contains(t, e.Error, "nowhere")
		assert.Equal(t, 1, e.Attempts)

		_, err = w.fleet(t, s, files(3)).Run(t.Context(), fleet.These(ts...))
		require.NoError(t, err)
		assert.Equal(t, []string{"00001", "00002", "00003"}, logOf(t, s, ts[0]))
		e = entries(t, w.ledger)[0]
		assert.Zero(t, e.Attempts)
		assert.Empty(t, e.Error)
	})
}

func TestTenantsThatCannotBeListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.schemas(t, own(1))
	lost := errors.New("lost")
	_, err := w.fleet(t, s, own(2)).Run(t.Context(), func(yield func(tenantT, error) bool) { yield(tenantT{}, lost) })
	assert.ErrorIs(t, err, lost)
}
