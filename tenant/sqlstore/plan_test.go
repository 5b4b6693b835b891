package sqlstore

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/tenant"
)

// Numbers of tenants: the long list of the design, and what SQLite takes in a
// moment under the race detector; its plans do not depend on the number.
const (
	manyTenants = 100_000
	someTenants = 5_000
)

// fill adds many tenants in one statement.
var fill = map[Dialect]string{
	Postgres: "WITH n AS (SELECT i FROM generate_series(1, %d) i) ",
	SQLite:   "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) ",
}

var at = map[Dialect]string{
	Postgres: "timestamptz '2026-01-01' + i * interval '1 millisecond'",
	SQLite:   "1767225600000000 + i * 1000",
}

// filled returns a store of n tenants, t-1 to t-n.
func filled(t testing.TB, dialect Dialect, n int) *Store {
	t.Helper()
	driver, dsn := "sqlite", "file:"+filepath.Join(t.TempDir(), "tenants.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)"
	if dialect == Postgres {
		driver, dsn = "postgres", pgtest.Open(t).URL()
	}
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	s, err := New(db, dialect)
	require.NoError(t, err)
	require.NoError(t, s.Migrate(t.Context()))
	values := "SELECT 't-' || i, 's-' || (i * 7919 % 100003), 'Name ' || (i % 5000), '', '', '', 'pro', 'active', 'eu', '', '{}', 1, " +
		at[dialect] + ", " + at[dialect] + ", NULL FROM n"
	insert := "INSERT INTO tenancy_tenants (" + strings.Join(columns, ", ") + ") "
	query := fmt.Sprintf(fill[dialect], n) + insert + strings.ReplaceAll(values, "'{}'", map[Dialect]string{Postgres: "'{}'::jsonb", SQLite: "'{}'"}[dialect])
	if dialect == SQLite {
		query = insert + fmt.Sprintf(fill[dialect], n) + values
	}
	_, err = db.ExecContext(t.Context(), query)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "ANALYZE tenancy_tenants")
	require.NoError(t, err)
	return s
}

// deep returns the query for the page after the tenant numbered middle.
func deep(t testing.TB, s *Store, middle int, sort tenant.Sort, desc bool) (string, []any) {
	t.Helper()
	q, _, err := tenant.Query{Sort: sort, Desc: desc, Limit: 50}.Check()
	require.NoError(t, err)
	last, err := s.Find(t.Context(), tenant.ByID(tenant.ID(fmt.Sprintf("t-%d", middle))))
	require.NoError(t, err)
	query, args, err := s.listQuery(q, q.Position(last))
	require.NoError(t, err)
	return query, args
}

// plan returns how the database runs the query.
func plan(t testing.TB, s *Store, query string, args []any) string {
	t.Helper()
	explain := "EXPLAIN "
	if s.dialect == SQLite {
		explain = "EXPLAIN QUERY PLAN "
	}
	rows, err := s.db.QueryxContext(t.Context(), explain+query, args...)
	require.NoError(t, err)
	defer func() { assert.NoError(t, rows.Close()) }()
	var lines []string
	for rows.Next() {
		values, err := rows.SliceScan()
		require.NoError(t, err)
		lines = append(lines, fmt.Sprintf("%s", values[len(values)-1]))
	}
	require.NoError(t, rows.Err())
	return strings.Join(lines, "\n")
}

var indexes = map[tenant.Sort]string{
	tenant.SortID:      "tenancy_tenants_pkey",
	tenant.SortSlug:    "tenancy_tenants_slug",
	tenant.SortName:    "tenancy_tenants_name",
	tenant.SortCreated: "tenancy_tenants_created",
	tenant.SortUpdated: "tenancy_tenants_updated",
}

// A page deep in a long list is a range of an index, without a sort.
func TestDeepPagesUseAnIndex(t *testing.T) {
	t.Parallel()
	for _, dialect := range []Dialect{Postgres, SQLite} {
		t.Run(dialect.String(), func(t *testing.T) {
			t.Parallel()
			n := map[Dialect]int{Postgres: manyTenants, SQLite: someTenants}[dialect]
			s := filled(t, dialect, n)
			for sort, index := range indexes {
				for _, desc := range []bool{false, true} {
					query, args := deep(t, s, n/2, sort, desc)
					got := plan(t, s, query, args)
					if dialect == SQLite {
						want := index
						if sort == tenant.SortID {
							want = "sqlite_autoindex_tenancy_tenants_1"
						}
						assert.Contains(t, got, "SEARCH t USING INDEX "+want)
						assert.NotContains(t, got, "TEMP B-TREE FOR ORDER BY")
						continue
					}
					assert.Regexp(t, `Index Scan (Backward )?using `+index, got)
					assert.Contains(t, got, "Index Cond")
					assert.NotContains(t, got, "Sort")
					assert.NotContains(t, got, "Seq Scan on tenancy_tenants")
				}
			}
		})
	}
}

// Every tenant of a long list comes once, ties and all.
func TestListReadsEveryPageOfALongList(t *testing.T) {
	t.Parallel()
	s := filled(t, SQLite, someTenants)
	q := tenant.Query{Sort: tenant.SortName, Limit: 300}
	ids := make([]string, 0, someTenants)
	for {
		page, err := s.List(t.Context(), q)
		require.NoError(t, err)
		for _, found := range page.Tenants {
			ids = append(ids, string(found.ID))
		}
		if page.Next == "" {
			break
		}
		q.Cursor = page.Next
	}
	require.Len(t, ids, someTenants)
	slices.Sort(ids)
	assert.Len(t, slices.Compact(ids), someTenants)
}

func BenchmarkListDeepPage(b *testing.B) {
	for _, dialect := range []Dialect{Postgres, SQLite} {
		s := filled(b, dialect, manyTenants)
		queries := map[string]tenant.Query{
			"first page": {Sort: tenant.SortName, Limit: 50},
			"page 1000":  {Sort: tenant.SortName, Limit: 50, Cursor: deepCursor(b, s)},
			"search":     {Sort: tenant.SortName, Limit: 50, Search: "name 4999"},
		}
		for name, q := range queries {
			b.Run(dialect.String()+"/"+name, func(b *testing.B) {
				for b.Loop() {
					_, err := s.List(b.Context(), q)
					require.NoError(b, err)
				}
			})
		}
	}
}

func deepCursor(b *testing.B, s *Store) string {
	b.Helper()
	middle, err := s.Find(b.Context(), tenant.ByID("t-50000"))
	require.NoError(b, err)
	q, _, err := tenant.Query{Sort: tenant.SortName, Limit: 1}.Check()
	require.NoError(b, err)
	return q.Page([]tenant.Tenant{middle, middle}).Next
}

func BenchmarkFind(b *testing.B) {
	for _, dialect := range []Dialect{Postgres, SQLite} {
		s := filled(b, dialect, manyTenants)
		b.Run(dialect.String(), func(b *testing.B) {
			for b.Loop() {
				_, err := s.Find(b.Context(), tenant.ByID("t-50000"))
				require.NoError(b, err)
			}
		})
	}
}
