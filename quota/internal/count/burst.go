package count

import "math/bits"

// Burst spreads units over time and lets only so many come at once: the generic cell rate
// algorithm (ITU-T I.371). All it keeps is the theoretical arrival time of the next unit.
type Burst struct {
	Units         int64 // that may come at once
	Limit, Length int64 // units per nanoseconds
}

// Bounds of times, far beyond all that matter, so that sums of them fit.
const (
	maxSpread = int64(1) << 61
	maxTime   = int64(1) << 62
)

// Later returns the sum of a time and a duration.
func Later(at, d int64) int64 { return at + min(d, maxTime-at) }

// Spread returns the time that n units take at the rate.
func (b *Burst) Spread(n int64) int64 {
	hi, lo := bits.Mul64(uint64(n), uint64(b.Length))
	if hi >= uint64(b.Limit) {
		return maxSpread
	}
	spread, left := bits.Div64(hi, lo, uint64(b.Limit))
	if spread >= uint64(maxSpread) {
		return maxSpread
	}
	if left > 0 {
		spread++
	}
	return int64(spread)
}

// After returns the arrival time after n units more, whatever the rate.
func (b *Burst) After(arrival, n, now int64) int64 { return Later(max(arrival, now), b.Spread(n)) }

// Next returns the arrival time after n units more, and when they may come: now, a later
// time, or Never.
func (b *Burst) Next(arrival, n, now int64) (next, at int64) {
	if b.Limit == 0 || n > b.Units {
		return 0, Never
	}
	next = b.After(arrival, n, now)
	return next, max(now, next-b.Spread(b.Units))
}

// Room returns how many units may come now.
func (b *Burst) Room(arrival, now int64) int64 {
	return mulDiv(max(0, b.Spread(b.Units)-(max(arrival, now)-now)), b.Limit, b.Length)
}

// Back returns the time that n units, which came at the time at, still take up: save what
// of them was due since.
func (b *Burst) Back(n, at, now int64) int64 {
	if at < now-maxSpread {
		return 0
	}
	return max(0, b.Spread(n)-max(0, now-at))
}

// Owed returns the units that came ahead of the rate, as of now: those of Length at most.
func (b *Burst) Owed(arrival, now int64) int64 {
	return mulDivUp(max(0, min(arrival-now, b.Length)), b.Limit, b.Length)
}
