package web

import (
	"strconv"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/examples/saas/workspace"
	"github.com/tenancy-go/tenancy/quota"
)

// limitStreams is the limit of answers that are written at the same time.
const limitStreams = "streams"

// amount writes n units of a limit: "1 document", "10,000 words", "1 MB".
func amount(limit string, n int64) string {
	switch limit {
	case workspace.LimitStorage:
		return size(n)
	case workspace.LimitDocuments:
		return plural(int(n), "document")
	case workspace.LimitWords:
		return plural(int(n), "word")
	case limitStreams:
		return plural(int(n), "answer")
	case "requests":
		return plural(int(n), "request")
	default:
		return number(int(n))
	}
}

// size writes a number of bytes.
func size(n int64) string {
	const kilo = 1 << 10
	value, unit := float64(n), 0
	for value >= kilo-0.5 && unit < 4 {
		value /= kilo
		unit++
	}
	digits := strconv.FormatFloat(value, 'f', 1, 64)
	if value >= 10 {
		digits = strconv.FormatFloat(value, 'f', 0, 64)
	}
	return strings.TrimSuffix(digits, ".0") + " " + [...]string{"bytes", "KB", "MB", "GB", "TB"}[unit]
}

// each writes the length of a window: "a minute".
func each(per quota.Period) string {
	switch per {
	case quota.Hour:
		return "an hour"
	case quota.Second, quota.Minute, quota.Day, quota.Week, quota.Month:
		return "a " + string(per)
	default:
		return "in " + string(per)
	}
}

// until says when something happens that is d away: at the end of a window, if it is
// one's.
func until(d time.Duration, of quota.Window) string {
	const day = 24 * time.Hour
	switch {
	case d <= 90*time.Second:
		return "in " + plural(ceil(d, time.Second), "second")
	case d <= 90*time.Minute:
		return "in " + plural(ceil(d, time.Minute), "minute")
	case d <= day && of.Per == quota.Day && of.Roll == quota.Calendar:
		return "tomorrow"
	case d <= 36*time.Hour:
		return "in " + plural(ceil(d, time.Hour), "hour")
	default:
		return "in " + plural(ceil(d, day), "day")
	}
}

// ceil returns how many units d takes, at least 1.
func ceil(d, unit time.Duration) int { return max(1, int((d+unit-1)/unit)) }
