package schema_test

import (
	"database/sql/driver"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
)

// BenchmarkConfine takes one connection back and forth between two tenants, beside
// the smallest statement there is.
func BenchmarkConfine(b *testing.B) {
	f := newFixture(b)
	s := f.strategy(b)
	ids := []string{"acme", "beta"}
	for _, id := range ids {
		require.NoError(b, s.Provision(b.Context(), tenantOf(id)))
	}
	conn := confined(b, s, "acme")
	b.Run("confine", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if err := s.Confine(b.Context(), conn, tenantOf(ids[i%2])); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("select 1", func(b *testing.B) {
		execer, ok := conn.(driver.ExecerContext)
		require.True(b, ok)
		for b.Loop() {
			if _, err := execer.ExecContext(b.Context(), "SELECT 1", nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkProvision(b *testing.B) {
	f := newFixture(b)
	s := f.strategy(b)
	require.NoError(b, s.Prepare(b.Context()))
	for i := 0; b.Loop(); i++ {
		if err := s.Provision(b.Context(), tenantOf("tenant-"+strconv.Itoa(i))); err != nil {
			b.Fatal(err)
		}
	}
}

// TestRecyclingBoundsMemory has a connection serve many tenants, and compares what
// its server process keeps with and without recycling.
func TestRecyclingBoundsMemory(t *testing.T) {
	const tenants, recycleAt = 60, 10
	f := newFixture(t)
	s := f.strategy(t)
	require.NoError(t, s.Prepare(t.Context()))
	f.copyHomes(t, s, tenants)

	kept := f.touchAll(t, s, tenants, isolation.MaxTenantsPerConn(0))
	recycled := f.touchAll(t, s, tenants, isolation.MaxTenantsPerConn(recycleAt))
	t.Logf("after %d schemas of ten tables the server process has %d KB of its own; recycled after %d, %d KB; %d KB a schema",
		tenants, kept/1024, recycleAt, recycled/1024, (kept-recycled)/1024/(tenants-recycleAt))
	require.Greater(t, kept, recycled*3/2)
}

// copyHomes provisions tenants and gives each ten tables.
func (f *fixture) copyHomes(t *testing.T, s isolation.Provisioner, n int) {
	t.Helper()
	for i := range n {
		id := "tenant-" + strconv.Itoa(i)
		require.NoError(t, s.Provision(t.Context(), tenantOf(id)))
		var statements strings.Builder
		fmt.Fprintf(&statements, "SET ROLE %s; SET search_path TO %s;", f.ownerOf(t, id), pghome.Name("t_", tenantOf(id).ID))
		for table := range 10 {
			fmt.Fprintf(&statements, "CREATE TABLE x%d (id bigint PRIMARY KEY, a text, b text, c timestamptz, d jsonb);", table)
		}
		statements.WriteString("RESET ROLE; RESET search_path")
		_, err := f.root.ExecContext(t.Context(), statements.String())
		require.NoError(t, err)
	}
}

// touchAll reads every table of every tenant over one connection at a time, and
// returns the private memory of the last one's server process, in bytes.
func (f *fixture) touchAll(t *testing.T, s isolation.Strategy, n int, opts ...isolation.Option) int {
	t.Helper()
	db := open(t, s, append(opts, isolation.MaxConns(1))...)
	for i := range n {
		ctx := in(t.Context(), "tenant-"+strconv.Itoa(i))
		for table := range 10 {
			_, err := db.ExecContext(ctx, "SELECT * FROM x"+strconv.Itoa(table)+" WHERE id = 1")
			require.NoError(t, err)
		}
	}
	return privateMemory(t, one[int](t, in(t.Context(), "tenant-"+strconv.Itoa(n-1)), db, `SELECT pg_backend_pid()`))
}

// privateMemory returns what a process has for itself, in bytes.
func privateMemory(t *testing.T, pid int) int {
	t.Helper()
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Skip("this system does not tell: ", err)
	}
	total := 0
	for line := range strings.Lines(string(rollup)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && strings.HasPrefix(fields[0], "Private_") {
			kb, err := strconv.Atoi(fields[1])
			require.NoError(t, err)
			total += kb << 10
		}
	}
	return total
}
