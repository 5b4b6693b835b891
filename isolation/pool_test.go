package isolation_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestNewRefusesBadSettings(t *testing.T) {
	_, err := isolation.New(nil)
	require.Error(t, err)
	bad := map[string]isolation.Option{
		"MaxConns": isolation.MaxConns(0), "MaxConnsPerTenant": isolation.MaxConnsPerTenant(-1),
		"MaxTenantsPerConn": isolation.MaxTenantsPerConn(-1), "ConnMaxIdleTime": isolation.ConnMaxIdleTime(-1),
		"ConnMaxLifetime": isolation.ConnMaxLifetime(-1), "DrainTimeout": isolation.DrainTimeout(-1),
		"PreparedStatements": isolation.PreparedStatements(-1),
	}
	for name, option := range bad {
		_, err := isolation.New(&strategy{server: &server{}}, option)
		assert.ErrorContains(t, err, name)
	}
}

func TestStatementsRunForTheTenantOfTheirContext(t *testing.T) {
	s := &server{}
	db, pool := open(t, &strategy{server: s}, isolation.MaxConns(1))
	for _, id := range []tenant.ID{"a", "b", "b", "a"} {
		name, err := who(as(t.Context(), id), db)
		require.NoError(t, err)
		assert.Equal(t, string(id), name)
	}
	stats := pool.Stats()
	assert.Equal(t, 1, s.opened)
	assert.Equal(t, int64(2), stats.Switches)
	assert.Equal(t, int64(1), stats.Hits)
	assert.Equal(t, 1, stats.Idle)
	assert.Equal(t, isolation.TenantStats{Idle: 1, Switches: 1}, stats.Tenants["a"])
	assert.Equal(t, isolation.TenantStats{Hits: 1, Switches: 1}, stats.Tenants["b"])
}

func TestWithoutTenantNothingReachesTheDatabase(t *testing.T) {
	s := &server{}
	db, _ := open(t, &strategy{server: s})
	contexts := map[string]context.Context{
		"none":      t.Context(),
		"empty":     as(t.Context(), ""),
		"malformed": as(t.Context(), "../b"),
		"hidden":    as(as(t.Context(), "a"), ""),
		"no reason": tenant.System(as(t.Context(), "a"), ""),
	}
	for name, ctx := range contexts {
		_, err := who(ctx, db)
		assert.ErrorIs(t, err, tenant.ErrNoTenant, name)
		_, err = db.ExecContext(ctx, "who")
		assert.ErrorIs(t, err, tenant.ErrNoTenant, name)
		_, err = db.BeginTx(ctx, nil)
		assert.ErrorIs(t, err, tenant.ErrNoTenant, name)
		assert.ErrorIs(t, prepare(ctx, db, "who"), tenant.ErrNoTenant, name)
		assert.ErrorIs(t, db.PingContext(ctx), tenant.ErrNoTenant, name)
	}
	assert.Zero(t, s.opened)
}

func TestSystemContextHasConnectionsOfItsOwn(t *testing.T) {
	s := &server{}
	db, pool := open(t, &strategy{server: s, system: true}, isolation.MaxConns(2))
	_, err := who(as(t.Context(), "a"), db)
	require.NoError(t, err)
	name, err := who(tenant.System(t.Context(), "test"), db)
	require.NoError(t, err)
	assert.Empty(t, name, "the system must not get a tenant's connection")
	name, err = who(as(t.Context(), "b"), db)
	require.NoError(t, err)
	assert.Equal(t, "b", name)
	assert.Equal(t, 2, s.opened)
	assert.Equal(t, 1, pool.Stats().System.Idle)

	db, _ = open(t, &strategy{server: s})
	_, err = who(tenant.System(t.Context(), "test"), db)
	assert.ErrorIs(t, err, isolation.ErrNoSystem)
}

