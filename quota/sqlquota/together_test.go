package sqlquota_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/sqlquota"
	"github.com/tenancy-go/tenancy/tenant"
)

func rate(limit string, windows ...quota.Window) quota.Counter {
	return quota.Counter{Limit: limit, Terms: &quota.Terms{Kind: quota.Rate, Windows: windows, Zone: time.UTC}}
}

func holding(kind quota.Kind, limit string, most int64) quota.Counter {
	return quota.Counter{Limit: limit, Terms: &quota.Terms{Kind: kind, Max: most, Zone: time.UTC}}
}

// daily is a window that does not end while a test runs, save once a year.
func daily(limit int64) quota.Window {
	return quota.Window{Per: quota.Every(8760 * time.Hour), Limit: limit, Roll: quota.Rolling}
}

var serial atomic.Int64

// taking returns a Taking of the tenant with an ID of its own.
func taking(id tenant.ID, charges ...quota.Charge) quota.Taking {
	return quota.Taking{ID: fmt.Sprintf("id-%d", serial.Add(1)), Tenant: id, Holder: "process-1", TTL: time.Minute, Charges: charges}
}

// used returns what is used of the first window of c, or of c.
func used(t testing.TB, s quota.Store, id tenant.ID, c quota.Counter) int64 {
	t.Helper()
	levels, err := s.Read(context.WithoutCancel(t.Context()), id, []quota.Counter{c})
	require.NoError(t, err)
	if c.Terms.Kind == quota.Rate {
		return levels[0].Windows[0].Used
	}
	return levels[0].Used
}

// Two processes with four requests each at a time let in exactly the limit.
func TestExactlyTheLimit(t *testing.T) {
	onEach(t, func(t *testing.T, p place) {
		c := rate("requests", daily(300))
		var granted atomic.Int64
		var group sync.WaitGroup
		for range 2 {
			store := p.store(t)
			for range 4 {
				group.Go(func() {
					for range 50 {
						taken, err := store.Take(t.Context(), taking("acme", quota.Charge{Counter: c, N: 1}))
						if assert.NoError(t, err) && taken.OK {
							granted.Add(1)
						}
					}
				})
			}
		}
		group.Wait()
		assert.EqualValues(t, 300, granted.Load())
		assert.EqualValues(t, 300, used(t, p.store(t), "acme", c))
	})
}

// Charges in opposite orders, renewals of many tenants in opposite orders and pruning
// neither wait for each other for ever nor fail.
func TestNoDeadlock(t *testing.T) {
	onEach(t, func(t *testing.T, p place) {
		a, b, held := rate("a", daily(1e6)), rate("b", daily(1e6)), holding(quota.Concurrent, "held", 1e6)
		tenants := []tenant.ID{"acme", "globex", "initech"}
		var group sync.WaitGroup
		for i := range 6 {
			store := p.store(t)
			group.Go(func() {
				for n := range 40 {
					charges := []quota.Charge{{Counter: a, N: 1}, {Counter: held, N: 1}, {Counter: b, N: 1}}
					renewed := []quota.Held{{Tenant: tenants[0], Counter: held, N: 1}, {Tenant: tenants[1], Counter: held, N: 1}, {Tenant: tenants[2], Counter: held, N: 1}}
					if i%2 == 0 {
						charges[0], charges[2] = charges[2], charges[0]
						renewed[0], renewed[2] = renewed[2], renewed[0]
					}
					taken, err := store.Take(t.Context(), taking(tenants[n%3], charges...))
					assert.NoError(t, err)
					assert.True(t, taken.OK)
					if n%4 == 0 {
						assert.NoError(t, store.Renew(t.Context(), fmt.Sprint("process-", i), time.Minute, renewed))
					}
					if n%20 == 0 {
						_, err = store.Prune(t.Context(), 100)
						assert.NoError(t, err)
					}
				}
			})
		}
		group.Wait()
		store, total := p.store(t), int64(0)
		for _, id := range tenants {
			require.Equal(t, used(t, store, id, a), used(t, store, id, b))
			total += used(t, store, id, a)
		}
		assert.EqualValues(t, 240, total)
	})
}

