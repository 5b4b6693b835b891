package archive_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/archive"
)

// benchRows is how many rows benchmarks move about. ARCHIVE_BENCH_ROWS changes it.
func benchRows(t testing.TB) int {
	t.Helper()
	text := os.Getenv("ARCHIVE_BENCH_ROWS")
	if text == "" {
		return 50_000
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

const (
	bigTable   = `CREATE TABLE events (id bigint PRIMARY KEY, kind text NOT NULL, at timestamptz NOT NULL, amount numeric(12,2), payload jsonb, ref uuid);`
	bigShared  = `CREATE TABLE events (tenant_id text NOT NULL, id bigint, kind text NOT NULL, at timestamptz NOT NULL, amount numeric(12,2), payload jsonb, ref uuid, PRIMARY KEY (tenant_id, id));`
	bigSQLite  = `CREATE TABLE events (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, at TIMESTAMP NOT NULL, amount NUMERIC_TEXT, payload JSON_TEXT, ref UUID_TEXT);`
	fillEvents = `INSERT INTO events (id, kind, at, amount, payload, ref) SELECT n, 'kind ' || n % 7, timestamptz '2026-01-01' + n * interval '1 second',
		n / 100.0, jsonb_build_object('n', n, 'text', 'some words about it'), md5(n::text)::uuid FROM generate_series(1, $1::int) n`
)

func bigFiles() files { return tablesOf(bigShared, bigTable, bigSQLite) }

// big is a place with many rows of acme.
func big(b testing.TB, kind string, rows int) *place {
	b.Helper()
	p := placeOf(b, kind, bigFiles())
	require.NoError(b, p.strategy.Provision(b.Context(), acme))
	p.exec(b, acme, fillEvents, rows)
	return p
}

// counter counts bytes and watches the heap.
type counter struct {
	bytes, next int64
	heap        uint64
}

func (c *counter) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	if c.bytes >= c.next {
		c.next += 256 << 10
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		c.heap = max(c.heap, m.HeapAlloc)
	}
	return len(p), nil
}

// TestMemoryIsFlat exports a tenant and one five times as large, and wants the same
// memory. The smaller one fills the compressor's window already.
func TestMemoryIsFlat(t *testing.T) {
	var heaps []uint64
	for _, rows := range []int{20_000, 100_000} {
		p := big(t, "schema", rows)
		var c counter
		_, err := p.archiver(t).Export(t.Context(), acme, &c)
		require.NoError(t, err)
		require.NotZero(t, c.heap)
		heaps = append(heaps, c.heap)
	}
	assert.Less(t, heaps[1], heaps[0]+8<<20, "bytes of heap for 20,000 rows and for 100,000: %v", heaps)
}

func BenchmarkExport(b *testing.B) {
	rows := benchRows(b)
	p := big(b, "schema", rows)
	a := p.archiver(b)
	var c counter
	start := time.Now()
	for b.Loop() {
		c = counter{next: 1 << 62}
		_, err := a.Export(b.Context(), acme, &c)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(rows*b.N)/time.Since(start).Seconds(), "rows/s")
	b.ReportMetric(float64(c.bytes)/float64(rows), "bytes/row")
}

// BenchmarkExportHeap reports the largest heap that was in use.
func BenchmarkExportHeap(b *testing.B) {
	p := big(b, "schema", benchRows(b))
	a := p.archiver(b)
	for b.Loop() {
		var c counter
		_, err := a.Export(b.Context(), acme, &c)
		require.NoError(b, err)
		b.ReportMetric(float64(c.heap)/(1<<20), "heap-MB")
	}
}

// BenchmarkPgDump is what PostgreSQL's own tool takes for the same rows: in its
// compressed format, and as plain text.
func BenchmarkPgDump(b *testing.B) {
	rows := benchRows(b)
	p := big(b, "schema", rows)
	for name, format := range map[string]string{"custom": "-Fc", "plain": "-Fp"} {
		b.Run(name, func(b *testing.B) {
			start := time.Now()
			for b.Loop() {
				cmd := exec.CommandContext(b.Context(), pgDump(b), format, "--data-only", "--schema=t_acme", p.url)
				cmd.Stdout, cmd.Stderr = io.Discard, os.Stderr
				require.NoError(b, cmd.Run())
			}
			b.ReportMetric(float64(rows*b.N)/time.Since(start).Seconds(), "rows/s")
		})
	}
}

// pgDump finds the program where pgtest finds the server.
func pgDump(b testing.TB) string {
	b.Helper()
	if path, err := exec.LookPath("pg_dump"); err == nil {
		return path
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
	require.NoError(b, err)
	require.NotEmpty(b, found, "pg_dump is not installed")
	return found[len(found)-1]
}

func BenchmarkRestore(b *testing.B) {
	rows := benchRows(b)
	var file bytes.Buffer
	_, err := big(b, "schema", rows).archiver(b).Export(b.Context(), acme, &file)
	require.NoError(b, err)
	for _, kind := range kinds {
		b.Run(kind, func(b *testing.B) {
			a := placeOf(b, kind, bigFiles()).archiver(b)
			start := time.Now()
			for b.Loop() {
				_, err := a.Restore(b.Context(), acme, bytes.NewReader(file.Bytes()), archive.Replace())
				require.NoError(b, err)
			}
			b.ReportMetric(float64(rows*b.N)/time.Since(start).Seconds(), "rows/s")
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	rows := benchRows(b)
	var file bytes.Buffer
	_, err := big(b, "schema", rows).archiver(b).Export(b.Context(), acme, &file)
	require.NoError(b, err)
	start := time.Now()
	for b.Loop() {
		_, err := archive.Verify(b.Context(), bytes.NewReader(file.Bytes()), nil)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(rows*b.N)/time.Since(start).Seconds(), "rows/s")
}

// BenchmarkMove moves a tenant that writes, and reports how long it could not.
func BenchmarkMove(b *testing.B) {
	rows := benchRows(b)
	for _, way := range [][2]string{{"row", "schema"}, {"schema", "database"}, {"database", "sqlite"}} {
		b.Run(way[0]+"-"+way[1], func(b *testing.B) {
			w := worldOf(b, map[string]string{way[0]: way[0], way[1]: way[1]}, bigFiles())
			for b.Loop() {
				require.NoError(b, w.places[way[0]].strategy.Provision(b.Context(), acme))
				w.places[way[0]].exec(b, acme, fillEvents, rows)
				w.placements.put(b, acme, way[0])
				stop, done := make(chan struct{}), make(chan error, 1)
				go func() { done <- w.touch(acme, stop) }()
				mover := w.mover(b, archive.Grace(0))
				start := time.Now()
				r, err := mover.Move(b.Context(), acme, way[1])
				require.NoError(b, err)
				took := time.Since(start)
				close(stop)
				require.NoError(b, <-done)
				_, err = mover.Finish(b.Context(), acme)
				require.NoError(b, err)
				require.NoError(b, w.places[way[1]].strategy.Deprovision(b.Context(), acme))
				b.ReportMetric(float64(r.Frozen.Milliseconds()), "frozen-ms")
				b.ReportMetric(float64(rows)/took.Seconds(), "rows/s")
			}
		})
	}
}
