package count

import "maps"

// Holder is who holds what is taken, and until when.
type Holder struct {
	Name  string
	Until int64
}

// BusyRetry is when to try again for what others hold, in nanoseconds: a guess.
const BusyRetry = 1_000_000_000

// held returns what is kept and held, and forgets holders whose time is over.
func (c *Counter) held(now int64) int64 {
	maps.DeleteFunc(c.Holders, func(_ string, h [2]int64) bool { return h[1] <= now })
	used := c.Kept
	for _, h := range c.Holders {
		used = min(end, used+h[0])
	}
	return used
}

// set says that the holder holds n units until a time.
func (c *Counter) set(holder string, n, until int64) {
	if n <= 0 {
		delete(c.Holders, holder)
		return
	}
	c.Holders[holder] = [2]int64{min(end, n), until}
}

// Renew says that a holder holds n units.
func (c *Counter) Renew(by Holder, n, now int64) {
	c.held(now)
	c.set(by.Name, n, by.Until)
}

// hold takes units that the holder holds from now on, unless the refusal has a cause.
func (c *Counter) hold(spec *Spec, charge Charge, by Holder, now int64) (Granted, Refusal) {
	used, room := c.held(now), MaxUnits
	if spec.Max != Unlimited {
		room = spec.Max - used
	}
	n := charge.within(room)
	switch {
	case n <= room:
	case n > spec.Max:
		return Granted{}, Refusal{Cause: CauseTooLarge}
	case spec.Kind == Concurrent:
		return Granted{}, Refusal{Cause: CauseBusy, Retry: BusyRetry}
	default:
		return Granted{}, Refusal{Cause: CauseStock}
	}
	before := c.Holders[by.Name]
	c.set(by.Name, before[0]+n, max(before[1], by.Until))
	return Granted{N: n, Left: room - n}, Refusal{}
}

// release carries out the return of what is held or kept.
func (c *Counter) release(spec *Spec, r Return, holder string, now int64) {
	c.held(now)
	before := c.Holders[holder]
	c.set(holder, before[0]-r.N, before[1])
	if spec.Kind != Stock {
		return
	}
	if !r.Exact {
		r.Kept += c.Kept
	}
	c.Kept = max(0, min(end, r.Kept))
}