func TestTransactionBelongsToItsTenant(t *testing.T) {
	db, _ := open(t, &strategy{server: &server{}, system: true}, isolation.MaxConns(1))
	tx, err := db.BeginTx(as(t.Context(), "a"), nil)
	require.NoError(t, err)
	for _, ctx := range []context.Context{as(t.Context(), "a"), t.Context()} {
		name, err := who(ctx, tx)
		require.NoError(t, err)
		assert.Equal(t, "a", name)
	}
	for _, ctx := range []context.Context{as(t.Context(), "b"), tenant.System(t.Context(), "test")} {
		_, err = who(ctx, tx)
		assert.ErrorIs(t, err, isolation.ErrTenantChanged)
		_, err = tx.ExecContext(ctx, "who")
		assert.ErrorIs(t, err, isolation.ErrTenantChanged)
		assert.ErrorIs(t, prepare(ctx, tx, "who"), isolation.ErrTenantChanged)
	}
	require.NoError(t, tx.Commit())
	name, err := who(as(t.Context(), "b"), db)
	require.NoError(t, err)
	assert.Equal(t, "b", name)

	tx, err = db.BeginTx(tenant.System(t.Context(), "test"), nil)
	require.NoError(t, err)
	_, err = who(as(t.Context(), "a"), tx)
	require.ErrorIs(t, err, isolation.ErrTenantChanged)
	require.NoError(t, tx.Rollback())
}

func TestConnFollowsEachStatement(t *testing.T) {
	db, _ := open(t, &strategy{server: &server{}}, isolation.MaxConns(2))
	c, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer c.Close()
	for _, id := range []tenant.ID{"a", "b", "a"} {
		name, err := who(as(t.Context(), id), c)
		require.NoError(t, err)
		assert.Equal(t, string(id), name)
	}
	_, err = who(t.Context(), c)
	require.ErrorIs(t, err, tenant.ErrNoTenant)

	rows, err := c.QueryContext(as(t.Context(), "a"), "who")
	require.NoError(t, err)
	_, err = who(as(t.Context(), "b"), c)
	require.ErrorIs(t, err, isolation.ErrTenantChanged, "while rows of a are open")
	require.NoError(t, rows.Close()) //nolint:sqlclosecheck // what follows needs them closed
	require.NoError(t, rows.Err())
	name, err := who(as(t.Context(), "b"), c)
	require.NoError(t, err)
	assert.Equal(t, "b", name)
}

