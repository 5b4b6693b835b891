package row_test

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/tenant"
)

// BenchmarkModes compares the modes with queries that name the tenant themselves, on a
// table without row security. In each round every way runs in turn, so that what else the
// machine does falls on all alike.
func BenchmarkModes(b *testing.B) {
	for _, kind := range []struct{ column, one, two string }{
		{"text", "tenant-000001", "tenant-000002"},
		{"uuid", "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"},
	} {
		ones, twos := tenant.Tenant{ID: tenant.ID(kind.one)}, tenant.Tenant{ID: tenant.ID(kind.two)}
		key := newKey(b, "k1")
		where, prepared := whereWorld(b, kind.column)
		worlds := []struct {
			name string
			db   *sql.DB
		}{
			{"plain", scopedWorld(b, kind.column, row.Plain())},
			{"sealed", scopedWorld(b, kind.column, row.Sealed(key))},
			{"signed", scopedWorld(b, kind.column, row.Signed(key))},
		}
		var title string
		byHand := func(i int) error {
			return where.QueryRowContext(b.Context(), `SELECT title FROM orders WHERE tenant_id = $1 AND id = $2`, kind.one, i%100).Scan(&title)
		}
		read := []way{{"where", byHand}, {"where-prepared", func(i int) error {
			return prepared.QueryRowContext(b.Context(), kind.one, i%100).Scan(&title)
		}}}
		turns := []way{{"where", byHand}}
		insert := []way{{"where", func(i int) error {
			_, err := where.ExecContext(b.Context(), `INSERT INTO orders (tenant_id, id) VALUES ($1, $2) ON CONFLICT (tenant_id, id) DO UPDATE SET title = 'title'`, kind.one, i%100)
			return err
		}}}
		for _, w := range worlds {
			byTenant := func(ctx context.Context, i int) error {
				return w.db.QueryRowContext(ctx, `SELECT title FROM orders WHERE id = $1`, i%100).Scan(&title)
			}
			one, two := tenant.NewContext(b.Context(), ones), tenant.NewContext(b.Context(), twos)
			read = append(read, way{w.name, func(i int) error { return byTenant(one, i) }})
			turns = append(turns, way{w.name, func(i int) error { return byTenant([]context.Context{one, two}[i%2], i) }})
			insert = append(insert, way{w.name, func(i int) error {
				_, err := w.db.ExecContext(one, `INSERT INTO orders (id) VALUES ($1) ON CONFLICT (tenant_id, id) DO UPDATE SET title = 'title'`, i%100)
				return err
			}})
		}
		b.Run(kind.column+"/read", func(b *testing.B) { compare(b, read) })
		b.Run(kind.column+"/upsert", func(b *testing.B) { compare(b, insert) })
		b.Run(kind.column+"/read, another tenant each time", func(b *testing.B) { compare(b, turns) })
	}
}

// BenchmarkCurrentTenant is what a policy's question costs the server, once in a statement
// for each table.
func BenchmarkCurrentTenant(b *testing.B) {
	const calls = 50 // few, so that it ends before the machine turns to something else
	key := newKey(b, "k1")
	for _, m := range []struct {
		name string
		mode row.Option
	}{{"plain", row.Plain()}, {"sealed", row.Sealed(key)}, {"signed", row.Signed(key)}} {
		f := open(b, tables)
		s := f.installed(b, m.mode)
		c := newSession(b, s)
		for _, id := range []tenant.ID{"acme", "a-tenant-whose-name-is-rather-long", "00000000-0000-4000-8000-000000000001"} {
			b.Run(m.name+"/"+id.String(), func(b *testing.B) {
				c.confine(s, tenant.Tenant{ID: id})
				var took []float64
				for b.Loop() {
					start := time.Now()
					c.must(`SELECT count(tenancy.current_tenant()) FROM generate_series(1, 50)`)
					took = append(took, float64(time.Since(start).Nanoseconds())/1000/calls)
				}
				b.ReportMetric(tenth(took), "µs/call")
			})
		}
	}
}

const modesTable = `CREATE TABLE orders (tenant_id $type NOT NULL, id int, title text, PRIMARY KEY (tenant_id, id));
	INSERT INTO orders SELECT t::$type, g, 'title' FROM generate_series(0, 99) g,
		(SELECT 'tenant-' || lpad(n::text, 6, '0') FROM generate_series(1, 100) n WHERE '$type' = 'text'
		UNION ALL SELECT '00000000-0000-4000-8000-' || lpad(n::text, 12, '0') FROM generate_series(1, 100) n WHERE '$type' = 'uuid') v(t); ANALYZE orders`

// whereWorld is a database without row security.
func whereWorld(b *testing.B, kind string) (*sql.DB, *sql.Stmt) {
	b.Helper()
	f := open(b, replaceType(modesTable, kind)+`; GRANT ALL ON orders TO $app`)
	db := sql.OpenDB(f.runtime)
	db.SetMaxOpenConns(1)
	b.Cleanup(func() { _ = db.Close() })
	prepared, err := db.PrepareContext(b.Context(), `SELECT title FROM orders WHERE tenant_id = $1 AND id = $2`)
	require.NoError(b, err)
	return db, prepared
}

// scopedWorld is a pool of one connection.
func scopedWorld(b *testing.B, kind string, mode row.Option) *sql.DB {
	b.Helper()
	f := open(b, replaceType(modesTable, kind))
	pool, err := isolation.New(f.installed(b, mode), isolation.MaxConns(1))
	require.NoError(b, err)
	db := sql.OpenDB(pool)
	b.Cleanup(func() { _ = db.Close() })
	return db
}

func replaceType(ddl, kind string) string { return strings.ReplaceAll(ddl, "$type", kind) }

// way is one way to do the same work. The first of a list is what the others are
// compared with.
type way struct {
	name string
	do   func(i int) error
}

// perRound is how often each way runs in a round.
const perRound = 50

// compare reports the tenth percentile of the first way's times, and the other ways'
// divided by it: what the machine does besides lengthens the slow runs, not the quick ones.
func compare(b *testing.B, ways []way) {
	b.Helper()
	took := make([][]float64, len(ways))
	for round := 0; b.Loop(); round++ {
		for turn := range ways {
			w := (round + turn) % len(ways)
			for i := range perRound {
				start := time.Now()
				require.NoError(b, ways[w].do(i))
				took[w] = append(took[w], float64(time.Since(start).Nanoseconds())/1000)
			}
		}
	}
	base := tenth(took[0])
	b.ReportMetric(base, "µs/"+ways[0].name)
	for w := range ways[1:] {
		b.ReportMetric(tenth(took[w+1])/base, "x/"+ways[w+1].name)
	}
}

func tenth(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/10]
}
