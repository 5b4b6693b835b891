package redisquota

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/quota"
)

// reply reads the words of a script's answer from the left.
type reply struct {
	rest string
	err  error
}

var errReply = errors.New("redis gave an answer of another kind")

func (r *reply) word() string {
	word, rest, _ := strings.Cut(r.rest, " ")
	r.rest = rest
	return word
}

func (r *reply) int64() int64 {
	n, err := strconv.ParseInt(r.word(), 10, 64)
	if err != nil {
		r.err = errReply
	}
	return n
}

func (r *reply) duration() time.Duration { return time.Duration(r.int64()) }

// end returns an error unless all that was expected was there, and nothing else.
func (r *reply) end(what string) error {
	if r.err != nil || r.rest != "" {
		return unavailable(what, errReply)
	}
	return nil
}

func parseTaken(text string) (quota.Taken, error) {
	r := &reply{rest: text}
	taken := quota.Taken{OK: r.int64() == 1, At: time.UnixMilli(r.int64()).UTC()}
	if !taken.OK {
		taken.Refused = int(r.int64())
		taken.Cause = r.cause()
		taken.Window, taken.RetryAfter = int(r.int64()), r.duration()
		return taken, r.end("take")
	}
	taken.Granted = make([]quota.Granted, 0, strings.Count(r.rest, " ")/3+1)
	for r.rest != "" && r.err == nil {
		taken.Granted = append(taken.Granted, quota.Granted{N: r.int64(), Left: r.int64(), For: r.duration()})
	}
	return taken, r.end("take")
}

func (r *reply) cause() quota.Cause {
	switch r.word() {
	case "limit":
		return quota.CauseLimit
	case "large":
		return quota.CauseTooLarge
	case "busy":
		return quota.CauseBusy
	case "stock":
		return quota.CauseStock
	default:
		r.err = errReply
		return quota.CauseNone
	}
}

func parseLevels(text string, counters []quota.Counter) ([]quota.Level, error) {
	r := &reply{rest: text}
	levels := make([]quota.Level, len(counters))
	for i, c := range counters {
		if c.Terms.Kind != quota.Rate {
			levels[i].Used = r.int64()
			continue
		}
		for range c.Terms.Windows {
			levels[i].Windows = append(levels[i].Windows, quota.WindowLevel{Used: r.int64(), Resets: time.Unix(0, r.int64()).UTC()})
		}
	}
	return levels, r.end("read")
}