func TestControlStatementsAreRefused(t *testing.T) {
	s := &server{}
	db, _ := open(t, &strategy{server: s})
	ctx := as(t.Context(), "a")
	for _, query := range []string{"BEGIN", "/* x */ set role b", "SELECT 1; RESET ALL", "listen x", "SAVEPOINT x"} {
		_, err := db.ExecContext(ctx, query)
		assert.ErrorIs(t, err, isolation.ErrControl, query)
		assert.ErrorIs(t, prepare(ctx, db, query), isolation.ErrControl, query)
		err = db.QueryRowContext(ctx, query).Err()
		assert.ErrorIs(t, err, isolation.ErrControl, query)
	}
	assert.Zero(t, s.opened)

	tx, err := db.BeginTx(ctx, nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(ctx, "SAVEPOINT x")
	require.NoError(t, err)
	_, err = tx.ExecContext(ctx, "COMMIT")
	require.ErrorIs(t, err, isolation.ErrControl)
	require.NoError(t, tx.Rollback())
}

func TestPreparedStatementFollowsItsTenant(t *testing.T) {
	s := &server{}
	db, pool := open(t, &strategy{server: s}, isolation.MaxConns(1), isolation.PreparedStatements(2))
	stmt, err := db.PrepareContext(as(t.Context(), "a"), "who")
	require.NoError(t, err)
	defer stmt.Close()
	for _, id := range []tenant.ID{"a", "a", "b", "b", "a"} {
		var name string
		require.NoError(t, stmt.QueryRowContext(as(t.Context(), id)).Scan(&name))
		assert.Equal(t, string(id), name)
	}
	assert.Equal(t, 3, s.prepared, "once each time that the connection changes hands")
	assert.Zero(t, s.closed, "to confine it anew closed them")
	require.ErrorIs(t, stmt.QueryRowContext(t.Context()).Err(), tenant.ErrNoTenant)

	_, err = db.ExecContext(as(t.Context(), "a"), "die")
	require.Error(t, err)
	var name string
	require.NoError(t, stmt.QueryRowContext(as(t.Context(), "b")).Scan(&name))
	assert.Equal(t, "b", name)
	assert.Equal(t, 4, s.prepared, "again on the new connection")

	for i := range 5 {
		require.NoError(t, prepare(as(t.Context(), "a"), db, fmt.Sprint("who", i)))
	}
	assert.Equal(t, 3, s.closed, "all but the last two")
	assert.Equal(t, 1, pool.Stats().Open)
}

func TestStatementThatCannotMoveStaysWithItsConnection(t *testing.T) {
	s := &server{}
	db, _ := open(t, &strategy{server: s}, isolation.MaxConns(1))
	tx, err := db.BeginTx(as(t.Context(), "a"), nil)
	require.NoError(t, err)
	copying, err := tx.PrepareContext(t.Context(), "COPY t FROM STDIN")
	require.NoError(t, err)
	_, err = copying.ExecContext(t.Context(), 1)
	require.NoError(t, err)
	require.NoError(t, copying.Close()) //nolint:sqlclosecheck // before the commit
	require.NoError(t, tx.Commit())
	assert.Equal(t, 1, s.closed)
	_, err = who(as(t.Context(), "a"), db)
	require.NoError(t, err)
	assert.Equal(t, 1, s.opened, "its connection is sound")
}

func TestArgumentsAreConvertedForTheDriver(t *testing.T) {
	db, _ := open(t, &strategy{server: &server{}})
	ctx := as(t.Context(), "a")
	type myString string
	_, err := db.ExecContext(ctx, "who", 1, "x", myString("y"), sql.NullInt64{Int64: 1, Valid: true}, new(int), nil, time.Now(), []byte("z"))
	require.NoError(t, err)
	_, err = db.ExecContext(ctx, "who", struct{}{})
	require.ErrorContains(t, err, "argument 1")
}

func TestConnectionsThatFailAreNotReused(t *testing.T) {
	s := &server{}
	db, pool := open(t, &strategy{server: s}, isolation.MaxConns(1))
	ctx := as(t.Context(), "a")

	s.connectErr = errors.New("refused")
	_, err := who(ctx, db)
	require.ErrorContains(t, err, "refused")
	assert.Zero(t, pool.Stats().Open, "the slot is free again")

	s.confineErr = errors.New("cannot confine")
	_, err = who(ctx, db)
	require.ErrorContains(t, err, "confining a connection to tenant a: cannot confine")
	assert.Zero(t, s.open)

	_, err = who(ctx, db)
	require.NoError(t, err)
	s.confineErr = errors.New("cannot confine")
	_, err = who(as(t.Context(), "b"), db)
	require.ErrorContains(t, err, "cannot confine")
	assert.Zero(t, s.open, "it is neither a's nor b's")

	_, err = db.ExecContext(ctx, "die")
	require.Error(t, err)
	assert.Zero(t, s.open)
	assert.Zero(t, pool.Stats().InUse)
}

func TestIdleConnectionThatDiedIsReplaced(t *testing.T) {
	s := &server{}
	db, _ := open(t, &strategy{server: s}, isolation.MaxConns(1))
	c, err := db.Conn(t.Context())
	require.NoError(t, err)
	require.NoError(t, c.PingContext(as(t.Context(), "a")))
	var raw *fakeConn
	require.NoError(t, c.Raw(func(logical any) error {
		raw = logical.(interface{ Unwrap() driver.Conn }).Unwrap().(*fakeConn)
		return nil
	}))
	raw.dead.Store(true)
	require.NoError(t, c.Close())
	name, err := who(as(t.Context(), "b"), db)
	require.NoError(t, err)
	assert.Equal(t, "b", name)
}

func TestRawIsConfinedAndClosedAfterwards(t *testing.T) {
	s := &server{}
	db, _ := open(t, &strategy{server: s})
	c, err := db.Conn(t.Context())
	require.NoError(t, err)
	require.ErrorIs(t, isolation.Raw(t.Context(), c, nil), tenant.ErrNoTenant)
	require.NoError(t, isolation.Raw(as(t.Context(), "a"), c, func(raw driver.Conn) error {
		assert.Equal(t, "a", raw.(*fakeConn).who)
		return nil
	}))
	name, err := who(as(t.Context(), "a"), c)
	require.NoError(t, err)
	assert.Equal(t, "a", name)
	assert.Equal(t, 1, s.opened, "still the same connection")
	require.NoError(t, c.Close())
	assert.Zero(t, s.open)
}

func TestAnotherPlaceMakesRoom(t *testing.T) {
	s := &server{}
	db, pool := open(t, &strategy{server: s, apart: true}, isolation.MaxConns(2))
	for i := range 6 {
		id := tenant.ID(fmt.Sprint("t", i))
		name, err := who(as(t.Context(), id), db)
		require.NoError(t, err)
		assert.Equal(t, string(id), name)
	}
	assert.Equal(t, 2, s.most)
	stats := pool.Stats()
	assert.Equal(t, int64(4), stats.Evictions)
	assert.Equal(t, int64(1), stats.Tenants["t0"].Evictions)
	assert.Zero(t, stats.Switches)
	_, err := who(as(t.Context(), "homeless"), db)
	assert.ErrorIs(t, err, isolation.ErrNotProvisioned)
}

func TestConnectionIsRecycledAfterManyTenants(t *testing.T) {
	s := &server{}
	db, pool := open(t, &strategy{server: s}, isolation.MaxConns(1), isolation.MaxTenantsPerConn(3))
	for i := range 9 {
		for range 2 {
			_, err := who(as(t.Context(), tenant.ID(fmt.Sprint("t", i))), db)
			require.NoError(t, err)
		}
	}
	assert.Equal(t, 3, s.opened)
	assert.Equal(t, 1, s.most)
	assert.Equal(t, int64(2), pool.Stats().Recycled)
}

func TestForgetClosesTheTenantsConnections(t *testing.T) {
	s := &server{}
	db, pool := open(t, &strategy{server: s, apart: true})
	for _, id := range []tenant.ID{"a", "b"} {
		_, err := who(as(t.Context(), id), db)
		require.NoError(t, err)
	}
	tx, err := db.BeginTx(as(t.Context(), "a"), nil)
	require.NoError(t, err)
	_, err = who(as(t.Context(), "a"), db)
	require.NoError(t, err)
	require.Equal(t, 3, s.open)
	pool.Forget("a")
	assert.Equal(t, 2, s.open, "the idle one is closed")
	require.NoError(t, tx.Commit())
	assert.Equal(t, 1, s.open, "and the other once it came back")
	pool.Forget("nobody")
}

func TestWaitersOfAllTenantsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, pool := open(t, &strategy{server: &server{}}, isolation.MaxConns(1))
		hold, err := db.BeginTx(as(t.Context(), "z"), nil)
		require.NoError(t, err)

		order := make(chan string, 100)
		ask := func(id tenant.ID) {
			go func() {
				tx, err := db.BeginTx(as(t.Context(), id), nil)
				if assert.NoError(t, err) {
					order <- string(id) // while it holds the connection
					assert.NoError(t, tx.Rollback())
				}
			}()
			synctest.Wait()
		}
		for range 50 {
			ask("flood")
		}
		ask("a")
		ask("b")
		ask("a")
		assert.Equal(t, 53, pool.Stats().Waiting)
		assert.Equal(t, 50, pool.Stats().Tenants["flood"].Waiting)
		require.NoError(t, hold.Rollback())
		synctest.Wait()
		got := make([]string, 5)
		for i := range got {
			got[i] = <-order
		}
		assert.Equal(t, []string{"flood", "a", "b", "flood", "a"}, got)
		assert.Zero(t, pool.Stats().Waiting)
	})
}

func TestTenantHasALimitOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		db, _ := open(t, &strategy{server: s}, isolation.MaxConns(3), isolation.MaxConnsPerTenant(1))
		tx, err := db.BeginTx(as(t.Context(), "a"), nil)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(as(t.Context(), "a"), time.Second)
		defer cancel()
		_, err = who(ctx, db)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		name, err := who(as(t.Context(), "b"), db)
		require.NoError(t, err, "others pass")
		assert.Equal(t, "b", name)

		done := make(chan error, 1)
		go func() { _, err := who(as(t.Context(), "a"), db); done <- err }()
		synctest.Wait()
		require.NoError(t, tx.Rollback())
		require.NoError(t, <-done)
	})
}

func TestDeadlineEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, pool := open(t, &strategy{server: &server{}}, isolation.MaxConns(1))
		tx, err := db.BeginTx(as(t.Context(), "a"), nil)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(as(t.Context(), "b"), time.Minute)
		defer cancel()
		_, err = who(ctx, db)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		stats := pool.Stats()
		assert.Zero(t, stats.Waiting)
		assert.Equal(t, int64(1), stats.Waits)
		assert.Equal(t, time.Minute, stats.Tenants["b"].WaitTime)
		require.NoError(t, tx.Rollback())
		_, err = who(as(t.Context(), "b"), db)
		require.NoError(t, err)
	})
}

func TestCancelledStatementCostsItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		db, _ := open(t, &strategy{server: s})
		ctx, cancel := context.WithCancel(as(t.Context(), "a"))
		done := make(chan error, 1)
		go func() { _, err := db.ExecContext(ctx, "wait"); done <- err }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		synctest.Wait()
		assert.Zero(t, s.open)
	})
}

func TestFailedStatementKeepsItsConnection(t *testing.T) {
	s := &server{}
	db, _ := open(t, &strategy{server: s})
	_, err := db.ExecContext(as(t.Context(), "a"), "fail")
	require.ErrorIs(t, err, errFail)
	assert.Equal(t, 1, s.open)
}

func TestIdleConnectionsAreClosedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		db, pool := open(t, &strategy{server: s, apart: true}, isolation.ConnMaxIdleTime(time.Minute), isolation.ConnMaxLifetime(3*time.Minute))
		use := func(id tenant.ID) {
			_, err := who(as(t.Context(), id), db)
			require.NoError(t, err)
		}
		use("a")
		time.Sleep(30 * time.Second)
		use("b")
		time.Sleep(40 * time.Second)
		synctest.Wait()
		assert.Equal(t, 1, s.open, "a was idle for 70 seconds, b for 40")
		for range 6 {
			use("b")
			time.Sleep(30 * time.Second)
		}
		synctest.Wait()
		assert.Equal(t, 3, s.opened, "b's first connection was closed after its lifetime")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		assert.Zero(t, s.open)
		assert.Zero(t, pool.Stats().Open)
	})
}

func TestCloseWaitsForWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		db, pool := open(t, &strategy{server: s}, isolation.MaxConns(1))
		tx, err := db.BeginTx(as(t.Context(), "a"), nil)
		require.NoError(t, err)
		waiting := make(chan error, 1)
		go func() { _, err := who(as(t.Context(), "b"), db); waiting <- err }()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- pool.Close() }()
		synctest.Wait()
		require.ErrorIs(t, <-waiting, isolation.ErrClosed)
		_, err = who(as(t.Context(), "b"), db)
		require.ErrorIs(t, err, isolation.ErrClosed)
		select {
		case err := <-closed:
			t.Fatal("closed under a running transaction", err)
		default:
		}
		require.NoError(t, tx.Commit())
		require.NoError(t, <-closed)
		assert.Zero(t, s.open)
	})
}

func TestCloseEndsWorkThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		db, pool := open(t, &strategy{server: s}, isolation.DrainTimeout(time.Second))
		done := make(chan error, 1)
		go func() { _, err := db.ExecContext(as(t.Context(), "a"), "wait"); done <- err }()
		synctest.Wait()
		err := pool.Close()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "1 connections in use")
		require.ErrorContains(t, <-done, "aborted")
		synctest.Wait()
		assert.Zero(t, s.open)
		assert.NoError(t, pool.Close())
	})
}

