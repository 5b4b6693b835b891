package row_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/tenant"
)

const benchTable = `CREATE TABLE orders (tenant_id text NOT NULL, id int, title text, PRIMARY KEY (tenant_id, id));
	INSERT INTO orders SELECT 't' || g / 100, g % 100, 'title' FROM generate_series(0, 9999) g; ANALYZE orders`

// BenchmarkConfine compares what a connection's passing to another tenant costs
// with the smallest query.
func BenchmarkConfine(b *testing.B) {
	f := open(b, benchTable)
	s := f.installed(b)
	c := newSession(b, s)
	b.Run("select 1", func(b *testing.B) {
		for b.Loop() {
			c.must(`SELECT 1`)
		}
	})
	b.Run("confine", func(b *testing.B) {
		for b.Loop() {
			c.confine(s, acme)
		}
	})
}

// BenchmarkRead compares a point read through the pool with one that names the
// tenant itself on a table without row security.
func BenchmarkRead(b *testing.B) {
	f := open(b, benchTable+`; CREATE TABLE plain AS SELECT tenant_id AS tenant, id, title FROM orders; ALTER TABLE plain ADD PRIMARY KEY (tenant, id); GRANT SELECT ON plain TO $app`)
	s := f.installed(b, row.Tables("orders"))
	plain := sql.OpenDB(f.runtime)
	defer plain.Close()
	pool, err := isolation.New(s)
	require.NoError(b, err)
	scoped := sql.OpenDB(pool)
	defer scoped.Close()
	tenants := [2]tenant.Tenant{{ID: "t1"}, {ID: "t2"}}
	var title string
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, plain.QueryRowContext(b.Context(), `SELECT title FROM plain WHERE tenant = $1 AND id = $2`, "t1", 7).Scan(&title))
		}
	})
	b.Run("scoped", func(b *testing.B) {
		ctx := tenant.NewContext(b.Context(), tenants[0])
		for b.Loop() {
			require.NoError(b, scoped.QueryRowContext(ctx, `SELECT title FROM orders WHERE id = $1`, 7).Scan(&title))
		}
	})
	one, err := isolation.New(s, isolation.MaxConns(1))
	require.NoError(b, err)
	alternating := sql.OpenDB(one)
	defer alternating.Close()
	b.Run("scoped, another tenant each time", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			ctx := tenant.NewContext(b.Context(), tenants[i%2])
			require.NoError(b, alternating.QueryRowContext(ctx, `SELECT title FROM orders WHERE id = $1`, 7).Scan(&title))
		}
	})
}

// BenchmarkConnect compares a connection of tenants with an unchecked one.
func BenchmarkConnect(b *testing.B) {
	f := open(b, benchTable)
	place, err := f.installed(b).Place(b.Context(), acme)
	require.NoError(b, err)
	b.Run("unchecked", func(b *testing.B) {
		for b.Loop() {
			conn, err := f.runtime.Connect(b.Context())
			require.NoError(b, err)
			require.NoError(b, conn.Close())
		}
	})
	b.Run("checked", func(b *testing.B) {
		for b.Loop() {
			conn, err := place.Connector.Connect(b.Context())
			require.NoError(b, err)
			require.NoError(b, conn.Close())
		}
	})
}