// Keys are data, whatever stands in them, and no two of them are the same.
func TestOddKeys(t *testing.T) {
	onEach(t, func(t *testing.T, p place) {
		store := p.store(t)
		odd := []string{
			"'; DROP TABLE tenancy_quota_counters; --", `\'); SELECT 1; --`, "$1", "?", ":a", "%s", `{"a": 1}`, `"`, `\`, `\u0000`,
			"\xff", "\xfe", "\ufffd", `\xff`, `\x5c786666`, "$$", "日本", "\u2028", "a\tb\n", `\\`, "''", " ", "A", "a", "á", "a\u0301",
		}
		for _, text := range odd {
			c := rate("limit "+text, daily(1))
			c.Key = text
			for i := range 2 {
				request := taking("acme", quota.Charge{Counter: c, N: 1})
				request.Holder, request.ID = "x"+text, fmt.Sprint(i, text)
				taken, err := store.Take(t.Context(), request)
				require.NoError(t, err)
				require.Equal(t, i == 0, taken.OK, "%q", text)
			}
			held := holding(quota.Concurrent, "held", 100)
			held.Key = text
			require.NoError(t, store.Renew(t.Context(), text, time.Minute, []quota.Held{{Tenant: "acme", Counter: held, N: 2}}))
			require.EqualValues(t, 2, used(t, store, "acme", held), "%q", text)
		}
	})
}

// More counters than one statement renews.
func TestRenewsMany(t *testing.T) {
	onEach(t, func(t *testing.T, p place) {
		store := p.store(t)
		var all []quota.Held
		for i := range 601 {
			all = append(all, quota.Held{Tenant: tenant.ID(fmt.Sprintf("t-%d", i)), Counter: holding(quota.Concurrent, "held", 5), N: 1})
		}
		require.NoError(t, store.Renew(t.Context(), "process-1", time.Minute, all))
		for _, i := range []int{0, 249, 250, 600} {
			assert.EqualValues(t, 1, used(t, store, all[i].Tenant, all[i].Counter))
		}
		require.NoError(t, store.Renew(t.Context(), "process-1", time.Minute, nil))
	})
}

// What counts nothing any more goes, and nothing else.
func TestPrune(t *testing.T) {
	onEach(t, func(t *testing.T, p place) {
		now := time.Date(2027, 3, 1, 10, 0, 0, 0, time.UTC)
		store := p.store(t, sqlquota.WithClock(func() time.Time { return now }))
		minute := rate("minute", quota.Window{Per: quota.Minute, Limit: 10, Roll: quota.Rolling})
		strict := rate("strict", quota.Window{Per: quota.Hour, Limit: 10, Roll: quota.Strict})
		month := rate("month", quota.Window{Per: quota.Month, Limit: 10, Roll: quota.Calendar})
		held, stock := holding(quota.Concurrent, "held", 10), holding(quota.Stock, "stock", 10)
		var charges []quota.Charge
		for _, c := range []quota.Counter{minute, strict, month, held, stock} {
			charges = append(charges, quota.Charge{Counter: c, N: 1})
		}
		_, err := store.Take(t.Context(), taking("acme", charges...))
		require.NoError(t, err)
		for _, step := range []struct {
			after time.Duration
			goes  int64
		}{
			{0, 0},
			{time.Minute - time.Millisecond, 0},
			{time.Millisecond, 2}, // the answer, and what was held
			{time.Minute, 1},      // the minute, and the one after it
			{time.Hour, 0},
			{8 * time.Minute, 1},
			{31 * 24 * time.Hour, 0}, // zones may differ
			{33 * 24 * time.Hour, 1},
			{1000 * time.Hour, 0}, // stock stays
		} {
			now = now.Add(step.after)
			deleted, err := store.Prune(t.Context(), 10)
			require.NoError(t, err)
			require.Equal(t, step.goes, deleted, "after %v", step.after)
		}
		_, err = store.Prune(t.Context(), 0)
		require.Error(t, err)
	})
}

// The answers of a tenant do not pile up while it is busy.
func TestAnswersGoInPassing(t *testing.T) {
	onEach(t, func(t *testing.T, p place) {
		now := time.Date(2027, 3, 1, 10, 0, 0, 0, time.UTC)
		store := p.store(t, sqlquota.WithClock(func() time.Time { return now }))
		for range 100 {
			_, err := store.Take(t.Context(), taking("acme", quota.Charge{Counter: rate("requests", daily(1000)), N: 1}))
			require.NoError(t, err)
			now = now.Add(6 * time.Second)
		}
		var kept int
		require.NoError(t, p.open(t).QueryRowContext(t.Context(), "SELECT count(*) FROM tenancy_quota_answers").Scan(&kept))
		assert.LessOrEqual(t, kept, 11)
	})
}

// A burst of a limit that lets nothing in lets nothing in, whatever is asked for.
func TestBurstOfNothing(t *testing.T) {
	onEach(t, func(t *testing.T, p place) {
		c := rate("requests", daily(0))
		c.Terms.Burst = 3
		taken, err := p.store(t).Take(t.Context(), taking("acme", quota.Charge{Counter: c, N: 2, Least: 1}))
		require.NoError(t, err)
		assert.Equal(t, quota.Taken{At: taken.At, Cause: quota.CauseTooLarge, Window: 1}, taken)
	})
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	db := open(t, "sqlite", ":memory:")
	for _, err := range []error{
		func() error { _, err := sqlquota.New(nil, sqlquota.SQLite); return err }(),
		func() error { _, err := sqlquota.New(db, 0); return err }(),
		func() error { _, err := sqlquota.New(db, sqlquota.SQLite, sqlquota.WithClock(nil)); return err }(),
		func() error { _, err := sqlquota.NewSource(nil, sqlquota.SQLite); return err }(),
	} {
		require.Error(t, err)
	}
	unmigrated, err := sqlquota.New(db, sqlquota.SQLite)
	require.NoError(t, err)
	c := rate("requests", daily(1))
	_, err = unmigrated.Take(t.Context(), taking("acme", quota.Charge{Counter: c, N: 1}))
	require.ErrorIs(t, err, quota.ErrUnavailable)
	_, err = unmigrated.Read(t.Context(), "acme", []quota.Counter{c})
	require.ErrorIs(t, err, quota.ErrUnavailable)
	_, err = unmigrated.Take(t.Context(), taking("acme", quota.Charge{Counter: rate("requests", quota.Window{Per: "eon"}), N: 1}))
	require.ErrorIs(t, err, quota.ErrInvalid)
	_, err = unmigrated.Read(t.Context(), "no tenant", []quota.Counter{c})
	require.ErrorIs(t, err, tenant.ErrInvalidID)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = unmigrated.Take(ctx, taking("acme"))
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, quota.ErrUnavailable)
}
