package quotatest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// Open returns a client of the data that it belongs to, which takes the time from now.
// Each call returns another, as another process would have.
type Open func(now func() time.Time) quota.Store

// TestStore checks the stores that fresh returns, each time with empty data.
func TestStore(t *testing.T, fresh func(t *testing.T) Open) {
	for _, c := range clauses {
		t.Run(c.name, func(t *testing.T) {
			if err := c.check(newRig(t.Context(), fresh(t))); err != nil {
				t.Error(err)
			}
		})
	}
}

// CheckStore returns what fails, by the name of the clause.
func CheckStore(ctx context.Context, fresh func() Open) map[string]error {
	failed := make(map[string]error)
	for _, c := range clauses {
		if err := c.check(newRig(ctx, fresh())); err != nil {
			failed[c.name] = err
		}
	}
	return failed
}

// clause is one promise of quota.Store.
type clause struct {
	name  string
	check func(r *rig) error
}

var clauses = []clause{
	{"a rate lets in what fits", rateFits},
	{"windows roll", windowsRoll},
	{"strict windows never let in more", strictHolds},
	{"calendar windows begin anew", calendarsBegin},
	{"a clock that is set back brings nothing back", clockSetBack},
	{"a new zone brings nothing back", zonesBringNothing},
	{"bursts are spread", burstsSpread},
	{"all charges or none", allOrNone},
	{"counters are apart", countersApart},
	{"a repeated ID counts once", repeatedOnce},
	{"a repeated ID counts once, also at the same time", repeatedTogether},
	{"answers are remembered as long as it is said", remembered},
	{"exactly the limit, from several clients at once", exactTogether},
	{"as many as there is room for", partly},
	{"units go back where they were counted", goBack},
	{"what was used beyond the limit is owed", owed},
	{"no counter ends", noneEnds},
	{"what is held is bounded", heldBounded},
	{"what nobody renews is free again", heldRunsOut},
	{"what is renewed is held as it is said", renewed},
	{"stock is reserved, kept and released", stockKept},
	{"what was reserved by the dead is free again", reservationsRunOut},
	{"stock is set to the truth", stockExact},
	{"changed terms remember", termsChange},
	{"windows that come back remember", windowsComeBack},
	{"a batch is as one by one", batched},
	{"malformed requests have no effect", malformed},
	{"reading changes nothing", readOnly},
	{"a context that ended is heeded", contextEnds},
	{"random runs are as in memory", likeMemory},
}

// rig is a store under test.
type rig struct {
	ctx  context.Context
	open Open
	quota.Store
	clock atomic.Int64
	ids   atomic.Int64
}

// start is a Wednesday, two hours and some before midnight in UTC.
var start = time.Date(2026, 9, 30, 21, 42, 10, 0, time.UTC)

func newRig(ctx context.Context, open Open) *rig {
	r := &rig{ctx: ctx, open: open}
	r.clock.Store(start.UnixNano())
	r.Store = open(r.now)
	return r
}

func (r *rig) now() time.Time          { return time.Unix(0, r.clock.Load()).UTC() }
func (r *rig) advance(d time.Duration) { r.clock.Add(int64(d)) }

// taking returns a Taking of acme's with an ID of its own.
func (r *rig) taking(charges ...quota.Charge) quota.Taking {
	return quota.Taking{
		ID: fmt.Sprintf("taking-%d", r.ids.Add(1)), Tenant: "acme", Holder: "process-1", TTL: 10 * time.Second, Charges: charges,
	}
}

// take takes n units of c.
func (r *rig) take(c quota.Counter, n int64) (quota.Taken, error) {
	return r.Take(r.ctx, r.taking(quota.Charge{Counter: c, N: n}))
}

// wants returns an error unless exactly want of n tries for a unit of c are granted.
func (r *rig) wants(c quota.Counter, tries int, want int) error {
	granted := 0
	for range tries {
		taken, err := r.take(c, 1)
		if err != nil {
			return err
		}
		if taken.OK {
			granted++
		}
	}
	if granted != want {
		return fmt.Errorf("%d of %d units were granted at %v, want %d", granted, tries, r.now(), want)
	}
	return nil
}

// used returns an error unless so much is used of the windows of c, or of c itself.
func (r *rig) used(c quota.Counter, want ...int64) error {
	levels, err := r.Read(r.ctx, "acme", []quota.Counter{c})
	if err != nil {
		return err
	}
	got := []int64{levels[0].Used}
	if c.Terms.Kind == quota.Rate {
		got = nil
		for _, w := range levels[0].Windows {
			got = append(got, w.Used)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("%v are used of %s at %v, want %v", got, c.Limit, r.now(), want)
	}
	return nil
}

// refused returns an error unless n units of c are refused for the cause, with when to
// come back.
func (r *rig) refused(c quota.Counter, n int64, cause quota.Cause, retry time.Duration) error {
	taken, err := r.take(c, n)
	switch {
	case err != nil:
		return err
	case taken.OK:
		return fmt.Errorf("%d units were granted at %v, want a refusal", n, r.now())
	case taken.Cause != cause || taken.RetryAfter != retry:
		return fmt.Errorf("%d units were refused at %v: %v, again in %v; want %v, again in %v", n, r.now(), taken.Cause, taken.RetryAfter, cause, retry)
	}
	return nil
}

// back returns things.
func (r *rig) back(returns ...quota.Return) error {
	t := r.taking()
	t.Returns = returns
	_, err := r.Take(r.ctx, t)
	return err
}

// first returns the first error of steps, each run after the one before.
func first(steps ...func() error) error {
	for i, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

// rate returns a counter of windows.
func rate(limit string, windows ...quota.Window) quota.Counter {
	return quota.Counter{Limit: limit, Terms: &quota.Terms{Kind: quota.Rate, Windows: windows, Zone: time.UTC}}
}

// holding returns a counter of what is held or kept.
func holding(kind quota.Kind, limit string, max int64) quota.Counter {
	return quota.Counter{Limit: limit, Terms: &quota.Terms{Kind: kind, Max: max, Zone: time.UTC}}
}

func rolling(per quota.Period, limit int64) quota.Window {
	return quota.Window{Per: per, Limit: limit, Roll: quota.Rolling}
}

func strict(per quota.Period, limit int64) quota.Window {
	return quota.Window{Per: per, Limit: limit, Roll: quota.Strict}
}

func calendar(per quota.Period, limit int64) quota.Window {
	return quota.Window{Per: per, Limit: limit, Roll: quota.Calendar}
}

var errNot = errors.New("quotatest: no error, want one")

// fails returns an error unless err is target.
func fails(err, target error) error {
	if err == nil {
		return errNot
	}
	if target != nil && !errors.Is(err, target) {
		return fmt.Errorf("the error is %w, want %w", err, target)
	}
	return nil
}

// globex is another tenant.
const globex = tenant.ID("globex")
