package sqlquota

import (
	"maps"

	"github.com/tenancy-go/tenancy/quota"
)

// busyRetry is when to try again for what others hold, in nanoseconds: a guess.
const busyRetry = 1_000_000_000

// live returns what is kept and held, and forgets holders whose time is over.
func (c *counter) live(now int64) int64 {
	maps.DeleteFunc(c.Holders, func(_ string, h [2]int64) bool { return h[1] <= now })
	used := c.Kept
	for _, h := range c.Holders {
		used += h[0]
	}
	return used
}

// set says that the holder holds n units until then.
func (c *counter) set(holder string, n, until int64) {
	if n <= 0 {
		delete(c.Holders, holder)
		return
	}
	c.Holders[holder] = [2]int64{n, until}
}

// hold takes units that the holder holds until then, unless the refusal has a cause.
func (c *counter) hold(charge charge, holder string, until, now int64) (granted, refusal) {
	used, n, room := c.live(now), charge.N, maxUnits
	if charge.Max != quota.Unlimited {
		room = charge.Max - used
	}
	if charge.Least > 0 {
		n = min(n, max(room, charge.Least))
	}
	switch {
	case n <= room:
	case n > charge.Max:
		return granted{}, refusal{Cause: causeTooLarge}
	case c.Kind == string(quota.Concurrent):
		return granted{}, refusal{Cause: causeBusy, Retry: busyRetry}
	default:
		return granted{}, refusal{Cause: causeStock}
	}
	before := c.Holders[holder]
	c.set(holder, before[0]+n, max(before[1], until))
	return granted{N: n, Left: room - n}, refusal{}
}

// release carries out the return of what is held or kept.
func (c *counter) release(back giveBack, holder string, now int64) {
	c.live(now)
	before := c.Holders[holder]
	c.set(holder, before[0]-back.N, before[1])
	if c.Kind != string(quota.Stock) {
		return
	}
	if !back.Exact {
		back.Kept += c.Kept
	}
	c.Kept = max(0, back.Kept)
}
