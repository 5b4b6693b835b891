package sqlitefile_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/tenancy-go/tenancy/tenant"
)

// BenchmarkProvision makes a home by copying the template, on disk when done.
func BenchmarkProvision(b *testing.B) {
	s, _ := open(b)
	provision(b, s, acme)
	for i := 0; b.Loop(); i++ {
		if err := s.Provision(b.Context(), tenant.Tenant{ID: tenant.ID(fmt.Sprint("t", i))}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen opens a home, selects a row and closes it.
func BenchmarkOpen(b *testing.B) {
	s, _ := open(b)
	provision(b, s, acme)
	place, err := s.Place(b.Context(), acme)
	require.NoError(b, err)
	for b.Loop() {
		db := sql.OpenDB(place.Connector)
		if err := db.QueryRowContext(b.Context(), `SELECT count(*) FROM customer`).Scan(new(int)); err != nil {
			b.Fatal(err)
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPointSelect compares a select by key on a plain *sql.DB, on one of the
// strategy's connections without a pool, and through the pool.
func BenchmarkPointSelect(b *testing.B) {
	s, dir := open(b)
	provision(b, s, acme)
	pooledDB, _ := pooled(b, s)
	ctx := in(b, acme)
	_, err := pooledDB.ExecContext(ctx, `INSERT INTO customer (name)
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT printf('name %d', i) FROM n`)
	require.NoError(b, err)
	plain, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "t-acme.db")+"?mode=rw&_busy_timeout=5000&_foreign_keys=1")
	require.NoError(b, err)
	defer func() { require.NoError(b, plain.Close()) }()
	place, err := s.Place(b.Context(), acme)
	require.NoError(b, err)
	confined := sql.OpenDB(place.Connector)
	defer func() { require.NoError(b, confined.Close()) }()

	const query = `SELECT name FROM customer WHERE id = ?`
	dbs := map[string]*sql.DB{"plain": plain, "confined": confined, "pool": pooledDB}
	for _, name := range []string{"plain", "confined", "pool"} {
		db := dbs[name]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var text string
			for i := 0; b.Loop(); i++ {
				if err := db.QueryRowContext(ctx, query, i%1000+1).Scan(&text); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+" prepared", func(b *testing.B) {
			b.ReportAllocs()
			stmt, err := db.PrepareContext(ctx, query)
			require.NoError(b, err)
			defer func() { require.NoError(b, stmt.Close()) }()
			var text string
			for i := 0; b.Loop(); i++ {
				if err := stmt.QueryRowContext(ctx, i%1000+1).Scan(&text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPlace is what every request pays before it has a connection.
func BenchmarkPlace(b *testing.B) {
	s, _ := open(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Place(b.Context(), acme); err != nil {
			b.Fatal(err)
		}
	}
}
