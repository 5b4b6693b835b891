package count

import (
	"math"
	"math/bits"
	"time"
)

// Never is a time that does not come.
const Never = math.MaxInt64

// Roller is how the units of a window come back as time passes. What it knows of
// one counter are the words w, as many as Words says, which its caller guards. Used is
// the counter, which only grows.
//
// The ceiling of a window is the value of the counter up to which it lets units
// in. While the limit stays, no method may lower it: see the cells of quota.
type Roller interface {
	Words() int
	// Start makes w those of a window in which nothing was used before now.
	Start(w []int64, used, now int64)
	// Roll takes w from the time then to now, which is not earlier.
	Roll(w []int64, used, then, now int64)
	// Ceiling returns the ceiling under limit at now, to which w was rolled, and
	// when it should be looked at again: until then it grows at most, and w stays.
	Ceiling(w []int64, limit, now int64) (ceiling, edge int64)
	// Retry returns when n more units have room under limit, if no others are
	// used until then: now, a later time, or Never.
	Retry(w []int64, used, limit, n, now int64) int64
	// Refund takes n units back that were used at the time at, where they were counted.
	Refund(w []int64, used, n, at, now int64)
	// Shift moves w to a counter that is ahead by n.
	Shift(w []int64, n int64)
	// Bound forgets what was used beyond most, so that numbers do not end.
	Bound(w []int64, used, most int64)
	// Reset returns when what is used at now will be forgotten.
	Reset(w []int64, now int64) int64
	// Forgotten returns from when on w, rolled to now, is as good as a new window's.
	Forgotten(w []int64, now int64) int64
}

// NewRoller returns that of windows of a length that roll so, "strict" or "calendar", or
// else simply go by.
func NewRoller(per, roll string, length int64, zone *time.Location) Roller {
	switch roll {
	case strictRoll:
		return strict{part: length / Parts}
	case "calendar":
		return NewCalendar(per, length, zone)
	default:
		return rolling{length}
	}
}

// NewCalendar returns the roller of a calendar's period: "day", "week" or "month". Its
// length is about length.
func NewCalendar(per string, length int64, zone *time.Location) Calendar {
	return Calendar{newPeriod(per, zone), length}
}

const strictRoll = "strict"

// Same reports whether words of a window of a are those of one of b.
func Same(a, b Roller) bool {
	x, isCalendar := a.(Calendar)
	y, both := b.(Calendar)
	if isCalendar && both {
		return x.period.unit == y.period.unit && ZoneOf(x.period.zone) == ZoneOf(y.period.zone)
	}
	return !isCalendar && !both && a == b
}

// rolling is a window of fixed length that slides: of the one before, the part
// counts that still overlaps, as if its units had come evenly (the "sliding
// window counter" that Cloudflare described in 2017). Windows begin at multiples
// of their length since 1970, so that all replicas agree.
//
// Its words are the counter at the window's begin, and the units of the one before.
type rolling struct{ length int64 }

func (r rolling) Words() int { return 2 }

func (r rolling) Start(w []int64, used, _ int64) { w[0], w[1] = used, 0 }

func (r rolling) Roll(w []int64, used, then, now int64) {
	switch now/r.length - then/r.length {
	case 0:
	case 1:
		w[0], w[1] = used, max(0, used-w[0])
	default:
		w[0], w[1] = used, 0
	}
}

func (r rolling) end(now int64) int64 { return now - now%r.length + r.length }

func (r rolling) Ceiling(w []int64, limit, now int64) (ceiling, edge int64) {
	end := r.end(now)
	return w[0] + limit - mulDivUp(w[1], end-now, r.length), end
}

