package fleet_test

import (
	"context"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/fleet"
	"github.com/tenancy-go/tenancy/tenant"
)

// BenchmarkGate is what the gate adds to a request.
func BenchmarkGate(b *testing.B) {
	w, s := newFiles(b, own(1))
	one := tenants(1)[0]
	provision(b, s, one)
	require.NoError(b, fleetOf(b, s, w.ledger, load(b, own(1))).Bring(b.Context(), one))
	g := gateFor(b, w, s, 1)
	b.ReportAllocs()
	for b.Loop() {
		if err := g.Check(b.Context(), one); err != nil {
			b.Fatal(err)
		}
	}
}

// phantoms is a strategy of many homes that are all in the ledger.
type phantoms struct{ isolation.Administrator }

func (phantoms) HomeKeys(_ context.Context, ts []tenant.Tenant) ([]string, error) {
	keys := make([]string, len(ts))
	for i, t := range ts {
		keys[i] = "phantom/" + string(t.ID)
	}
	return keys, nil
}

// BenchmarkNothingToDo is a run over 100,000 tenants who are current, with the memory
// that it holds at its end.
func BenchmarkNothingToDo(b *testing.B) {
	const size = 100_000
	w, s := newFiles(b, own(1))
	m := load(b, own(1))
	one := tenants(1)[0]
	provision(b, s, one)
	require.NoError(b, fleetOf(b, s, w.ledger, m).Bring(b.Context(), one))
	_, err := w.control.ExecContext(b.Context(), `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO tenancy_fleet_homes (home_key, tenant_id, place, kind, version, checksum, state, started_at)
		SELECT 'phantom/many-' || i, 'many-' || i, '', kind, version, checksum, state, started_at FROM n, tenancy_fleet_homes`, size)
	require.NoError(b, err)
	f := fleetOf(b, phantoms{s}, w.ledger, m)
	before, during := heap(), uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		report, err := f.Run(b.Context(), many(size, func() { during = heap() }))
		require.NoError(b, err)
		require.Equal(b, size, report.Current)
	}
	b.ReportMetric((float64(during)-float64(before))/(1<<20), "MB-held")
}

// heap returns what is in use, once pools are emptied.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// many returns tenants that are made as they are asked for, and calls last after them.
func many(n int, last func()) fleet.Tenants {
	return func(yield func(tenant.Tenant, error) bool) {
		for i := range n {
			if !yield(tenant.Tenant{ID: tenant.ID("many-" + strconv.Itoa(i+1))}, nil) {
				return
			}
		}
		last()
	}
}