// TestStorm mixes everything over few connections. The fake panics when two
// goroutines use one connection.
func TestStorm(t *testing.T) {
	for _, apart := range []bool{false, true} {
		s := &server{}
		db, pool := open(t, &strategy{server: s, apart: apart, system: true}, isolation.MaxConns(4), isolation.MaxConnsPerTenant(2), isolation.MaxTenantsPerConn(7))
		stmt, err := db.PrepareContext(as(t.Context(), "t0"), "who")
		require.NoError(t, err)
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(g)))
				for range 500 {
					storm(t, db, stmt, random)
				}
			})
		}
		wg.Wait()
		require.NoError(t, stmt.Close())
		assert.LessOrEqual(t, s.most, 4)
		stats := pool.Stats()
		assert.Zero(t, stats.InUse)
		assert.Zero(t, stats.Waiting)
		assert.Equal(t, stats.Open, stats.Idle)
		assert.Equal(t, s.open, stats.Open)
		require.NoError(t, db.Close())
		assert.Zero(t, s.open)
	}
}

// prepare prepares a statement and closes it again.
func prepare(ctx context.Context, p interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}, query string) error {
	stmt, err := p.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	defer stmt.Close()
	return nil
}

func storm(t *testing.T, db *sql.DB, stmt *sql.Stmt, random *rand.Rand) {
	id := tenant.ID(fmt.Sprint("t", random.IntN(20)))
	ctx := as(t.Context(), id)
	check := func(name string, err error) {
		if assert.NoError(t, err) {
			assert.Equal(t, string(id), name)
		}
	}
	switch random.IntN(8) {
	case 0:
		var name string
		err := stmt.QueryRowContext(ctx).Scan(&name)
		check(name, err)
	case 1:
		tx, err := db.BeginTx(ctx, nil)
		if assert.NoError(t, err) {
			check(who(t.Context(), tx))
			assert.NoError(t, tx.Rollback())
		}
	case 2:
		_, err := db.ExecContext(ctx, "die")
		assert.ErrorIs(t, err, errLost)
	case 3:
		_, err := db.ExecContext(ctx, "fail")
		assert.ErrorIs(t, err, errFail)
	case 4:
		short, cancel := context.WithTimeout(ctx, time.Duration(random.IntN(200))*time.Microsecond)
		_, err := db.ExecContext(short, "wait")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		cancel()
	case 5:
		name, err := who(tenant.System(t.Context(), "storm"), db)
		if assert.NoError(t, err) {
			assert.Empty(t, name)
		}
	default:
		check(who(ctx, db))
	}
}

// house takes down when homes are removed.
type house struct {
	isolation.Provisioner
	deprovision func()
}

func (h house) Deprovision(context.Context, tenant.Tenant) error { h.deprovision(); return errFail }

func TestProvisionerClosesConnectionsAroundARemoval(t *testing.T) {
	s := &server{}
	db, pool := open(t, &strategy{server: s, apart: true})
	use := func() {
		_, err := who(as(t.Context(), "a"), db)
		require.NoError(t, err)
	}
	use()
	homes := pool.Provisioner(house{deprovision: func() {
		assert.Zero(t, s.open, "before")
		use() // a late statement
	}})
	require.ErrorIs(t, homes.Deprovision(t.Context(), tenant.Tenant{ID: "a"}), errFail)
	assert.Zero(t, s.open, "and after")
	assert.Equal(t, 2, s.opened)
}

func TestQueryThatComesAgainIsPrepared(t *testing.T) {
	s := &server{}
	db, _ := open(t, &strategy{server: s}, isolation.MaxConns(1), isolation.PreparedStatements(2))
	ask := func(id tenant.ID, query string, args ...any) {
		t.Helper()
		var name string
		require.NoError(t, db.QueryRowContext(as(t.Context(), id), query, args...).Scan(&name))
		assert.Equal(t, string(id), name)
	}
	for i, id := range []tenant.ID{"a", "b", "a", "b", "b", "b"} {
		ask(id, "one", i)
		ask(id, "without arguments")
	}
	assert.Equal(t, 1, s.prepared, "once, at the second use of one tenant without another between")
	ask("a", "one", 1)
	assert.Equal(t, 1, s.prepared, "what b prepared is not a's")
	for i := range 5 {
		for range 2 {
			ask("a", fmt.Sprint("more", i), 1)
		}
	}
	assert.Equal(t, 6, s.prepared)
	assert.Equal(t, 3, s.closed, "all of a's but the last two")
	for i := range 100 {
		ask("a", fmt.Sprint("once", i), 1)
	}
	assert.Equal(t, 6, s.prepared)

	db, _ = open(t, &strategy{server: s}, isolation.PreparedStatements(0))
	for range 5 {
		ask("a", "one", 1)
	}
	assert.Equal(t, 6, s.prepared)
}