func (r rolling) Retry(w []int64, used, limit, n, now int64) int64 {
	end := r.end(now)
	if room := limit - (used - w[0]) - n; room >= 0 {
		return max(now, r.shrunk(w[1], room, end))
	}
	if limit < n {
		return Never
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

func (r rolling) Refund(w []int64, used, n, at, now int64) {
	switch now/r.length - at/r.length {
	case 0:
		w[0] = min(used, w[0]+n)
	case 1:
		w[1] = max(0, w[1]-n)
	}
}

func (r rolling) Shift(w []int64, n int64) { w[0] += n }

func (r rolling) Bound(w []int64, used, most int64) {
	w[0], w[1] = max(w[0], used-most), min(w[1], most)
}

func (r rolling) Reset(_ []int64, now int64) int64 { return r.end(now) }

func (r rolling) Forgotten(_ []int64, now int64) int64 { return r.end(now) + r.length }

// Parts is how many parts a strictly rolling window has.
const Parts = 8

// strict is a window of fixed length in which, wherever one lays it, no more than
// the limit is used. It knows the counter at the begin of its last parts
// and of the one before, and counts from the earliest: so units come back up to a
// part of the window late.
type strict struct{ part int64 }

func (s strict) Words() int { return Parts + 1 }

func (s strict) Start(w []int64, used, _ int64) {
	for i := range w {
		w[i] = used
	}
}

func (s strict) Roll(w []int64, used, then, now int64) {
	last := now / s.part
	for part := max(then/s.part, last-int64(len(w))) + 1; part <= last; part++ {
		w[part%int64(len(w))] = used
	}
}

// at returns the counter at the begin of a part that is among w's.
func (s strict) at(w []int64, part int64) *int64 { return &w[part%int64(len(w))] }

func (s strict) Ceiling(w []int64, limit, now int64) (ceiling, edge int64) {
	part := now / s.part
	return *s.at(w, part-Parts) + limit, (part + 1) * s.part
}

func (s strict) Retry(w []int64, used, limit, n, now int64) int64 {
	part := now / s.part
	for later := range int64(Parts + 1) {
		if *s.at(w, part-Parts+later)+limit-used >= n {
			return max(now, (part+later)*s.part)
		}
	}
	if limit < n {
		return Never
	}
	return (part + Parts + 1) * s.part
}

func (s strict) Refund(w []int64, used, n, at, now int64) {
	part := now / s.part
	for earlier := range int64(Parts + 1) {
		if (part-earlier)*s.part <= at {
			*s.at(w, part-earlier) = min(used, *s.at(w, part-earlier)+n)
		}
	}
}

func (s strict) Shift(w []int64, n int64) {
	for i := range w {
		w[i] += n
	}
}

func (s strict) Bound(w []int64, used, most int64) {
	for i := range w {
		w[i] = max(w[i], used-most)
	}
}

func (s strict) Reset(_ []int64, now int64) int64 { return (now/s.part + Parts + 1) * s.part }

func (s strict) Forgotten(w []int64, now int64) int64 { return s.Reset(w, now) }

// Calendar is a day, week or month by a calendar: all its units come back at once
// when it ends. Its words are the counter at its begin, its end, and since when it
// counts, which is when it was first looked at.
type Calendar struct {
	period period
	length int64
}

func (c Calendar) Words() int { return 3 }

func (c Calendar) Start(w []int64, used, now int64) { w[0], w[1], w[2] = used, c.period.end(now), now }

func (c Calendar) Roll(w []int64, used, _, now int64) {
	if now < w[1] {
		return
	}
	end := c.period.end(now)
	if c.period.begin(now) < w[1] { // of another zone: part of it was in the period before
		end = c.period.end(end)
	}
	w[0], w[1], w[2] = used, end, now
}

// Move lets the period end when that of c does, if that is later. It reports whether it is.
func (c Calendar) Move(w []int64, now int64) bool {
	was := w[1]
	w[1] = max(was, c.End(now))
	return w[1] > was
}

func (c Calendar) Ceiling(w []int64, limit, _ int64) (ceiling, edge int64) { return w[0] + limit, w[1] }

func (c Calendar) Retry(w []int64, used, limit, n, now int64) int64 {
	switch {
	case used-w[0]+n <= limit:
		return now
	case n <= limit:
		return w[1]
	default:
		return Never
	}
}

func (c Calendar) Refund(w []int64, used, n, at, _ int64) {
	if at >= w[2] {
		w[0] = min(used, w[0]+n)
	}
}

func (c Calendar) Shift(w []int64, n int64) { w[0] += n }

func (c Calendar) Bound(w []int64, used, most int64) { w[0] = max(w[0], used-most) }

func (c Calendar) Reset(w []int64, _ int64) int64 { return w[1] }

// late is more than what zones and months differ by: a period that ended so long ago, and
// its length, reaches into none of any zone.
const late = int64(3 * 24 * time.Hour)

func (c Calendar) Forgotten(w []int64, _ int64) int64 { return w[1] + c.length + late }

// End returns when the period ends that now is in.
func (c Calendar) End(now int64) int64 { return c.period.end(now) }

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

// Instant returns the time as rollers count it. Times that int64 does not hold are the
// first or the last.
func Instant(t time.Time) int64 {
	switch {
	case t.After(lastInstant):
		return Never
	case t.Before(firstInstant):
		return math.MinInt64
	default:
		return t.UnixNano()
	}
}

var firstInstant, lastInstant = time.Unix(0, math.MinInt64), time.Unix(0, math.MaxInt64)
