package sqlquota

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
)

// period is one of a calendar, with the end of the next.
type period struct{ begin, end, next int64 }

var errSkew = errors.New("the clocks of the client and the database differ by more than half a day")

// period returns the one that now is in, as tenancy_quota_period does.
func (w window) period(now int64) (period, error) {
	for i := 1; i+1 < len(w.Ends); i++ {
		if w.Ends[i-1] <= now && now < w.Ends[i] {
			return period{w.Ends[i-1], w.Ends[i], w.Ends[i+1]}, nil
		}
	}
	return period{}, errSkew
}

// Whatever the zone, the ends that a client sends hold for a database whose clock differs
// by half a day, and a database whose clock differs by much more sees that.
func TestEndsWithinSkew(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"UTC", "Europe/Berlin", "America/Havana", "Pacific/Apia", "Asia/Kathmandu", "Pacific/Kiritimati"} {
		zone, err := time.LoadLocation(name)
		require.NoError(t, err)
		terms := &quota.Terms{Kind: quota.Rate, Zone: zone}
		for _, per := range []quota.Period{quota.Day, quota.Week, quota.Month} {
			terms.Windows = append(terms.Windows, quota.Window{Per: per, Limit: 1, Roll: quota.Calendar})
		}
		for range 2000 {
			client := time.UnixMilli(1_300_000_000_000 + rnd.Int64N(500_000_000_000))
			server := client.Add(time.Duration(rnd.Int64N(int64(2*skew))) - skew)
			for i, w := range terms.Windows {
				wire := window{Ends: ends(terms, i, client)}
				got, err := wire.period(server.UnixNano())
				require.NoError(t, err, "%s in %s: %v at %v", w.Per, name, client, server)
				first, second := terms.Ends(i, server)
				require.Equal(t, []int64{first.UnixNano(), second.UnixNano()}, []int64{got.end, got.next}, "%s in %s: %v at %v", w.Per, name, client, server)
				before, _ := terms.Ends(i, time.Unix(0, got.begin-1))
				require.Equal(t, got.begin, before.UnixNano(), "%s in %s: %v at %v", w.Per, name, client, server)
				_, err = wire.period(client.AddDate(0, 3, 0).UnixNano())
				assert.ErrorIs(t, err, errSkew)
				_, err = wire.period(client.AddDate(0, -3, 0).UnixNano())
				assert.ErrorIs(t, err, errSkew)
			}
		}
	}
}

// No two strings have the same text.
func TestText(t *testing.T) {
	t.Parallel()
	seen := make(map[string]string)
	for _, s := range []string{"", "a", "\xff", `\xff`, `\x`, "\x00", `\x00`, `\x5c7800`, `\x5c78`, "\ufffd", `\`, "ä"} {
		other, twice := seen[text(s)]
		assert.False(t, twice, "%q and %q", s, other)
		seen[text(s)] = s
	}
}
