package count

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPeriodsAgainstScan looks at each minute around changes of the clock: a period
// begins when a date of it is seen for the first time.
func TestPeriodsAgainstScan(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, zone string
		from       time.Time
		days       int
	}{
		{"forward at midnight", "America/Havana", time.Date(2024, 3, 8, 0, 0, 0, 0, time.UTC), 4},
		{"back to midnight", "America/Havana", time.Date(2024, 11, 1, 0, 0, 0, 0, time.UTC), 4},
		{"forward at midnight", "America/Sao_Paulo", time.Date(2018, 11, 2, 0, 0, 0, 0, time.UTC), 4},
		{"back over midnight", "America/Sao_Paulo", time.Date(2018, 2, 16, 0, 0, 0, 0, time.UTC), 4},
		{"back over midnight, a minute late", "America/St_Johns", time.Date(2010, 11, 5, 0, 0, 0, 0, time.UTC), 4},
		{"forward over midnight, a minute late", "America/St_Johns", time.Date(2010, 3, 12, 0, 0, 0, 0, time.UTC), 4},
		{"a day left out", "Pacific/Apia", time.Date(2011, 12, 28, 0, 0, 0, 0, time.UTC), 6},
		{"by half an hour", "Australia/Lord_Howe", time.Date(2024, 4, 5, 0, 0, 0, 0, time.UTC), 4},
		{"by two hours", "Antarctica/Troll", time.Date(2024, 3, 30, 0, 0, 0, 0, time.UTC), 3},
		{"at midnight", "Asia/Beirut", time.Date(2024, 3, 29, 0, 0, 0, 0, time.UTC), 4},
		{"at two", "Europe/Berlin", time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC), 3},
		{"end of February", "Europe/Berlin", time.Date(2028, 2, 27, 0, 0, 0, 0, time.UTC), 5},
		{"end of the year", "Asia/Kathmandu", time.Date(2026, 12, 30, 0, 0, 0, 0, time.UTC), 4},
	}
	for _, tt := range tests {
		for _, unit := range []string{"day", "week", "month"} {
			t.Run(tt.zone+" "+tt.name+" "+unit, func(t *testing.T) {
				t.Parallel()
				scan(t, tt.zone, unit, tt.from, tt.days)
			})
		}
	}
}

func scan(t *testing.T, name string, unit string, from time.Time, days int) {
	zone, err := time.LoadLocation(name)
	require.NoError(t, err)
	p := newPeriod(unit, zone)
	begins := beginnings(p, from.AddDate(0, -2, 0), from.AddDate(0, 2, 0))
	for now := from; now.Before(from.AddDate(0, 0, days)); now = now.Add(time.Minute) {
		i := 0
		for !begins[i+1].After(now) {
			i++
		}
		fresh := newPeriod(unit, zone) // without what p remembers
		require.Equal(t, begins[i].UTC(), time.Unix(0, fresh.begin(Instant(now))).UTC(), "begin at %v", now.In(zone))
		require.Equal(t, begins[i+1].UTC(), time.Unix(0, fresh.end(Instant(now))).UTC(), "end at %v", now.In(zone))
		require.Equal(t, fresh.end(Instant(now)), p.end(Instant(now)))
	}
}

// beginnings returns when periods begin, found by looking at each minute.
func beginnings(p period, from, until time.Time) []time.Time {
	var begins []time.Time
	latest := p.firstDate(from.In(p.zone))
	for now := from; now.Before(until); now = now.Add(time.Minute) {
		if d := p.firstDate(now.In(p.zone)); latest.before(d) {
			latest = d
			begins = append(begins, now)
		}
	}
	return begins
}
