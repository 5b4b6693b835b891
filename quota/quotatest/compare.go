package quotatest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tenancy-go/tenancy/quota"
)

// run is a random run of a store with the store in memory beside it.
type run struct {
	*rig
	rnd      *rand.Rand
	memory   *quota.MemoryStore
	counters []quota.Counter
	granted  []quota.Return // what may go back
}

// compareRun sends the same random requests to the rig's store and to one in memory.
func compareRun(r *rig, seed uint64) error {
	c := &run{rig: r, rnd: rand.New(rand.NewPCG(seed, 17)), memory: quota.NewMemoryStore(r.now)}
	for i := range 5 {
		c.counters = append(c.counters, c.counter(fmt.Sprintf("run-%d-%d", seed, i)))
	}
	for range 100 {
		if err := c.step(); err != nil {
			return fmt.Errorf("at %v: %w", c.now(), err)
		}
	}
	return nil
}

// counter returns one with random terms.
func (c *run) counter(limit string) quota.Counter {
	kinds := []quota.Kind{quota.Rate, quota.Rate, quota.Rate, quota.Concurrent, quota.Stock}
	counter := holding(kinds[c.rnd.IntN(len(kinds))], limit, 5+c.rnd.Int64N(50))
	if counter.Terms.Kind != quota.Rate {
		return counter
	}
	all := []quota.Window{
		rolling(quota.Every(10*time.Second), 0), strict(quota.Every(20*time.Second), 0), rolling(quota.Minute, 0),
		strict(quota.Hour, 0), calendar(quota.Day, 0), calendar(quota.Week, 0), calendar(quota.Month, 0),
	}
	for _, w := range all {
		if c.rnd.IntN(3) == 0 {
			w.Limit = 1 + c.rnd.Int64N(60)
			counter.Terms.Windows = append(counter.Terms.Windows, w)
		}
	}
	if len(counter.Terms.Windows) > 0 && counter.Terms.Windows[0].Roll != quota.Calendar && c.rnd.IntN(3) == 0 {
		counter.Terms.Burst = 1 + c.rnd.Int64N(20)
	}
	counter.Terms.Zone = mustLoad("Europe/Berlin")
	return counter
}

// step waits, and takes or returns something at random.
func (c *run) step() error {
	pauses := []time.Duration{0, time.Millisecond, 700 * time.Millisecond, 3 * time.Second, 25 * time.Second, 40 * time.Minute, 20 * time.Hour}
	c.advance(pauses[c.rnd.IntN(len(pauses))])
	t := c.taking()
	t.Holder = fmt.Sprintf("process-%d", c.rnd.IntN(3))
	if len(c.granted) > 0 && c.rnd.IntN(3) == 0 {
		i := c.rnd.IntN(len(c.granted))
		t.Returns = append(t.Returns, c.granted[i])
		c.granted = append(c.granted[:i], c.granted[i+1:]...)
	}
	for range c.rnd.IntN(3) {
		charge := quota.Charge{Counter: c.counters[c.rnd.IntN(len(c.counters))], N: c.rnd.Int64N(12)}
		if charge.N > 0 && c.rnd.IntN(3) == 0 {
			charge.Least = 1 + c.rnd.Int64N(charge.N)
		}
		if len(t.Charges) == 0 || t.Charges[0].Limit != charge.Limit {
			t.Charges = append(t.Charges, charge)
		}
	}
	return c.both(t)
}

// both carries t out in both stores, and compares.
func (c *run) both(t quota.Taking) error {
	want, err := c.memory.Take(c.ctx, t)
	if err != nil {
		return err
	}
	got, err := c.Take(c.ctx, t)
	if err != nil {
		return err
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		return fmt.Errorf("%w: %+v, in memory %+v; of %s", errDiffer, got, want, describe(t))
	}
	for i, g := range want.Granted {
		r := quota.Return{Counter: t.Charges[i].Counter, N: g.N, At: want.At}
		if r.Terms.Kind == quota.Stock {
			r.Kept = c.rnd.Int64N(3)
		}
		c.granted = append(c.granted, r)
	}
	wantLevels, err := c.memory.Read(c.ctx, "acme", c.counters)
	if err != nil {
		return err
	}
	gotLevels, err := c.Read(c.ctx, "acme", c.counters)
	if err != nil {
		return err
	}
	if fmt.Sprintf("%+v", gotLevels) != fmt.Sprintf("%+v", wantLevels) {
		return fmt.Errorf("%w: levels %+v, in memory %+v; after %s", errDiffer, gotLevels, wantLevels, describe(t))
	}
	return nil
}

func describe(t quota.Taking) string {
	text := "returns"
	for _, r := range t.Returns {
		text += fmt.Sprintf(" %s %d/%d at %v %+v,", r.Limit, r.N, r.Kept, r.At, *r.Terms)
	}
	text += " charges"
	for _, c := range t.Charges {
		text += fmt.Sprintf(" %s %d/%d %+v,", c.Limit, c.N, c.Least, *c.Terms)
	}
	return text
}
