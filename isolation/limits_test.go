package isolation_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/tenant"
)

// plans has the limits of tenants, which tests change.
type plans struct {
	mu    sync.Mutex
	of    map[tenant.ID]isolation.Limits
	err   error
	asked atomic.Int64
}

func newPlans() *plans { return &plans{of: map[tenant.ID]isolation.Limits{}} }

func (p *plans) set(id tenant.ID, l isolation.Limits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of[id] = l
}

func (p *plans) find(_ context.Context, t tenant.Tenant) (isolation.Limits, error) {
	p.asked.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of[t.ID], p.err
}

// limitsOf returns the limits of ctx's session, as text.
func limitsOf(ctx context.Context, q querier) (string, error) {
	var text string
	err := q.QueryRowContext(ctx, "limits").Scan(&text)
	return text, err
}

func assertLimits(t *testing.T, want isolation.Limits, ctx context.Context, q querier) { //nolint:revive // t first, as in testify
	t.Helper()
	got, err := limitsOf(ctx, q)
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("%+v", want), got)
}

func TestLimitsAreOfTheTenant(t *testing.T) {
	s, p := &server{}, newPlans()
	db, _ := open(t, &limiter{strategy: &strategy{server: s}}, isolation.MaxConns(1), isolation.LimitsBy(p.find))
	a, b := as(t.Context(), "a"), as(t.Context(), "b")
	slow := isolation.Limits{StatementTimeout: time.Second, Connections: 3}
	p.set("a", slow)
	session := isolation.Limits{StatementTimeout: time.Second}

	assertLimits(t, session, a, db)
	assertLimits(t, isolation.Limits{}, b, db)
	assertLimits(t, session, a, db)
	confined := s.confined
	assertLimits(t, session, a, db)
	assert.Equal(t, confined, s.confined, "limits that are there are not set again")
	p.set("a", isolation.Limits{StatementTimeout: time.Second, Connections: 4})
	assertLimits(t, session, a, db)
	assert.Equal(t, confined, s.confined, "the number of connections is not the session's")

	quick := isolation.Limits{StatementTimeout: time.Millisecond}
	p.set("a", quick)
	assertLimits(t, quick, a, db)
	assert.Equal(t, confined+1, s.confined)
	p.set("a", isolation.Limits{})
	assertLimits(t, isolation.Limits{}, a, db)
	assert.Equal(t, 1, s.opened)
}

func TestLimitsAreAskedForOnceForATransaction(t *testing.T) {
	p := newPlans()
	db, _ := open(t, &limiter{strategy: &strategy{server: &server{}, system: true}}, isolation.LimitsBy(p.find))
	ctx := as(t.Context(), "a")
	tx, err := db.BeginTx(ctx, nil)
	require.NoError(t, err)
	p.set("a", isolation.Limits{WorkMem: 1 << 20})
	for range 3 {
		assertLimits(t, isolation.Limits{}, ctx, tx)
	}
	require.NoError(t, tx.Commit())
	assert.Equal(t, int64(1), p.asked.Load())
	_, err = who(tenant.System(t.Context(), "test"), db)
	require.NoError(t, err)
	assert.Equal(t, int64(1), p.asked.Load(), "the system has no limits")
}

func TestUnknownLimitsRefuse(t *testing.T) {
	s, p := &server{}, newPlans()
	db, _ := open(t, &limiter{strategy: &strategy{server: s}}, isolation.LimitsBy(p.find))
	for _, l := range []isolation.Limits{
		{StatementTimeout: -1},
		{LockTimeout: -1},
		{IdleTimeout: -1},
		{WorkMem: -1},
		{Connections: -1},
	} {
		p.set("a", l)
		_, err := who(as(t.Context(), "a"), db)
		require.ErrorContains(t, err, "want zero or more")
	}
	p.err = errors.New("nobody knows")
	_, err := who(as(t.Context(), "b"), db)
	require.ErrorIs(t, err, p.err)
	require.ErrorContains(t, err, "tenant b")
	_, err = db.BeginTx(as(t.Context(), "b"), nil)
	require.ErrorIs(t, err, p.err)
	assert.Zero(t, s.opened)
}

func TestLimitsWantALimiter(t *testing.T) {
	_, err := isolation.New(&limiter{strategy: &strategy{server: &server{}}}, isolation.LimitsBy(nil))
	require.ErrorContains(t, err, "nil function")

	p := newPlans()
	files, err := sqlitefile.New(t.TempDir())
	require.NoError(t, err)
	defer files.Close()
	_, err = isolation.New(files, isolation.LimitsBy(p.find))
	require.ErrorIs(t, err, isolation.ErrNoLimiter)

	cannot := fmt.Errorf("%w: on Sundays", isolation.ErrNoLimiter)
	_, err = isolation.New(&limiter{cannot: cannot}, isolation.LimitsBy(p.find))
	require.ErrorIs(t, err, cannot)
}

// via sends all tenants to a strategy of another kind, as a router may.
type via struct {
	*limiter
	other isolation.Strategy
}

func (v *via) Place(ctx context.Context, t tenant.Tenant) (isolation.Place, error) {
	place, err := v.other.Place(ctx, t)
	place.Via = v.other
	return place, err
}

