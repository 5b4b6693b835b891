package quotatest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

func rateFits(r *rig) error {
	c := rate("requests", rolling(quota.Minute, 5), rolling(quota.Hour, 8))
	return first(
		func() error { return r.wants(c, 7, 5) },
		func() error { return r.used(c, 5, 5) },
		func() error { return r.refused(c, 6, quota.CauseTooLarge, 0) },
		func() error { return r.refused(c, 1, quota.CauseLimit, 62*time.Second) }, // 50 s to the edge, and a fifth of the next minute
		func() error { r.advance(2 * time.Minute); return r.wants(c, 7, 3) },
		func() error { return r.used(c, 3, 8) },
		func() error { return r.wants(rate("unlimited"), 10, 10) },
		func() error { return r.refused(rate("nothing", rolling(quota.Minute, 0)), 1, quota.CauseTooLarge, 0) },
	)
}

func windowsRoll(r *rig) error {
	c := rate("requests", rolling(quota.Minute, 60))
	return first(
		func() error { return r.wants(c, 61, 60) }, // 10 s into a minute
		func() error { r.advance(50 * time.Second); return r.wants(c, 1, 0) },
		func() error { r.advance(time.Second - time.Millisecond); return r.wants(c, 1, 0) },
		func() error { r.advance(time.Millisecond); return r.wants(c, 2, 1) },
		func() error { r.advance(29 * time.Second); return r.used(c, 31) }, // half of the 60, and the one
		func() error { return r.wants(c, 40, 29) },
		func() error { r.advance(2 * time.Minute); return r.used(c, 0) },
	)
}

func strictHolds(r *rig) error {
	c := rate("requests", strict(quota.Every(8*time.Second), 4))
	var granted []time.Time
	for i := range 400 {
		taken, err := r.take(c, 1)
		if err != nil {
			return err
		}
		if taken.OK {
			granted = append(granted, r.now())
		}
		r.advance(100 * time.Millisecond) // many at once, and then a pause
		if i%7 == 0 {
			r.advance(6300 * time.Millisecond)
		}
	}
	for i := 4; i < len(granted); i++ {
		if granted[i].Sub(granted[i-4]) < 8*time.Second {
			return fmt.Errorf("5 units within %v, want 4 within 8s at most", granted[i].Sub(granted[i-4]))
		}
	}
	if len(granted) < 100 { // 380 s, at nine seconds for four
		return fmt.Errorf("only %d units were granted, want 100 or more", len(granted))
	}
	return nil
}

func calendarsBegin(r *rig) error {
	day, month := rate("days", calendar(quota.Day, 3)), rate("months", calendar(quota.Month, 4))
	berlin := rate("berlin", calendar(quota.Day, 3))
	berlin.Terms.Zone = mustLoad("Europe/Berlin")
	toMidnight := 2*time.Hour + 17*time.Minute + 50*time.Second
	return first(
		func() error { return r.wants(day, 4, 3) },
		func() error { return r.wants(month, 5, 4) },
		func() error { return r.wants(berlin, 4, 3) },
		func() error { return r.refused(day, 1, quota.CauseLimit, toMidnight) },
		func() error { return r.refused(month, 1, quota.CauseLimit, toMidnight) }, // September ends
		func() error { return r.refused(berlin, 1, quota.CauseLimit, toMidnight-2*time.Hour) },
		func() error { r.advance(toMidnight - 2*time.Hour); return r.wants(berlin, 4, 3) },
		func() error { r.advance(2*time.Hour - time.Millisecond); return r.wants(day, 1, 0) },
		func() error { r.advance(time.Millisecond); return r.wants(day, 4, 3) },
		func() error { return r.wants(month, 5, 4) },
		func() error { r.advance(5 * 24 * time.Hour); return r.used(day, 0) },
	)
}

func mustLoad(zone string) *time.Location {
	location, err := time.LoadLocation(zone)
	if err != nil {
		return time.FixedZone(zone, 2*60*60) // as it is in September
	}
	return location
}

func zonesBringNothing(r *rig) error {
	granted := 0
	for hour := range 36 {
		c := rate("days", calendar(quota.Day, 2))
		c.Terms.Zone = time.FixedZone(fmt.Sprintf("zone-%d", hour%24), ((hour+3)%24-11)*3600)
		for range 3 {
			taken, err := r.take(c, 1)
			if err != nil {
				return err
			}
			if taken.OK {
				granted++
			}
		}
		r.advance(time.Hour)
	}
	if granted > 3*2 {
		return fmt.Errorf("%d units in a day and a half that travels with the midnight, want %d at most", granted, 3*2)
	}
	return nil
}

