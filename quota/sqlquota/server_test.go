package sqlquota_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/sqlquota"
	"github.com/tenancy-go/tenancy/tenant"
)

// A server that is killed forgets nothing it has answered, and what it has not counts
// once when it is asked again.
func TestKilledMidway(t *testing.T) {
	t.Parallel()
	server := pgtest.Private(t)
	dsn := server.Open(t).URL()
	store := newStore(t, open(t, "postgres", dsn), sqlquota.Postgres)
	c := rate("requests", daily(1e6))
	var unknown sync.Map
	var answered atomic.Int64
	var group sync.WaitGroup
	many := make(chan struct{})
	for range 8 {
		group.Go(func() {
			for {
				request := taking("acme", quota.Charge{Counter: c, N: 1})
				if _, err := store.Take(t.Context(), request); err != nil {
					assert.ErrorIs(t, err, quota.ErrUnavailable)
					unknown.Store(request.ID, request)
					return
				}
				if answered.Add(1) == 100 {
					close(many)
				}
			}
		})
	}
	<-many
	server.Kill()
	group.Wait()
	server.Start()
	fresh := newStore(t, open(t, "postgres", dsn), sqlquota.Postgres)
	want := answered.Load()
	unknown.Range(func(_, request any) bool {
		taken, err := fresh.Take(t.Context(), request.(quota.Taking))
		require.NoError(t, err)
		assert.True(t, taken.OK)
		want++
		return true
	})
	assert.Equal(t, want, used(t, fresh, "acme", c))
}

// lossy is a proxy before a server, which loses answers when it is told to: it lets the
// request through, waits for the answer and closes the connection in its place.
type lossy struct {
	net.Listener
	server string
	lose   atomic.Int64 // so many answers
	lost   atomic.Int64
}

func newLossy(t *testing.T, server string) *lossy {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &lossy{Listener: listener, server: server}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() { l.serve(context.WithoutCancel(t.Context()), conn) })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); group.Wait() })
	return l
}

