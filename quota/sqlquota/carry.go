package sqlquota

import (
	"slices"

	"github.com/tenancy-go/tenancy/quota/internal/count"
)

// carryOut carries out the returns of r and then its charges, all or none, on the
// counters that r names. It returns those that changed.
func (r *request) carryOut(counters []*counter, now int64) (count.Answer, []*counter) {
	for _, back := range r.Returns {
		counters[back.Slot].GiveBack(&back.spec, back.Return, r.Holder, now)
	}
	charges := make([]count.Asked, len(r.Charges))
	for i, c := range r.Charges {
		charges[i] = count.Asked{Counter: &counters[c.Slot].Counter, Spec: &c.spec, Charge: c.Charge}
	}
	a := count.TakeAll(charges, count.Holder{Name: r.Holder, Until: now + r.TTL}, now)
	if a.OK {
		return a, counters
	}
	return a, slices.DeleteFunc(counters, func(c *counter) bool { return !c.Changed() })
}