func TestLimitsBehindARouter(t *testing.T) {
	s, p := &server{}, newPlans()
	plain, limiting := &strategy{server: s}, &limiter{strategy: &strategy{server: s}}
	ctx := as(t.Context(), "a")

	db, _ := open(t, &via{&limiter{}, plain}, isolation.LimitsBy(p.find))
	p.set("a", isolation.Limits{Connections: 2})
	assertLimits(t, isolation.Limits{}, ctx, db)
	p.set("a", isolation.Limits{LockTimeout: time.Second})
	_, err := who(ctx, db)
	require.ErrorIs(t, err, isolation.ErrNoLimiter)

	db, _ = open(t, &via{&limiter{}, limiting}, isolation.LimitsBy(p.find))
	assertLimits(t, isolation.Limits{LockTimeout: time.Second}, ctx, db)
}

func TestConnectionsByPlan(t *testing.T) {
	tests := []struct {
		name            string
		plan, perTenant int
		want            int
	}{
		{name: "the plan's", plan: 2, want: 2},
		{name: "the pool's", perTenant: 3, want: 3},
		{name: "the plan's is lower", plan: 1, perTenant: 2, want: 1},
		{name: "the pool's is lower", plan: 3, perTenant: 2, want: 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlans()
				p.set("a", isolation.Limits{Connections: int64(tt.plan)})
				db, pool := open(t, &limiter{strategy: &strategy{server: &server{}}},
					isolation.MaxConns(10), isolation.MaxConnsPerTenant(tt.perTenant), isolation.LimitsBy(p.find))
				ctx, cancel := context.WithTimeout(as(t.Context(), "a"), time.Second)
				defer cancel()
				var held []*sql.Tx
				var err error
				for err == nil {
					var tx *sql.Tx
					if tx, err = db.BeginTx(ctx, nil); err == nil {
						held = append(held, tx)
					}
				}
				require.ErrorIs(t, err, isolation.ErrTenantBusy)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Len(t, held, tt.want)
				_, err = who(as(t.Context(), "b"), db)
				require.NoError(t, err, "another tenant is not concerned")
				synctest.Wait()
				assert.Zero(t, pool.Stats().Tenants["a"].Waiting)
			})
		})
	}
}

func TestAFullPoolIsNotTheTenantsFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlans()
		p.set("a", isolation.Limits{Connections: 5})
		db, _ := open(t, &limiter{strategy: &strategy{server: &server{}}}, isolation.MaxConns(1), isolation.LimitsBy(p.find))
		tx, err := db.BeginTx(as(t.Context(), "b"), nil)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(as(t.Context(), "a"), time.Second)
		defer cancel()
		_, err = who(ctx, db)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, isolation.ErrTenantBusy)
		require.NoError(t, tx.Rollback())
	})
}

func TestAHigherLimitLetsInWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlans()
		p.set("a", isolation.Limits{Connections: 1})
		db, _ := open(t, &limiter{strategy: &strategy{server: &server{}}}, isolation.MaxConns(10), isolation.LimitsBy(p.find))
		ctx := as(t.Context(), "a")
		begin := func() *sql.Tx {
			tx, err := db.BeginTx(ctx, nil)
			require.NoError(t, err)
			return tx
		}
		first := begin()
		var second *sql.Tx
		waited := make(chan struct{})
		go func() {
			defer close(waited)
			second = begin()
		}()
		synctest.Wait()
		require.Nil(t, second)
		p.set("a", isolation.Limits{Connections: 3})
		third := begin()
		synctest.Wait()
		<-waited
		for _, tx := range []*sql.Tx{first, second, third} {
			require.NoError(t, tx.Rollback())
		}
		p.set("a", isolation.Limits{Connections: 1})
		first = begin()
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := who(short, db)
		require.ErrorIs(t, err, isolation.ErrTenantBusy, "a lower limit counts from the next on")
		require.NoError(t, first.Rollback())
	})
}

func TestLimitErrors(t *testing.T) {
	p := newPlans()
	db, _ := open(t, &limiter{strategy: &strategy{server: &server{}}}, isolation.LimitsBy(p.find))
	ctx := as(t.Context(), "a")
	p.set("a", isolation.Limits{StatementTimeout: time.Second, LockTimeout: time.Minute})
	for state, want := range map[string]isolation.LimitError{
		"57014": {Setting: "statement_timeout", Limit: time.Second},
		"55P03": {Setting: "lock_timeout", Limit: time.Minute},
	} {
		_, err := db.ExecContext(ctx, state)
		require.ErrorIs(t, err, isolation.ErrLimit)
		var e *isolation.LimitError
		require.ErrorAs(t, err, &e)
		want.Err = errState(state)
		assert.Equal(t, want, *e)
		_, err = db.ExecContext(as(t.Context(), "b"), state)
		assert.NotErrorIs(t, err, isolation.ErrLimit, "b has no limits")
	}
	_, err := db.ExecContext(ctx, "25P03")
	require.NotErrorIs(t, err, isolation.ErrLimit, "not of the plan")
	_, err = db.ExecContext(ctx, "fail")
	require.ErrorIs(t, err, errFail)
	require.NotErrorIs(t, err, isolation.ErrLimit)
}

// A tenant whose timeout is short may end the confining of its connection to the next.
func TestTheTimeoutOfTheTenantBeforeDoesNotFailTheNext(t *testing.T) {
	s := &server{}
	db, _ := open(t, &strategy{server: s}, isolation.MaxConns(1))
	_, err := who(as(t.Context(), "a"), db)
	require.NoError(t, err)
	s.confineErr = errState("57014")
	name, err := who(as(t.Context(), "b"), db)
	require.NoError(t, err)
	assert.Equal(t, "b", name)
	assert.Equal(t, 2, s.opened, "another connection took its place")
}
