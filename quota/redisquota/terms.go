package redisquota

import (
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/quota"
)

// rememberedTerms is how many terms are kept as words. There are a few for each plan, and
// for each tenant that has its own.
const rememberedTerms = 4096

// words are terms as scripts read them. They hold until a time: the ends of calendar
// periods are those near the time when they were made.
type words struct {
	list         []any
	since, until time.Time
}

const (
	wordsHold = time.Hour
	maxAhead  = 36 * time.Hour // how far the clock of Redis may be ahead of the client's
	maxBehind = 12 * time.Hour // and behind it
)

// wordsOf returns the words of terms.
func (s *Store) wordsOf(terms *quota.Terms) ([]any, error) {
	now := s.now()
	if known, ok := s.terms.Get(terms); ok && !now.Before(known.since) && now.Before(known.until) {
		return known.list, nil
	}
	list, err := encode(terms, now)
	if err != nil {
		return nil, err
	}
	s.terms.Add(terms, &words{list: list, since: now, until: now.Add(wordsHold)})
	return list, nil
}

func encode(terms *quota.Terms, now time.Time) ([]any, error) {
	if terms.Kind != quota.Rate {
		return []any{kindName(terms.Kind), terms.Max}, nil
	}
	list := []any{kindName(terms.Kind), terms.Burst, len(terms.Windows)}
	for i, w := range terms.Windows {
		length := w.Length().Milliseconds()
		if length <= 0 || w.Limit < 0 {
			return nil, fmt.Errorf("%w: redisquota: window %q: want a period, and a limit of no less than zero", quota.ErrInvalid, w)
		}
		list = append(list, rollLetter(w.Roll)+":"+string(w.Per), length, w.Limit)
		if w.Roll != quota.Calendar {
			list = append(list, 0)
			continue
		}
		ends := endsAround(terms, i, now)
		list = append(append(list, len(ends)), ends...)
	}
	return list, nil
}

// rollLetter is how the script tells windows apart whose units come back differently.
func rollLetter(roll quota.Roll) string {
	switch roll {
	case quota.Strict:
		return "s"
	case quota.Calendar:
		return "c"
	default:
		return "r"
	}
}

// endsAround returns when calendar periods end, in milliseconds: from the one before now
// to the one after the next, wherever now is for Redis while the words hold.
func endsAround(terms *quota.Terms, window int, now time.Time) []any {
	length := terms.Windows[window].Length()
	const longest = 15 // a month has up to a fifteenth more than its length
	at := now.Add(-maxBehind - length - length/longest)
	var ends []any
	for last := now.Add(maxAhead + wordsHold); !at.After(last); {
		first, second := terms.Ends(window, at)
		ends, at = append(ends, first.UnixMilli()), first
		if at.After(last) {
			ends = append(ends, second.UnixMilli())
		}
	}
	return ends
}