func (l *lossy) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.server)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	buffer := make([]byte, 1<<16)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return
		}
		if l.lose.Load() > 0 && l.lose.Add(-1) >= 0 {
			l.lost.Add(1)
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// behind returns the URL of a database by way of another address.
func behind(t *testing.T, dsn, addr string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	u.Host = addr
	return u.String()
}

// A lost answer is asked for again, and what it answers counts once.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	database := pgtest.Open(t)
	direct := newStore(t, open(t, "postgres", database.URL()), sqlquota.Postgres)
	proxy := newLossy(t, database.Server.Addr())
	store := newStore(t, open(t, "postgres", behind(t, database.URL(), proxy.Addr().String())), sqlquota.Postgres)
	c := rate("requests", daily(1e6))
	for i := range int64(20) {
		request := taking("acme", quota.Charge{Counter: c, N: 1})
		proxy.lose.Store(1)
		taken, err := store.Take(t.Context(), request)
		require.NoError(t, err)
		require.True(t, taken.OK)
		require.Equal(t, i+1, proxy.lost.Load())
		require.Equal(t, i+1, used(t, direct, "acme", c))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := store.Take(ctx, taking("acme", quota.Charge{Counter: c, N: 1}))
	require.ErrorIs(t, err, context.Canceled)
	proxy.lose.Store(1000) // each time
	_, err = store.Take(t.Context(), taking("acme", quota.Charge{Counter: c, N: 1}))
	require.ErrorIs(t, err, quota.ErrUnavailable)
}

// A role that may read and write the tables, and no more, suffices: also where functions
// are for nobody by default, and with a search path that has traps before the schema.
func TestRuntimeRole(t *testing.T) {
	t.Parallel()
	database := pgtest.Open(t)
	owner := open(t, "postgres", database.URL())
	exec := func(query string) {
		t.Helper()
		_, err := owner.ExecContext(t.Context(), query)
		require.NoError(t, err)
	}
	role := pgtest.Name(t, "runtime")
	exec("CREATE ROLE " + role + " LOGIN PASSWORD 'secret'")
	t.Cleanup(func() {
		_, err := owner.ExecContext(context.WithoutCancel(t.Context()), "DROP OWNED BY "+role+"; DROP ROLE "+role)
		assert.NoError(t, err)
	})
	exec("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
	newStore(t, owner, sqlquota.Postgres)
	exec("GRANT SELECT, INSERT, UPDATE, DELETE ON tenancy_quota_counters, tenancy_quota_answers, tenancy_quota_catalogs, tenancy_quota_overrides TO " + role)
	exec("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO " + role)
	exec("CREATE SCHEMA traps; CREATE TABLE traps.tenancy_quota_counters (tenant text); GRANT USAGE ON SCHEMA traps TO " + role)
	exec("ALTER ROLE " + role + " SET search_path = traps, public")

	db := open(t, "postgres", database.As(role, "secret"))
	store, err := sqlquota.New(db, sqlquota.Postgres)
	require.NoError(t, err)
	c, held := rate("requests", daily(5)), holding(quota.Concurrent, "held", 5)
	taken, err := store.Take(t.Context(), taking("acme", quota.Charge{Counter: c, N: 1}, quota.Charge{Counter: held, N: 1}))
	require.NoError(t, err)
	assert.True(t, taken.OK)
	require.NoError(t, store.Renew(t.Context(), "process-1", 1e9, []quota.Held{{Tenant: "acme", Counter: held, N: 2}}))
	assert.EqualValues(t, 1, used(t, store, "acme", c))
	_, err = store.Prune(t.Context(), 10)
	require.NoError(t, err)
	source, err := sqlquota.NewSource(db, sqlquota.Postgres)
	require.NoError(t, err)
	require.NoError(t, source.SetCatalog(t.Context(), quota.Document{"version": int64(1), "plans": map[string]any{"free": map[string]any{}}}))
	_, err = source.Overrides(t.Context(), "acme")
	require.NoError(t, err)
}

// exercise takes from several tenants at the same time, through one pool, and counts.
func exercise(t *testing.T, store quota.Store) {
	t.Helper()
	c := rate("requests", daily(100))
	var group sync.WaitGroup
	for i := range 8 {
		id := []tenant.ID{"acme", "globex"}[i%2]
		group.Go(func() {
			for range 10 {
				_, err := store.Take(t.Context(), taking(id, quota.Charge{Counter: c, N: 1}))
				assert.NoError(t, err)
			}
		})
	}
	group.Wait()
	assert.EqualValues(t, 40, used(t, store, "acme", c))
	assert.EqualValues(t, 40, used(t, store, "globex", c))
}

// A pooler that gives each transaction another connection is no obstacle.
func TestBouncer(t *testing.T) {
	t.Parallel()
	database := pgtest.Open(t)
	newStore(t, open(t, "postgres", database.URL()), sqlquota.Postgres)
	role := pgtest.Name(t, "pooled")
	owner := open(t, "postgres", database.URL())
	_, err := owner.ExecContext(t.Context(), fmt.Sprintf("CREATE ROLE %s LOGIN SUPERUSER PASSWORD 'secret'", role))
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := owner.ExecContext(context.WithoutCancel(t.Context()), "DROP OWNED BY "+role+"; DROP ROLE "+role)
		assert.NoError(t, err)
	})
	for _, mode := range []string{"transaction", "statement"} {
		_, err = owner.ExecContext(t.Context(), "TRUNCATE tenancy_quota_counters")
		require.NoError(t, err)
		store, err := sqlquota.New(open(t, "postgres", database.Bouncer(t, mode, 3, role, "secret").URL()), sqlquota.Postgres)
		require.NoError(t, err)
		exercise(t, store)
	}
}

// A database whose transactions see nothing that was written since they began costs
// round trips, and is as exact.
func TestOtherIsolation(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"repeatable read", "serializable"} {
		database := pgtest.Open(t)
		owner := open(t, "postgres", database.URL())
		_, err := owner.ExecContext(t.Context(), "ALTER DATABASE "+database.Name+" SET default_transaction_isolation = '"+level+"'")
		require.NoError(t, err)
		db := open(t, "postgres", database.URL())
		exercise(t, newStore(t, db, sqlquota.Postgres))
	}
}

// wrapped is a driver that is not known to do better without parameters.
type wrapped struct{ driver.Driver }

func TestParameters(t *testing.T) {
	t.Parallel()
	sql.Register("wrapped", wrapped{open(t, "postgres", postgres(t).dsn).Driver()})
	exercise(t, newStore(t, open(t, "wrapped", postgres(t).dsn), sqlquota.Postgres))
}
