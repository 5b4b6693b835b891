package quota

import (
	"math"
	"math/bits"
	"time"
)

// never is a time that does not come.
const never = math.MaxInt64

// roller is how the units of a window come back as time passes. What it knows of
// one cell are the words w of the cell, as many as words says, which the cell's
// lock guards. Times are nanoseconds since 1970; used is the cell's counter, which
// only grows.
//
// The ceiling of a window is the value of the counter up to which it lets units
// in. While the limit stays, no method may lower it: see cell.
type roller interface {
	words() int
	// start makes w those of a window in which nothing was used before now.
	start(w []int64, used, now int64)
	// roll takes w from the time then to now, which is not earlier.
	roll(w []int64, used, then, now int64)
	// ceiling returns the ceiling under limit at now, to which w was rolled, and
	// when it should be looked at again: until then it grows at most.
	ceiling(w []int64, limit, now int64) (ceiling, edge int64)
	// retry returns when n more units have room under limit, if no others are
	// used until then: now, a later time, or never.
	retry(w []int64, used, limit, n, now int64) int64
	// refund takes n units back that were used at the time at, where they were counted.
	refund(w []int64, used, n, at, now int64)
	// shift moves w to a counter that is ahead by n.
	shift(w []int64, n int64)
	// bound forgets what was used beyond most, so that numbers do not end.
	bound(w []int64, used, most int64)
	// reset returns when what is used at now will be forgotten.
	reset(w []int64, now int64) int64
}

// rolling is a window of fixed length that slides: of the one before, the part
// counts that still overlaps, as if its units had come evenly (the "sliding
// window counter" that Cloudflare described in 2017). Windows begin at multiples
// of their length since 1970, so that all replicas agree.
//
// Its words are the counter at the window's begin, and the units of the one before.
type rolling struct{ length int64 }

func (r rolling) words() int { return 2 }

func (r rolling) start(w []int64, used, _ int64) { w[0], w[1] = used, 0 }

func (r rolling) roll(w []int64, used, then, now int64) {
	switch now/r.length - then/r.length {
	case 0:
	case 1:
		w[0], w[1] = used, used-w[0]
	default:
		w[0], w[1] = used, 0
	}
}

func (r rolling) end(now int64) int64 { return now - now%r.length + r.length }

func (r rolling) ceiling(w []int64, limit, now int64) (ceiling, edge int64) {
	end := r.end(now)
	return w[0] + limit - mulDivUp(w[1], end-now, r.length), end
}

func (r rolling) retry(w []int64, used, limit, n, now int64) int64 {
	end := r.end(now)
	if room := limit - (used - w[0]) - n; room >= 0 {
		return max(now, r.shrunk(w[1], room, end))
	}
	if limit < n {
		return never
	}
	return r.shrunk(used-w[0], limit-n, end+r.length)
}

// shrunk returns when the part of before that still counts is room at most, if the
// window ends at end.
func (r rolling) shrunk(before, room, end int64) int64 {
	if before <= room {
		return end - r.length
	}
	return end - mulDiv(room, r.length, before)
}

func (r rolling) refund(w []int64, used, n, at, now int64) {
	switch now/r.length - at/r.length {
	case 0:
		w[0] = min(used, w[0]+n)
	case 1:
		w[1] = max(0, w[1]-n)
	}
}

func (r rolling) shift(w []int64, n int64) { w[0] += n }

func (r rolling) bound(w []int64, used, most int64) {
	w[0], w[1] = max(w[0], used-most), min(w[1], most)
}

func (r rolling) reset(w []int64, now int64) int64 { return r.end(now) }

// parts is how many parts a strictly rolling window has.
const parts = 8

// strict is a window of fixed length in which, wherever one lays it, no more than
// the limit is used. It knows the counter at the begin of its last parts
// and of the one before, and counts from the earliest: so units come back up to a
// part of the window late.
type strict struct{ part int64 }

func newStrict(length int64) strict { return strict{part: length / parts} }

func (s strict) words() int { return parts + 1 }

