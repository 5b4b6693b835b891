package sqlquota

import "math/bits"

// maxUnits bounds what a charge asks for.
const maxUnits = int64(1) << 53

// count takes the units of a rate whose windows were rolled to now, unless the refusal
// has a cause.
func (c *counter) count(charge charge, now int64) (granted, refusal) {
	room, edge := maxUnits, int64(never)
	for _, w := range charge.Windows {
		top, until := w.ceiling(c.Windows[w.Key], now)
		room, edge = min(room, top-c.Used), min(edge, until)
	}
	n := charge.N
	if charge.Least > 0 {
		n = min(n, max(room, charge.Least))
	}
	n, arrival, refused := c.burst(charge, n, now)
	if refused.Cause == "" && n > room {
		refused = c.refuse(charge.Windows, n, now)
	}
	if refused.Cause != "" {
		return granted{}, refused
	}
	c.Used, c.Arrival = c.Used+n, arrival
	g := granted{N: n, Left: room - n}
	if edge != never {
		g.For = edge - now
	}
	return g, refusal{}
}

// burst returns how many of n units may come at once, and the arrival time after them.
func (c *counter) burst(charge charge, n, now int64) (int64, int64, refusal) {
	last := len(charge.Windows)
	if charge.Burst == 0 || last == 0 {
		return n, c.Arrival, refusal{}
	}
	first, arrival := charge.Windows[0], max(c.Arrival, now)
	if first.Limit == 0 {
		return 0, 0, refusal{Cause: causeTooLarge, Window: last}
	}
	whole := first.spread(charge.Burst)
	if charge.Least > 0 {
		n = max(charge.Least, min(n, mulDiv(max(0, whole-(arrival-now)), first.Limit, first.Length)))
	}
	if n > charge.Burst {
		return 0, 0, refusal{Cause: causeTooLarge, Window: last}
	}
	arrival = later(arrival, first.spread(n))
	if arrival-now > whole {
		return 0, 0, refusal{Cause: causeLimit, Window: last, Retry: arrival - whole - now}
	}
	return n, arrival, refusal{}
}

// spread returns the time that n units take at the window's rate.
func (w window) spread(n int64) int64 { return mulDivUp(n, w.Length, w.Limit) }

// refuse says why n units have no room, and when they will.
func (c *counter) refuse(windows []window, n, now int64) refusal {
	refused, latest := refusal{Cause: causeLimit}, now
	for i, w := range windows {
		if at := w.retry(c.Windows[w.Key], c.Used, n, now); at > latest {
			latest, refused.Window = at, i
		}
	}
	if latest == never {
		refused.Cause = causeTooLarge
		return refused
	}
	refused.Retry = latest - now
	return refused
}

// uncount carries out the return of a rate whose windows were rolled to now.
func (c *counter) uncount(back giveBack, now int64) {
	for _, w := range back.Windows {
		if back.N > 0 {
			w.refund(c.Windows[w.Key], c.Used, back.N, back.At, now)
		}
	}
	if back.N < 0 {
		c.Used -= back.N
	}
	if back.Burst == 0 || len(back.Windows) == 0 || back.Windows[0].Limit == 0 {
		return
	}
	if first := back.Windows[0]; back.N > 0 {
		c.Arrival -= max(0, first.spread(back.N)-max(0, now-back.At)) // save what was due since
	} else {
		c.Arrival = later(max(c.Arrival, now), first.spread(-back.N))
	}
}

// Bounds of times, far beyond all that matter, so that sums of them fit.
const (
	maxSpread = int64(1) << 61
	maxTime   = int64(1) << 62
)

// later returns the sum of a time and a duration.
func later(at, d int64) int64 { return min(maxTime, at+d) }

// mulDiv returns a*b/c, rounded down, for numbers that are not negative.
func mulDiv(a, b, c int64) int64 { return quotient(a, b, c, 0) }

// mulDivUp returns a*b/c, rounded up.
func mulDivUp(a, b, c int64) int64 { return quotient(a, b, c, c-1) }

func quotient(a, b, c, extra int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	lo, carry := bits.Add64(lo, uint64(extra), 0)
	if hi += carry; hi >= uint64(c) {
		return maxSpread
	}
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(min(q, uint64(maxSpread)))
}
