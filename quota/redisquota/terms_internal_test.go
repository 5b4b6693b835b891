package redisquota

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tenancy-go/tenancy/quota"
)

// TestEndsServeClocksThatDiffer holds the ends that a client sends to what the terms say
// at any time that Redis may have.
func TestEndsServeClocksThatDiffer(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	terms := &quota.Terms{Kind: quota.Rate, Zone: time.FixedZone("east", 11*3600), Windows: []quota.Window{
		{Per: quota.Day, Roll: quota.Calendar}, {Per: quota.Week, Roll: quota.Calendar}, {Per: quota.Month, Roll: quota.Calendar},
	}}
	if berlin, err := time.LoadLocation("Europe/Berlin"); err == nil {
		terms.Zone = berlin
	}
	for range 2000 {
		made := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rnd.Int64N(int64(800 * 24 * time.Hour))))
		redis := made.Add(-maxBehind + time.Duration(rnd.Int64N(int64(maxBehind+maxAhead+wordsHold))))
		for i, w := range terms.Windows {
			ends := endsAround(terms, i, made)
			first, second := terms.Ends(i, redis)
			after := 0
			for ends[after].(int64) <= redis.UnixMilli() {
				after++
			}
			assert.Positive(t, after, "the begin, %s", w)
			assert.Equal(t, []any{first.UnixMilli(), second.UnixMilli()}, ends[after:after+2], "%s, %v at %v", w, made, redis)
		}
	}
}