func (s strict) start(w []int64, used, _ int64) {
	for i := range w {
		w[i] = used
	}
}

func (s strict) roll(w []int64, used, then, now int64) {
	last := now / s.part
	for part := max(then/s.part, last-int64(len(w))) + 1; part <= last; part++ {
		w[part%int64(len(w))] = used
	}
}

// at returns the counter at the begin of a part that is among w's.
func (s strict) at(w []int64, part int64) *int64 { return &w[part%int64(len(w))] }

func (s strict) ceiling(w []int64, limit, now int64) (ceiling, edge int64) {
	part := now / s.part
	return *s.at(w, part-parts) + limit, (part + 1) * s.part
}

func (s strict) retry(w []int64, used, limit, n, now int64) int64 {
	part := now / s.part
	for later := range int64(parts + 1) {
		if *s.at(w, part-parts+later)+limit-used >= n {
			return max(now, (part+later)*s.part)
		}
	}
	if limit < n {
		return never
	}
	return (part + parts + 1) * s.part
}

func (s strict) refund(w []int64, used, n, at, now int64) {
	part := now / s.part
	for earlier := range int64(parts + 1) {
		if (part-earlier)*s.part <= at {
			*s.at(w, part-earlier) = min(used, *s.at(w, part-earlier)+n)
		}
	}
}

func (s strict) shift(w []int64, n int64) {
	for i := range w {
		w[i] += n
	}
}

func (s strict) bound(w []int64, used, most int64) {
	for i := range w {
		w[i] = max(w[i], used-most)
	}
}

func (s strict) reset(_ []int64, now int64) int64 { return (now/s.part + parts + 1) * s.part }

// calendar is a day, week or month by a calendar: all its units come back at once
// when it ends. Its words are the counter at its begin, its end, and since when it
// counts, which is when it was first looked at.
type calendar struct{ period period }

func (c calendar) words() int { return 3 }

func (c calendar) start(w []int64, used, now int64) { w[0], w[1], w[2] = used, c.period.end(now), now }

func (c calendar) roll(w []int64, used, _, now int64) {
	if now < w[1] {
		return
	}
	end := c.period.end(now)
	if c.period.begin(now) < w[1] { // of another zone: part of it was in the period before
		end = c.period.end(end)
	}
	w[0], w[1], w[2] = used, end, now
}

// move lets the period end when that of c does, if that is later.
func (c calendar) move(w []int64, now int64) { w[1] = max(w[1], c.period.end(now)) }

func (c calendar) ceiling(w []int64, limit, _ int64) (ceiling, edge int64) { return w[0] + limit, w[1] }

func (c calendar) retry(w []int64, used, limit, n, now int64) int64 {
	switch {
	case used-w[0]+n <= limit:
		return now
	case n <= limit:
		return w[1]
	default:
		return never
	}
}

func (c calendar) refund(w []int64, used, n, at, _ int64) {
	if at >= w[2] {
		w[0] = min(used, w[0]+n)
	}
}

func (c calendar) shift(w []int64, n int64) { w[0] += n }

func (c calendar) bound(w []int64, used, most int64) { w[0] = max(w[0], used-most) }

func (c calendar) reset(w []int64, _ int64) int64 { return w[1] }

// mulDiv returns a*b/c, rounded down, for numbers that are not negative and a
// result of 63 bits.
func mulDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	quotient, _ := bits.Div64(hi, lo, uint64(c))
	return int64(quotient)
}

// mulDivUp returns a*b/c, rounded up.
func mulDivUp(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	lo, carry := bits.Add64(lo, uint64(c-1), 0)
	quotient, _ := bits.Div64(hi+carry, lo, uint64(c))
	return int64(quotient)
}

// instant returns the time as rollers count it. Times that int64 does not hold are the
// first or the last.
func instant(t time.Time) int64 {
	switch {
	case t.After(lastInstant):
		return never
	case t.Before(firstInstant):
		return math.MinInt64
	default:
		return t.UnixNano()
	}
}

var firstInstant, lastInstant = time.Unix(0, math.MinInt64), time.Unix(0, math.MaxInt64)