// clockSetBack sets the store's clock back over the begin of a window, or of a part of it,
// as when another server takes over whose clock is behind.
func clockSetBack(r *rig) error {
	all := []quota.Window{rolling(quota.Minute, 10), strict(quota.Minute, 10), strict(quota.Hour, 10), calendar(quota.Day, 10)}
	r.advance(-time.Duration(r.now().UnixNano())%(24*time.Hour) + 24*time.Hour - 10*time.Millisecond)
	for i, w := range all {
		c := rate(fmt.Sprintf("window-%d", i), w)
		before := r.now()
		taken, err := r.take(c, 9)
		if err != nil || !taken.OK {
			return fmt.Errorf("%s: %+v, %w", w, taken, err)
		}
		r.advance(20 * time.Millisecond) // to the next window or part
		more := 1
		if w.Roll == quota.Calendar {
			more = 10
		}
		err = first(
			func() error { return r.wants(c, more+1, more) },
			func() error { r.advance(-20 * time.Millisecond); return r.wants(c, 10, 0) },
			func() error { return r.back(quota.Return{Counter: c, N: 1, At: before.Add(20 * time.Millisecond)}) },
			func() error { return r.wants(c, 10, 1) },
		)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", w, w.Roll, err)
		}
	}
	return nil
}

func burstsSpread(r *rig) error {
	c := rate("requests", rolling(quota.Minute, 60), rolling(quota.Hour, 1000))
	c.Terms.Burst = 3
	return first(
		func() error { return r.wants(c, 5, 3) },
		func() error { return r.refused(c, 1, quota.CauseLimit, time.Second) },
		func() error { return r.refused(c, 4, quota.CauseTooLarge, 0) },
		func() error { return r.used(c, 3, 3) },
		func() error { r.advance(time.Second); return r.wants(c, 3, 1) },
		func() error { r.advance(10 * time.Second); return r.wants(c, 5, 3) },
	)
}

func allOrNone(r *rig) error {
	a, b := rate("a", rolling(quota.Hour, 5)), rate("b", rolling(quota.Hour, 2))
	held, kept := holding(quota.Concurrent, "held", 2), holding(quota.Stock, "kept", 100)
	all := []quota.Charge{{Counter: a, N: 1}, {Counter: held, N: 1}, {Counter: kept, N: 10}, {Counter: b, N: 1}}
	for range 2 {
		if taken, err := r.Take(r.ctx, r.taking(all...)); err != nil || !taken.OK {
			return fmt.Errorf("%+v, %w", taken, err)
		}
	}
	third := []quota.Charge{all[0], all[2], all[3]}
	taken, err := r.Take(r.ctx, r.taking(third...))
	if err != nil || taken.OK || taken.Refused != 2 {
		return fmt.Errorf("%+v, %w; want the third charge refused", taken, err)
	}
	twice := holding(quota.Concurrent, "twice", 2)
	if taken, err = r.Take(r.ctx, r.taking(quota.Charge{Counter: twice, N: 1}, quota.Charge{Counter: twice, N: 1}, quota.Charge{Counter: twice, N: 1})); err != nil || taken.OK {
		return fmt.Errorf("%+v, %w; want the third of one counter refused", taken, err)
	}
	return first(
		func() error { return r.used(twice, 0) },
		func() error { return r.used(a, 2) },
		func() error { return r.used(held, 2) },
		func() error { return r.used(kept, 20) },
		func() error { return r.used(b, 2) },
	)
}