func TestPreparedQueryWhoseColumnsChangedRunsAnew(t *testing.T) {
	s := &server{}
	db, _ := open(t, &strategy{server: s}, isolation.MaxConns(1))
	ctx := as(t.Context(), "a")
	ask := func(q querier) error {
		var name string
		return q.QueryRowContext(ctx, "one", 1).Scan(&name)
	}
	require.NoError(t, ask(db))
	require.NoError(t, ask(db))
	s.stale = errStale{}
	require.NoError(t, ask(db), "the statement had not begun")
	assert.Equal(t, 1, s.closed)
	require.NoError(t, ask(db))
	require.NoError(t, ask(db))
	assert.Equal(t, 2, s.prepared, "and again, once it came again")

	tx, err := db.BeginTx(ctx, nil)
	require.NoError(t, err)
	s.stale = errStale{}
	require.ErrorIs(t, ask(tx), errStale{}, "the transaction is aborted")
	require.NoError(t, tx.Rollback())
	require.NoError(t, ask(db))

	require.NoError(t, ask(db))
	s.stale = errFail
	require.ErrorIs(t, ask(db), errFail, "what may have begun is not repeated")
}

// gated is a strategy whose connections open, or are confined, when the test says so.
type gated struct {
	strategy
	opening, open chan struct{}
	panics        bool
}

func (g *gated) Place(ctx context.Context, t tenant.Tenant) (isolation.Place, error) {
	place, err := g.strategy.Place(ctx, t)
	place.Connector = g
	return place, err
}

func (g *gated) Driver() driver.Driver { return nil }

func (g *gated) Connect(ctx context.Context) (driver.Conn, error) {
	if g.open != nil {
		g.opening <- struct{}{}
		<-g.open
	}
	return connector{g.server}.Connect(ctx)
}

func (g *gated) Confine(ctx context.Context, conn driver.Conn, t tenant.Tenant) error {
	if g.panics {
		panic("strategy")
	}
	return g.strategy.Confine(ctx, conn, t)
}

func TestForgetReachesConnectionsBeingOpened(t *testing.T) {
	s := &server{}
	g := &gated{strategy: strategy{server: s, apart: true}, opening: make(chan struct{}), open: make(chan struct{})}
	db, pool := open(t, g)
	done := make(chan error, 1)
	go func() { _, err := who(as(t.Context(), "a"), db); done <- err }()
	<-g.opening
	pool.Forget("a") // its home is replaced while the connection opens
	g.open <- struct{}{}
	<-g.opening // so another is opened
	g.open <- struct{}{}
	require.NoError(t, <-done)
	assert.Equal(t, 2, s.opened)
	assert.Equal(t, 1, s.open)
}

func TestPanicInStrategyCostsNoConnection(t *testing.T) {
	s := &server{}
	g := &gated{strategy: strategy{server: s}}
	db, pool := open(t, g, isolation.MaxConns(1))
	attempt := func(id tenant.ID) {
		g.panics = true
		assert.Panics(t, func() { panicking(as(t.Context(), id), pool) })
		g.panics = false
	}
	attempt("a") // a new connection
	assert.Zero(t, pool.Stats().Open)
	_, err := who(as(t.Context(), "a"), db)
	require.NoError(t, err)
	attempt("b") // one that changes hands
	assert.Zero(t, pool.Stats().Open)
	assert.Zero(t, s.open)
	_, err = who(as(t.Context(), "b"), db)
	require.NoError(t, err)
}

// panicking runs a statement as database/sql would, which does not survive a panic
// of its driver itself.
func panicking(ctx context.Context, pool *isolation.Pool) {
	logical, err := pool.Connect(ctx)
	if err == nil {
		_, _ = logical.(driver.QueryerContext).QueryContext(ctx, "who", nil)
	}
}
