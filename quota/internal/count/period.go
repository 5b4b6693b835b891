package count

import (
	"sync/atomic"
	"time"
)

// period is a day, week or month in a time zone. It begins with the first instant
// of its first date, which is not midnight everywhere: where clocks are put forward
// at midnight, the day begins at one. Where they are put back over midnight, a date
// that has begun does not end again.
type period struct {
	unit string // "day", "week" or "month"
	zone *time.Location
	last *atomic.Pointer[span] // of the period asked for last
}

// span is from begin up to, but without, end.
type span struct{ begin, end int64 }

func newPeriod(unit string, zone *time.Location) period {
	return period{unit: unit, zone: zone, last: new(atomic.Pointer[span])}
}

// end returns when the period ends that now is in.
func (p period) end(now int64) int64 { return p.around(now).end }

// begin returns when the period began that now is in.
func (p period) begin(now int64) int64 { return p.around(now).begin }

func (p period) around(now int64) span {
	if last := p.last.Load(); last != nil && last.begin <= now && now < last.end {
		return *last
	}
	first := p.firstDate(time.Unix(0, now).In(p.zone))
	found := span{begin: Instant(first.begin(p.zone)), end: Instant(p.next(first).begin(p.zone))}
	if found.end <= now { // the date was here before, and clocks were put back
		next := p.next(first)
		found = span{begin: found.end, end: Instant(p.next(next).begin(p.zone))}
	}
	p.last.Store(&found)
	return found
}

// date is a day of a calendar.
type date struct {
	year  int
	month time.Month
	day   int
}

func dateOf(t time.Time) date {
	year, month, day := t.Date()
	return date{year, month, day}
}

// firstDate returns the first date of the period that t's date is in.
func (p period) firstDate(t time.Time) date {
	d := dateOf(t)
	switch p.unit {
	case "month":
		d.day = 1
	case "week": // from Monday (ISO 8601)
		d.day -= (int(t.Weekday()) + 6) % 7
	default:
	}
	return d.normal()
}

// next returns the first date after the period that begins with first.
func (p period) next(first date) date {
	switch p.unit {
	case "month":
		first.month++
	case "week":
		first.day += 7
	default:
		first.day++
	}
	return first.normal()
}

// normal returns d with month and day in their ranges.
func (d date) normal() date { return dateOf(time.Date(d.year, d.month, d.day, 12, 0, 0, 0, time.UTC)) }

func (d date) before(other date) bool {
	if d.year != other.year {
		return d.year < other.year
	}
	if d.month != other.month {
		return d.month < other.month
	}
	return d.day < other.day
}

// Zone tells time zones apart: by their names, and those that a host has made and named
// alike, or not at all, by how far they are from UTC.
type Zone struct {
	name   string
	offset int // in 1970, in seconds
}

// ZoneOf returns what tells the zone of l from others.
func ZoneOf(l *time.Location) Zone {
	_, offset := time.Unix(0, 0).In(l).Zone()
	return Zone{l.String(), offset}
}

// begin returns the first instant in zone at which the date is d or a later one.
// time.Date alone does not say which, where midnight does not exist or exists
// twice.
func (d date) begin(zone *time.Location) time.Time {
	t := time.Date(d.year, d.month, d.day, 0, 0, 0, 0, zone)
	from, until := t.ZoneBounds()
	if dateOf(t).before(d) { // clocks are put forward over midnight, from this offset
		return until
	}
	if from.IsZero() || t.Sub(from) > 24*time.Hour {
		return t
	}
	before := from.Add(-1)
	if dateOf(before).before(d) {
		if from.After(t) {
			return from
		}
		return t
	}
	hour, minute, second := before.Clock() // clocks were put back after midnight: it came before
	return before.Add(1 - time.Duration(hour)*time.Hour - time.Duration(minute)*time.Minute -
		time.Duration(second)*time.Second - time.Second)
}