func countersApart(r *rig) error {
	one := rolling(quota.Hour, 1)
	odd := []string{"", "a", "a:b", "a}b", "{a}", "a b", "a\nb", "ä", "%s", "'", `"`, `\`, "*", "a'--", ":", "::"}
	for _, limit := range odd[1:] {
		for _, key := range odd {
			c := rate(limit, one)
			c.Key = key
			if err := r.wants(c, 2, 1); err != nil {
				return fmt.Errorf("limit %q, key %q: %w", limit, key, err)
			}
		}
	}
	for _, kind := range []quota.Kind{quota.Concurrent, quota.Stock} {
		c := holding(kind, "a", 1)
		if err := r.wants(c, 2, 1); err != nil {
			return fmt.Errorf("kind %s: %w", kind, err)
		}
	}
	t := r.taking(quota.Charge{Counter: rate("a", one), N: 1})
	t.Tenant = globex
	taken, err := r.Take(r.ctx, t)
	if err != nil || !taken.OK {
		return fmt.Errorf("another tenant: %+v, %w", taken, err)
	}
	levels, err := r.Read(r.ctx, "initech", []quota.Counter{rate("a", one)})
	if err != nil || levels[0].Windows[0].Used != 0 {
		return fmt.Errorf("a third tenant: %+v, %w", levels, err)
	}
	return nil
}

func repeatedOnce(r *rig) error {
	c, kept := rate("requests", rolling(quota.Hour, 10)), holding(quota.Stock, "kept", 100)
	t := r.taking(quota.Charge{Counter: c, N: 3}, quota.Charge{Counter: kept, N: 5})
	once, err := r.Take(r.ctx, t)
	if err != nil {
		return err
	}
	r.advance(3 * time.Second)
	again, err := r.open(r.now).Take(r.ctx, t)
	if err != nil {
		return err
	}
	if fmt.Sprintf("%+v", once) != fmt.Sprintf("%+v", again) {
		return fmt.Errorf("the second answer is %+v, the first was %+v", again, once)
	}
	refused := r.taking(quota.Charge{Counter: c, N: 8})
	returned := r.taking()
	returned.Returns = []quota.Return{{Counter: c, N: 1, At: once.At}}
	for range 3 {
		if taken, err := r.Take(r.ctx, refused); err != nil || taken.OK {
			return fmt.Errorf("%+v, %w; want a refusal each time", taken, err)
		}
		if _, err := r.Take(r.ctx, returned); err != nil {
			return err
		}
	}
	other := t
	other.Tenant = globex // the same ID is another Taking
	if taken, err := r.Take(r.ctx, other); err != nil || !taken.OK {
		return fmt.Errorf("%+v, %w", taken, err)
	}
	levels, err := r.Read(r.ctx, globex, []quota.Counter{c})
	if err != nil || levels[0].Windows[0].Used != 3 {
		return fmt.Errorf("%+v, %w; want 3 used by the other tenant", levels, err)
	}
	return errors.Join(r.used(c, 2), r.used(kept, 5))
}

func repeatedTogether(r *rig) error {
	c := rate("requests", rolling(quota.Hour, 1000))
	t := r.taking(quota.Charge{Counter: c, N: 7})
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		store := r.open(r.now)
		wg.Go(func() { _, errs[i] = store.Take(r.ctx, t) })
	}
	wg.Wait()
	return errors.Join(errors.Join(errs...), r.used(c, 7))
}

func exactTogether(r *rig) error {
	c, d := rate("requests", rolling(quota.Minute, 50), strict(quota.Hour, 60)), holding(quota.Concurrent, "held", 1000)
	var granted atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		store := r.open(r.now)
		wg.Go(func() {
			for n := range 15 {
				charges := []quota.Charge{{Counter: c, N: 1}, {Counter: d, N: 1}}
				if n%2 == 0 {
					charges[0], charges[1] = charges[1], charges[0]
				}
				taken, err := store.Take(r.ctx, r.taking(charges...))
				if err != nil {
					errs[i] = err
					return
				}
				if taken.OK {
					granted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if granted.Load() != 50 {
		return fmt.Errorf("%d were granted, want 50", granted.Load())
	}
	return errors.Join(r.used(c, 50, 50), r.used(d, 50))
}

func partly(r *rig) error {
	c := rate("requests", rolling(quota.Minute, 10), rolling(quota.Hour, 100))
	lease := func(n, least int64) (quota.Taken, error) {
		return r.Take(r.ctx, r.taking(quota.Charge{Counter: c, N: n, Least: least}))
	}
	want := func(n, least int64, granted quota.Granted) func() error {
		return func() error {
			taken, err := lease(n, least)
			if err != nil || !taken.OK || taken.Granted[0] != granted {
				return fmt.Errorf("%+v, %w; want %+v", taken, err, granted)
			}
			return nil
		}
	}
	edge := 50 * time.Second
	return first(
		want(6, 1, quota.Granted{N: 6, Left: 4, For: edge}),
		want(6, 2, quota.Granted{N: 4, Left: 0, For: edge}),
		func() error { return r.refused(c, 1, quota.CauseLimit, 56*time.Second) },
		func() error {
			taken, err := lease(6, 1)
			if err != nil || taken.OK {
				return fmt.Errorf("%+v, %w; want a refusal", taken, err)
			}
			return nil
		},
	)
}

func goBack(r *rig) error {
	c := rate("requests", rolling(quota.Minute, 10), strict(quota.Every(80*time.Second), 12), calendar(quota.Day, 100))
	var at [3]time.Time
	take := func(i int, n int64) func() error {
		return func() error {
			taken, err := r.take(c, n)
			at[i] = taken.At
			if err == nil && !taken.OK {
				err = fmt.Errorf("%+v", taken)
			}
			return err
		}
	}
	return first(
		take(0, 4), // 10 s into a minute
		func() error { r.advance(20 * time.Second); return nil },
		take(1, 6),
		func() error { return r.back(quota.Return{Counter: c, N: 1, At: at[1]}) },
		func() error { return r.used(c, 9, 9, 9) },
		func() error { r.advance(45 * time.Second); return r.used(c, 7, 9, 9) }, // 15 s into the next: three quarters of 9
		func() error { return r.back(quota.Return{Counter: c, N: 5, At: at[1]}) },
		func() error { return r.used(c, 3, 4, 4) },
		func() error { return r.back(quota.Return{Counter: c, N: 4, At: at[0]}) },
		func() error { return r.used(c, 0, 0, 0) },
		take(2, 10),
		func() error { r.advance(26 * time.Hour); return r.back(quota.Return{Counter: c, N: 10, At: at[2]}) },
		func() error { return r.used(c, 0, 0, 0) },
		func() error { return r.wants(c, 11, 10) }, // nothing was gained
	)
}

func owed(r *rig) error {
	c := rate("tokens", calendar(quota.Day, 100))
	return first(
		func() error { return r.wants(c, 10, 10) },
		func() error { return r.back(quota.Return{Counter: c, N: -140}) },
		func() error { return r.used(c, 150) },
		func() error { return r.wants(c, 1, 0) },
		func() error { return r.back(quota.Return{Counter: c, N: 51, At: r.now()}) },
		func() error { return r.wants(c, 2, 1) },
	)
}

// noneEnds owes so much that whole numbers of 64 bits do not hold it, of windows that go on
// meanwhile and of windows that others will ask for again, and has it forgotten in time.
func noneEnds(r *rig) error {
	some := rate("requests", rolling(quota.Minute, 100), calendar(quota.Week, 200))
	all := rate("requests", rolling(quota.Minute, 100), rolling(quota.Hour, 100), strict(quota.Day, 100), calendar(quota.Week, 200))
	bursts := rate("bursts", rolling(quota.Minute, 100))
	bursts.Terms.Burst = 10
	stock, held := holding(quota.Stock, "storage", 100), holding(quota.Concurrent, "streams", 100)
	for _, c := range []quota.Counter{all, bursts, stock, held} {
		if err := r.wants(c, 1, 1); err != nil {
			return err
		}
	}
	for _, c := range []quota.Counter{some, bursts, stock, held} {
		for range 12 {
			if err := r.back(slices.Repeat([]quota.Return{{Counter: c, N: -1 << 53, Kept: 1 << 53}}, 100)...); err != nil {
				return fmt.Errorf("%s: %w", c.Limit, err)
			}
			if err := r.wants(c, 1, 0); err != nil {
				return fmt.Errorf("%s: %w", c.Limit, err)
			}
		}
	}
	return first(
		func() error { return r.wants(all, 1, 0) },
		func() error { r.advance(2 * time.Minute); return r.wants(some, 1, 0) }, // the week's
		func() error { r.advance(28 * time.Hour); return r.wants(all, 1, 0) },
		func() error { return r.wants(held, 1, 1) }, // its holder is gone
		func() error { return r.back(quota.Return{Counter: stock, Exact: true}) },
		func() error { return r.wants(stock, 101, 100) },
		func() error { r.advance(7 * 24 * time.Hour); return r.wants(all, 101, 100) },
		func() error {
			for range 6 { // what goes back goes on, too
				if err := r.back(slices.Repeat([]quota.Return{{Counter: bursts, N: 1 << 53, At: r.now()}}, 200)...); err != nil {
					return err
				}
			}
			return nil
		},
		func() error { return r.wants(bursts, 11, 10) },
	)
}

func termsChange(r *rig) error {
	small := rate("requests", rolling(quota.Minute, 10), rolling(quota.Hour, 20))
	large := rate("requests", rolling(quota.Minute, 30), rolling(quota.Hour, 50), calendar(quota.Day, 40))
	return first(
		func() error { return r.wants(small, 15, 10) },
		func() error { return r.wants(large, 31, 20) },
		func() error { return r.wants(small, 1, 0) },
		func() error { return r.used(large, 30, 30, 20) }, // the day is new, and began with the large plan
		func() error { r.advance(2 * time.Minute); return r.wants(small, 1, 0) },
		func() error { return r.wants(large, 30, 20) },
	)
}

func windowsComeBack(r *rig) error {
	with, without := rate("requests", rolling(quota.Minute, 10), rolling(quota.Hour, 12)), rate("requests", rolling(quota.Minute, 10))
	return first(
		func() error { return r.wants(with, 11, 10) },
		func() error { r.advance(2 * time.Minute); return r.wants(without, 11, 10) },
		func() error { r.advance(2 * time.Minute); return r.wants(with, 1, 0) }, // twenty in the hour
		func() error { return r.used(with, 0, 20) },
	)
}

func malformed(r *rig) error {
	c := rate("requests", rolling(quota.Hour, 10))
	good := r.taking(quota.Charge{Counter: c, N: 1})
	bad := []func(t *quota.Taking){
		func(t *quota.Taking) { t.Tenant = "" },
		func(t *quota.Taking) { t.Tenant = tenant.ID("no tenant") },
		func(t *quota.Taking) { t.ID = "" },
		func(t *quota.Taking) { t.Holder = "" },
		func(t *quota.Taking) { t.TTL = 0 },
		func(t *quota.Taking) { t.TTL = 401 * 24 * time.Hour },
		func(t *quota.Taking) { t.Remember = -1 },
		func(t *quota.Taking) { t.Remember = 8 * 24 * time.Hour },
		func(t *quota.Taking) { t.Forget = strings.Repeat("x", 65) },
		func(t *quota.Taking) { t.Charges = []quota.Charge{{Counter: c, N: -1}} },
		func(t *quota.Taking) { t.Charges = []quota.Charge{{Counter: c, N: 1, Least: 2}} },
		func(t *quota.Taking) {
			t.Charges = append(t.Charges, quota.Charge{Counter: quota.Counter{Limit: "x"}, N: 1})
		},
		func(t *quota.Taking) { t.Returns = []quota.Return{{Counter: quota.Counter{Terms: c.Terms}, N: 1}} },
		func(t *quota.Taking) { t.Charges = slices.Repeat(t.Charges, 201) },
		func(t *quota.Taking) { t.Returns = slices.Repeat([]quota.Return{{Counter: c, N: 1}}, 201) },
		func(t *quota.Taking) { t.Charges[0] = quota.Charge{Counter: rate("x", rolling("fortnight", 1)), N: 1} },
		func(t *quota.Taking) {
			t.Charges = []quota.Charge{{Counter: quota.Counter{Limit: "x", Terms: &quota.Terms{Kind: quota.Rate, Windows: []quota.Window{calendar(quota.Day, 1)}}}, N: 1}}
		},
	}
	for i, spoil := range bad {
		t := good
		spoil(&t)
		if _, err := r.Take(r.ctx, t); err == nil {
			return fmt.Errorf("malformed taking %d: %w", i, errNot)
		}
	}
	return r.used(c, 0)
}

// readOnly reads a counter before it counts: its windows begin with the first unit, not
// when somebody looked.
func readOnly(r *rig) error {
	short := rate("requests", rolling(quota.Minute, 10))
	long := rate("requests", rolling(quota.Minute, 10), rolling(quota.Hour, 20))
	return errors.Join(first(
		func() error { return r.used(long, 0, 0) },
		func() error { return r.wants(short, 7, 7) },
		func() error { return r.used(long, 7, 0) }, // the hour is not there yet
		func() error { return r.wants(long, 1, 1) },
		func() error { return r.used(long, 8, 1) },
	), readMalformed(r))
}

// readMalformed reads and renews what no store counts.
func readMalformed(r *rig) error {
	c := quota.Counter{Limit: "x"}
	_, read := r.Read(r.ctx, "acme", []quota.Counter{c})
	renew := r.Renew(r.ctx, "process-1", time.Second, []quota.Held{{Tenant: "acme", Counter: c, N: 1}})
	return errors.Join(fails(read, quota.ErrInvalid), fails(renew, quota.ErrInvalid))
}

func contextEnds(r *rig) error {
	ctx, cancel := context.WithCancel(r.ctx)
	cancel()
	c := rate("requests", rolling(quota.Hour, 10))
	_, take := r.Take(ctx, r.taking(quota.Charge{Counter: c, N: 1}))
	_, read := r.Read(ctx, "acme", []quota.Counter{c})
	renew := r.Renew(ctx, "process-1", time.Second, []quota.Held{{Tenant: "acme", Counter: holding(quota.Concurrent, "x", 1), N: 1}})
	return errors.Join(fails(take, nil), fails(read, nil), fails(renew, nil))
}
