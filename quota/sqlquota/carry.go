package sqlquota

import (
	"maps"
	"slices"

	"github.com/tenancy-go/tenancy/quota"
)

// carryOut carries out the returns of r and then its charges, all or none, on the
// counters that r names. It returns those that changed.
func (r *request) carryOut(counters []*counter, now int64) (a answer, changed []*counter, err error) {
	touched := make(map[int]bool)
	for _, back := range r.Returns {
		touched[back.Slot] = true
		if err := counters[back.Slot].giveBack(back, r.Holder, now); err != nil {
			return answer{}, nil, err
		}
	}
	before := make([]counter, len(counters))
	for i, c := range counters {
		before[i] = *c
		before[i].Holders = maps.Clone(c.Holders)
	}
	a = answer{OK: true, At: now}
	for i, charge := range r.Charges {
		c := counters[charge.Slot]
		rolled, err := c.roll(charge.Windows, now)
		if err != nil {
			return answer{}, nil, err
		}
		// A refusal leaves no more than the windows, if there was a counter at all.
		touched[charge.Slot] = touched[charge.Slot] || rolled && c.Used > 0
		g, refused := c.take(charge, r.Holder, now+r.TTL, now)
		if refused.Cause != "" {
			a = answer{At: now, refusal: refused, Refused: i}
			break
		}
		a.Granted = append(a.Granted, g)
	}
	if a.OK {
		return a, counters, nil
	}
	for i, c := range counters { // undo what was charged
		c.Used, c.Arrival, c.Holders = before[i].Used, before[i].Arrival, before[i].Holders
	}
	for _, slot := range slices.Sorted(maps.Keys(touched)) {
		if touched[slot] {
			changed = append(changed, counters[slot])
		}
	}
	return a, changed, nil
}

func (c *counter) take(charge charge, holder string, until, now int64) (granted, refusal) {
	if c.Kind == string(quota.Rate) {
		return c.count(charge, now)
	}
	return c.hold(charge, holder, until, now)
}

func (c *counter) giveBack(back giveBack, holder string, now int64) error {
	if c.Kind != string(quota.Rate) {
		c.release(back, holder, now)
		return nil
	}
	if _, err := c.roll(back.Windows, now); err != nil {
		return err
	}
	c.uncount(back, now)
	return nil
}
