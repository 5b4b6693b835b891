package row_test

import (
	"context"
	"database/sql"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/tenant"
)

// acmeIsSlow has limits for acme alone.
func acmeIsSlow(_ context.Context, t tenant.Tenant) (isolation.Limits, error) {
	if t.ID == acme.ID {
		return isolation.Limits{StatementTimeout: 4321 * time.Millisecond, WorkMem: 5 << 20}, nil
	}
	return isolation.Limits{}, nil
}

// limited returns s as a *sql.DB of one connection, on which acmeIsSlow.
func limited(t testing.TB, s *row.Strategy) *sql.DB {
	t.Helper()
	pool, err := isolation.New(s, isolation.MaxConns(1), isolation.LimitsBy(acmeIsSlow))
	require.NoError(t, err)
	db := sql.OpenDB(pool)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

// timeout returns the statement_timeout of a tenant's session.
func timeout(t testing.TB, db *sql.DB, who tenant.Tenant) string {
	t.Helper()
	var found string
	require.NoError(t, db.QueryRowContext(tenant.NewContext(t.Context(), who), `SELECT current_setting('statement_timeout')`).Scan(&found))
	return found
}

var allModes = []struct {
	name string
	mode func(testing.TB) row.Option
}{
	{"plain", func(testing.TB) row.Option { return row.Plain() }},
	{"sealed", func(t testing.TB) row.Option { return row.Sealed(newKey(t, "k1")) }},
	{"signed", func(t testing.TB) row.Option { return row.Signed(newKey(t, "k1")) }},
}

// Where lib/pq has TLS to itself, no tenant rides with a statement.
func TestLimitsWithoutARide(t *testing.T) {
	t.Parallel()
	for _, m := range allModes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			f := open(t, tables)
			f.runtime = f.connector(t, strings.Replace(f.db.As(f.role, password), "sslmode=disable", "sslmode=allow", 1))
			db := limited(t, f.installed(t, m.mode(t)))
			for range 2 {
				assert.Equal(t, "4321ms", timeout(t, db, acme))
				assert.Equal(t, "0", timeout(t, db, globex))
			}
		})
	}
}

// countingConn counts flights to the server.
type countingConn struct {
	net.Conn
	flights *atomic.Int64
}

func (c countingConn) Write(b []byte) (int, error) {
	c.flights.Add(1)
	return c.Conn.Write(b)
}

// TestLimitsTakeNoRoundTrip counts flights of a tenant that comes to a connection.
func TestLimitsTakeNoRoundTrip(t *testing.T) {
	t.Parallel()
	for _, m := range allModes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			f := open(t, tables)
			var flights atomic.Int64
			var err error
			f.runtime, err = postgres.NewConnector(f.db.As(f.role, password), postgres.Dial(func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, address)
				return countingConn{conn, &flights}, err
			}))
			require.NoError(t, err)
			db := limited(t, f.installed(t, m.mode(t)))
			require.Equal(t, "0", timeout(t, db, globex))
			for range 3 {
				before := flights.Load()
				require.Equal(t, "4321ms", timeout(t, db, acme))
				assert.Equal(t, int64(1), flights.Load()-before, "tenant, limits and query together")
				require.Equal(t, "0", timeout(t, db, globex))
			}
		})
	}
}

// TestWhatInjectedSQLDoesToLimits holds what docs/threat-model.md says.
func TestWhatInjectedSQLDoesToLimits(t *testing.T) {
	t.Parallel()
	const lift = `SELECT set_config('statement_timeout', '0', false)`
	for _, m := range allModes {
		for _, hardened := range []bool{false, true} {
			name, opts := m.name, []row.Option{}
			if hardened && m.name == "plain" {
				continue // it confines by set_config itself
			}
			if hardened {
				name, opts = name+", hardened", []row.Option{row.Harden()}
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := open(t, tables)
				db := limited(t, f.installed(t, append(opts, m.mode(t))...))
				require.Equal(t, "4321ms", timeout(t, db, acme))
				ctx := tenant.NewContext(t.Context(), acme)
				_, err := db.ExecContext(ctx, lift)
				if hardened {
					require.ErrorContains(t, err, "permission denied")
					assert.Equal(t, "4321ms", timeout(t, db, acme))
				} else {
					require.NoError(t, err)
					assert.Equal(t, "0", timeout(t, db, acme), "until the connection is confined again")
				}
				_, err = db.ExecContext(ctx, `SET statement_timeout = 0`)
				require.ErrorIs(t, err, isolation.ErrControl)
				if name == "signed, hardened" {
					_, err = db.ExecContext(ctx, `SELECT tenancy.keep(token) FROM (SELECT current_setting('tenancy.token') AS token, tenancy.clear() OFFSET 0) AS own`)
					require.NoError(t, err)
					assert.Equal(t, "0", timeout(t, db, acme), "it has cleared the session, and given itself its own token again")
				}
				if name == "sealed, hardened" {
					_, err = db.ExecContext(ctx, `SELECT tenancy.clear()`)
					require.NoError(t, err)
					_, err = db.ExecContext(ctx, `SELECT title FROM orders`)
					require.Error(t, err, "a session that was cleared has no tenant")
				}
				assert.Equal(t, "0", timeout(t, db, globex))
				assert.Equal(t, "4321ms", timeout(t, db, acme))
			})
		}
	}
}

