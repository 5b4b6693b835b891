package sqlquota

import (
	"errors"
	"math"
	"time"

	"github.com/tenancy-go/tenancy/quota"
)

// state is that of a window: until when it counts anything, the time it was rolled to,
// and its words. Those are, of a rolling window, the counter at the window's begin and
// the units of the one before; of a strict window, the counter at the begin of its last
// nine parts; of a calendar's, the counter at the period's begin, its end, and since when
// it counts.
type state []int64

func (s state) words() []int64 { return s[2:] }

const (
	parts = quota.PartsOfStrict
	ring  = parts + 1
	never = math.MaxInt64
)

// now returns the time of s, which is the one it was rolled to if the clock was set back.
func (s state) now(now int64) int64 { return max(now, s[1]) }

// part returns where the state of a strict window has the counter at the begin of a part.
func (s state) part(number int64) *int64 { return &s.words()[number%ring] }

var errSkew = errors.New("the clocks of the client and the database differ by more than half a day")

// period is one of a calendar, with the end of the next.
type period struct{ begin, end, next int64 }

// period returns the one that now is in.
func (w window) period(now int64) (period, error) {
	for i := 1; i+1 < len(w.Ends); i++ {
		if w.Ends[i-1] <= now && now < w.Ends[i] {
			return period{w.Ends[i-1], w.Ends[i], w.Ends[i+1]}, nil
		}
	}
	return period{}, errSkew
}

// roll returns s rolled to now, or the state of a new window if s is nil. It is s itself
// while the words stay.
func (w window) roll(s state, used, now int64) (state, error) {
	if s != nil {
		now = s.now(now)
	}
	switch w.Roll {
	case quota.Calendar:
		return w.rollCalendar(s, used, now)
	case quota.Strict:
		return w.rollStrict(s, used, now), nil
	default:
		return w.rollRolling(s, used, now), nil
	}
}

// late is more than what zones and months differ by: a period that ended so long ago, and
// its length, reaches into none of any zone.
const late = int64(3 * 24 * time.Hour)

func (w window) rollCalendar(s state, used, now int64) (state, error) {
	p, err := w.period(now)
	if err != nil {
		return nil, err
	}
	end, since := p.end, now
	switch {
	case s == nil:
	case now >= s.words()[1]:
		if p.begin < s.words()[1] { // of another zone: part of it was in the period before
			end = p.next
		}
	case end > s.words()[1]: // of another zone
		used, since = s.words()[0], s.words()[2]
	default:
		return s, nil
	}
	return state{end + w.Length + late, now, used, end, since}, nil
}

func (w window) rollStrict(s state, used, now int64) state {
	length := w.Length / parts
	last, passed := now/length, int64(ring)
	if s != nil {
		passed = min(last-s[1]/length, ring)
	}
	if passed == 0 {
		return s
	}
	rolled := make(state, 2+ring)
	copy(rolled, s)
	for i := range passed {
		*rolled.part(last - i) = used
	}
	rolled[0], rolled[1] = (last+ring)*length, now
	return rolled
}

func (w window) rollRolling(s state, used, now int64) state {
	number := now / w.Length
	rolled := state{(number + 2) * w.Length, now, used, 0}
	switch {
	case s == nil:
	case number == s[1]/w.Length:
		return s
	case number == s[1]/w.Length+1:
		rolled.words()[1] = max(0, used-s.words()[0])
	}
	return rolled
}

// ceiling returns the value of the counter up to which the window lets units in, and
// until when that grows at most.
func (w window) ceiling(s state, now int64) (ceiling, edge int64) {
	words, now := s.words(), s.now(now)
	switch w.Roll {
	case quota.Calendar:
		return words[0] + w.Limit, words[1]
	case quota.Strict:
		number := now / (w.Length / parts)
		return *s.part(number - parts) + w.Limit, (number + 1) * (w.Length / parts)
	default:
		end := now - now%w.Length + w.Length
		return words[0] + w.Limit - mulDivUp(words[1], end-now, w.Length), end
	}
}

// retry returns when n more units have room if no others are used until then, or never.
func (w window) retry(s state, used, n, now int64) int64 {
	words, now := s.words(), s.now(now)
	switch w.Roll {
	case quota.Calendar:
		if used-words[0]+n <= w.Limit {
			return now
		}
		return w.orNever(n, words[1])
	case quota.Strict:
		length := w.Length / parts
		number := now / length
		for i := range int64(ring) {
			if *s.part(number - parts + i)+w.Limit-used >= n {
				return max(now, (number+i)*length)
			}
		}
		return w.orNever(n, (number+ring)*length)
	default:
		end := now - now%w.Length + w.Length
		if room := w.Limit - (used - words[0]) - n; room >= 0 {
			return max(now, w.shrunk(words[1], room, end))
		}
		if n > w.Limit {
			return never
		}
		return w.shrunk(used-words[0], w.Limit-n, end+w.Length)
	}
}

// orNever returns at, or never if n units are more than the limit.
func (w window) orNever(n, at int64) int64 {
	if n > w.Limit {
		return never
	}
	return at
}

// shrunk returns when room at most still counts of the units of the window before the
// one that ends at end.
func (w window) shrunk(before, room, end int64) int64 {
	if before <= room {
		return end - w.Length
	}
	return end - mulDiv(room, w.Length, before)
}

// refund takes n units back from s that were used at the time at, where they were
// counted.
func (w window) refund(s state, used, n, at, now int64) {
	words, now := s.words(), s.now(now)
	switch w.Roll {
	case quota.Calendar:
		if at >= words[2] {
			words[0] = min(used, words[0]+n)
		}
	case quota.Strict:
		length := w.Length / parts
		for i := range int64(ring) {
			if number := now/length - i; number*length <= at {
				*s.part(number) = min(used, *s.part(number)+n)
			}
		}
	default:
		switch now/w.Length - at/w.Length {
		case 0:
			words[0] = min(used, words[0]+n)
		case 1:
			words[1] = max(0, words[1]-n)
		}
	}
}

// reset returns when what is used at now will be forgotten, or begins to be.
func (w window) reset(s state, now int64) int64 {
	now = s.now(now)
	switch w.Roll {
	case quota.Calendar:
		return s.words()[1]
	case quota.Strict:
		length := w.Length / parts
		return (now/length + ring) * length
	default:
		return now - now%w.Length + w.Length
	}
}
