package sqlquota

import (
	"cmp"
	"encoding/hex"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/internal/count"
	"github.com/tenancy-go/tenancy/tenant"
)

// request is a Taking as the function in PostgreSQL reads it, or the counters to read.
// Times and durations are nanoseconds.
type request struct {
	Tenant   string     `json:"tenant"`
	ID       string     `json:"id"`
	Holder   string     `json:"holder"`
	TTL      int64      `json:"ttl"`
	Remember int64      `json:"remember"`
	Forget   string     `json:"forget,omitempty"`
	Now      int64      `json:"now,omitempty"` // 0 for the database's
	Counters []ref      `json:"counters"`      // each once
	Returns  []giveBack `json:"returns"`
	Charges  []charge   `json:"charges"`
}

// ref names one of a tenant's counters.
type ref struct {
	Kind quota.Kind `json:"kind"`
	Name string     `json:"name"`
	Key  string     `json:"key"`
}

// terms are what a counter is held to: on PostgreSQL by the fields in JSON, here by spec.
type terms struct {
	Slot    int      `json:"slot"` // of the counter in the request
	Windows []window `json:"windows"`
	Burst   int64    `json:"burst"`
	Max     int64    `json:"max"`
	spec    count.Spec
	of      *quota.Terms
}

type window struct {
	Key    string     `json:"key"` // of its state in the counter
	Roll   quota.Roll `json:"roll"`
	Length int64      `json:"length"`
	Limit  int64      `json:"limit"`
	Ends   []int64    `json:"ends,omitempty"` // of a calendar's periods around now, in order
}

type giveBack struct {
	terms
	count.Return
}

type charge struct {
	terms
	count.Charge
}

// newRequest returns t, which is valid, as a request.
func newRequest(t quota.Taking) *request {
	r := &request{
		Tenant: string(t.Tenant), ID: text(t.ID), Holder: text(t.Holder), TTL: int64(t.TTL),
		Remember: int64(cmp.Or(t.Remember, quota.AnswersFor)), Forget: text(t.Forget),
		Counters: []ref{}, Returns: make([]giveBack, len(t.Returns)), Charges: make([]charge, len(t.Charges)),
	}
	for i, back := range t.Returns {
		r.Returns[i] = giveBack{r.terms(back.Counter), count.Return{N: back.N, At: instant(back.At), Kept: back.Kept, Exact: back.Exact}}
	}
	for i, c := range t.Charges {
		r.Charges[i] = charge{r.terms(c.Counter), count.Charge{N: c.N, Least: c.Least}}
	}
	return r
}

// reading returns a request to read counters.
func reading(id tenant.ID, counters []quota.Counter) (*request, error) {
	if err := quota.ValidateRead(id, counters); err != nil {
		return nil, err
	}
	t := quota.Taking{Tenant: id, Charges: make([]quota.Charge, len(counters))}
	for i, c := range counters {
		t.Charges[i].Counter = c
	}
	return newRequest(t), nil
}

// terms returns those of c, which gets a slot.
func (r *request) terms(c quota.Counter) terms {
	t := terms{
		Slot: r.slot(newRef(c)), Windows: make([]window, len(c.Terms.Windows)), Burst: c.Terms.Burst, Max: c.Terms.Max, of: c.Terms,
		spec: count.Spec{Kind: string(c.Terms.Kind), Windows: make([]count.Window, len(c.Terms.Windows)), Burst: c.Terms.Burst, Max: c.Terms.Max},
	}
	for i, w := range c.Terms.Windows {
		counted := count.NewWindow(string(w.Per), string(w.Roll), int64(w.Length()), w.Limit, c.Terms.Zone)
		t.spec.Windows[i] = counted
		t.Windows[i] = window{Key: counted.Key, Roll: w.Roll, Length: counted.Length, Limit: w.Limit}
	}
	return t
}

// setEnds adds the ends of calendars, which PostgreSQL does not know, to what r asks of it
// at now, by the client's clock.
func (r *request) setEnds(now time.Time) {
	for i := range r.Returns {
		r.Returns[i].setEnds(now)
	}
	for i := range r.Charges {
		r.Charges[i].setEnds(now)
	}
}

func (t *terms) setEnds(now time.Time) {
	for i := range t.Windows {
		if w := &t.Windows[i]; w.Roll == quota.Calendar {
			w.Ends = ends(t.of, i, now)
		}
	}
}

func (r *request) slot(counter ref) int {
	for i, known := range r.Counters {
		if known == counter {
			return i
		}
	}
	r.Counters = append(r.Counters, counter)
	return len(r.Counters) - 1
}

func newRef(c quota.Counter) ref { return ref{c.Terms.Kind, text(c.Limit), text(c.Key)} }

// skew is how far the client's clock may be ahead of the database's, or behind, for the
// ends of a calendar's windows to be known.
const skew = 12 * time.Hour

// more is more than a calendar's period, by its nominal length.
var more = map[time.Duration]time.Duration{
	24 * time.Hour:      26 * time.Hour, // clocks may be put back
	7 * 24 * time.Hour:  7*24*time.Hour + 2*time.Hour,
	30 * 24 * time.Hour: 31*24*time.Hour + 2*time.Hour,
}

// ends returns the ends of periods that come one after the other. The database's time is
// after the first and before the last but one, if it is now give or take skew.
func ends(t *quota.Terms, i int, now time.Time) []int64 {
	at := now.Add(-skew)
	first, second := t.Ends(i, at.Add(-more[t.Windows[i].Length()]))
	third, fourth := t.Ends(i, at)
	fifth, _ := t.Ends(i, fourth)
	all := []int64{first.UnixNano()}
	for _, end := range []time.Time{second, third, fourth, fifth} {
		if end.UnixNano() > all[len(all)-1] {
			all = append(all, end.UnixNano())
		}
	}
	return all
}

// instant returns t in nanoseconds, or the nearest time from 1970 on that int64 holds.
func instant(t time.Time) int64 {
	switch last := time.Unix(0, math.MaxInt64); {
	case t.Before(time.Unix(0, 0)):
		return 0
	case t.After(last):
		return math.MaxInt64
	default:
		return t.UnixNano()
	}
}

// text returns s as a text of the database: as it is, unless it holds what no such text
// can. No two strings have the same.
func text(s string) string {
	const escape = `\x`
	if utf8.ValidString(s) && !strings.ContainsRune(s, 0) && !strings.HasPrefix(s, escape) {
		return s
	}
	return escape + hex.EncodeToString([]byte(s))
}