// Behind a pooler, others than this module's tenants may get the session next.
func TestLimitsStayOffAPoolersSession(t *testing.T) {
	t.Parallel()
	for _, m := range allModes {
		if m.name == "sealed" {
			continue // has sessions of its own
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			f := open(t, tables)
			bouncer := f.db.Bouncer(t, "transaction", 1, f.role, password)
			var err error
			f.runtime, err = postgres.NewConnector(bouncer.URL(), postgres.BehindPooler())
			require.NoError(t, err)
			db := limited(t, f.installed(t, m.mode(t), row.TransactionScoped()))
			other, err := sql.Open("postgres", bouncer.URL())
			require.NoError(t, err)
			defer other.Close()
			for range 2 {
				require.Equal(t, "4321ms", timeout(t, db, acme))
				var found string
				require.NoError(t, other.QueryRowContext(t.Context(), `SHOW statement_timeout`).Scan(&found))
				assert.Equal(t, "0", found)
			}
		})
	}
}

func TestHardenedTransactionsCannotBeLimited(t *testing.T) {
	t.Parallel()
	connector, err := postgres.NewConnector("postgres://app@localhost/saas", postgres.BehindPooler())
	require.NoError(t, err)
	s, err := row.New(connector, row.Signed(newKey(t, "k1")), row.TransactionScoped(), row.Harden())
	require.NoError(t, err)
	_, err = isolation.New(s, isolation.LimitsBy(acmeIsSlow))
	require.ErrorIs(t, err, isolation.ErrNoLimiter)
	require.ErrorContains(t, err, "Harden")
	_, err = isolation.New(s)
	require.NoError(t, err)
}

// BenchmarkLimits compares passing a connection from tenant to tenant with limits and
// without, and a tenant that stays.
func BenchmarkLimits(b *testing.B) {
	f := open(b, benchTable)
	s := f.installed(b)
	limits := isolation.Limits{StatementTimeout: 30 * time.Second, LockTimeout: 5 * time.Second, IdleTimeout: time.Minute, WorkMem: 8 << 20}
	tenants := [2]context.Context{
		tenant.NewContext(b.Context(), tenant.Tenant{ID: "t1"}),
		tenant.NewContext(b.Context(), tenant.Tenant{ID: "t2"}),
	}
	for _, bench := range []struct {
		name  string
		among int
		opts  []isolation.Option
	}{
		{"same tenant", 1, nil},
		{"same tenant, limits", 1, []isolation.Option{isolation.LimitsBy(func(context.Context, tenant.Tenant) (isolation.Limits, error) { return limits, nil })}},
		{"another tenant each time", 2, nil},
		{"another tenant each time, limits", 2, []isolation.Option{isolation.LimitsBy(func(context.Context, tenant.Tenant) (isolation.Limits, error) { return limits, nil })}},
	} {
		pool, err := isolation.New(s, append(bench.opts, isolation.MaxConns(1))...)
		require.NoError(b, err)
		db := sql.OpenDB(pool)
		b.Run(bench.name, func(b *testing.B) {
			var title string
			for i := 0; b.Loop(); i++ {
				require.NoError(b, db.QueryRowContext(tenants[i%bench.among], `SELECT title FROM orders WHERE id = $1`, 7).Scan(&title))
			}
		})
		require.NoError(b, db.Close())
	}
}
