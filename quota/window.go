package quota

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/quota/internal/count"
)

// Period is the length of a window: Minute, Hour, Day, Week, Month, or what
// [Every] returns.
type Period string

// The periods that have names.
const (
	Second Period = "second"
	Minute Period = "minute"
	Hour   Period = "hour"
	Day    Period = "day"
	Week   Period = "week"  // by the calendar from Monday (ISO 8601)
	Month  Period = "month" // by the calendar alone
)

// Every returns the period of length d: whole milliseconds from one second to 400
// days.
func Every(d time.Duration) Period { return Period(d.String()) }

const (
	minPeriod = time.Second
	maxPeriod = 400 * day
	day       = 24 * time.Hour
)

var namedPeriods = map[Period]time.Duration{
	Second: time.Second, Minute: time.Minute, Hour: time.Hour, Day: day, Week: 7 * day, Month: 30 * day,
}

// nominal returns the length of p: of months, 30 days. It is zero for what is no
// period.
func (p Period) nominal() time.Duration {
	if d, ok := namedPeriods[p]; ok {
		return d
	}
	if strings.Trim(string(p), "0123456789.hms") != "" {
		return 0
	}
	d, err := time.ParseDuration(string(p))
	if err != nil || d < minPeriod || d > maxPeriod || d%time.Millisecond != 0 {
		return 0
	}
	return d
}

// plain returns the one name of periods as long as p: stores know windows by it.
func (p Period) plain() Period {
	d := p.nominal()
	for _, named := range []Period{Second, Minute, Hour, Day, Week} {
		if namedPeriods[named] == d {
			return named
		}
	}
	return Every(d)
}

// Roll is how the units of a window come back.
type Roll string

const (
	// Rolling counts what was used in the window until now, and of the window
	// before it the part that still overlaps. It is the default, save for months.
	Rolling Roll = "rolling"
	// Strict lets no more in than the limit, wherever one lays a window of the length.
	// Units come back up to an eighth of the window later.
	Strict Roll = "strict"
	// Calendar begins anew with the day, week or month in the tenant's time zone,
	// as invoices do. It is the default of months.
	Calendar Roll = "calendar"
)

// Window is so many units per period.
type Window struct {
	Per   Period `json:"per"`
	Limit int64  `json:"limit"`
	Roll  Roll   `json:"roll,omitempty"` // "" stands for the default of the period
}

// maxUnits bounds limits and charges. JSON and JavaScript keep numbers up to it.
const maxUnits = count.MaxUnits

// normal returns w with its default filled in.
func (w Window) normal() Window {
	if w.Roll == "" {
		w.Roll = Rolling
		if w.Per == Month {
			w.Roll = Calendar
		}
	}
	return w
}

func (w Window) validate(field string) error {
	w = w.normal()
	length := w.Per.nominal()
	switch {
	case length == 0:
		return invalid(field, "%q: want second, minute, hour, day, week, month or a duration from 1s to 9600h", string(w.Per))
	case w.Limit < 0 || w.Limit > maxUnits:
		return invalid(field, "want a limit from 0 to 2^53, got %d", w.Limit)
	case w.Roll != Rolling && w.Roll != Strict && w.Roll != Calendar:
		return invalid(field, "%q: want rolling, strict or calendar", string(w.Roll))
	case w.Roll == Calendar && w.Per != Day && w.Per != Week && w.Per != Month:
		return invalid(field, "a calendar window is a day, week or month")
	case w.Roll != Calendar && w.Per == Month:
		return invalid(field, "months are of the calendar; for thirty days write 720h")
	}
	return nil
}

// roller returns how the units of w, which was validated, come back.
func (w Window) roller(zone *time.Location) count.Roller {
	return count.NewRoller(string(w.Per), string(w.Roll), int64(w.Per.nominal()), zone)
}

func (w Window) String() string { return fmt.Sprintf("%d per %s", w.Limit, w.Per) }

// sortWindows puts the shortest first.
func sortWindows(windows []Window) {
	slices.SortStableFunc(windows, func(a, b Window) int { return int(a.Per.nominal() - b.Per.nominal()) })
}
