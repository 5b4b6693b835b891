package count

import "time"

// MaxUnits bounds limits and charges. JSON and JavaScript keep numbers up to it.
const MaxUnits = int64(1) << 53

// Unlimited is the Max of what nothing bounds.
const Unlimited = -1

// The kinds of counters, by the names that limits have for them.
const (
	Rate       = "rate"
	Concurrent = "concurrent"
	Stock      = "stock"
)

// Spec is what a counter is held to.
type Spec struct {
	Kind    string   // Rate, Concurrent or Stock
	Windows []Window // of Rate, shortest first
	Burst   int64    // of Rate: units of the shortest window that may come at once; 0 for all
	Max     int64    // of the others, or Unlimited
}

// Window is one window of a rate.
type Window struct {
	Roller
	Key    string // of its state in the counter
	Length int64
	Limit  int64
}

// NewWindow returns a window of so many units; for the rest, see [NewRoller].
func NewWindow(per, roll string, length, limit int64, zone *time.Location) Window {
	return Window{Roller: NewRoller(per, roll, length, zone), Key: per + "/" + roll, Length: length, Limit: limit}
}

// Charge asks for N units. If Least is above zero, any number from it to N will do, as
// many as there is room for.
type Charge struct {
	N     int64 `json:"n"`
	Least int64 `json:"least"`
}

// within returns how many units to ask for where room of them have room.
func (c Charge) within(room int64) int64 {
	if c.Least > 0 {
		return max(c.Least, min(c.N, room))
	}
	return c.N
}

// Return gives N units back that were counted at the time At, or below zero counts -N
// now. Of what is held, it is the holder who no longer holds them, and Kept are kept from
// now on: all that is kept, if Exact.
type Return struct {
	N     int64 `json:"n"`
	At    int64 `json:"at"`
	Kept  int64 `json:"kept"`
	Exact bool  `json:"exact"`
}

// Granted is what a charge was granted.
type Granted struct {
	N    int64 `json:"n"`
	Left int64 `json:"left"` // how many there still are
	For  int64 `json:"for"`  // for how long they are of use
}

// Refusal says why a charge was refused; its zero value, that it was not.
type Refusal struct {
	Cause  string `json:"cause,omitempty"`
	Window int    `json:"window,omitempty"` // which has room last; for the burst, the number of windows
	Retry  int64  `json:"retry,omitempty"`  // after so long; 0 if waiting does not help
}

// Causes of refusals.
const (
	CauseLimit    = "limit"
	CauseTooLarge = "too large"
	CauseBusy     = "busy"
	CauseStock    = "stock"
)

// refusal is that of a window which has room at a time, after now.
func refusal(window int, at, now int64) Refusal {
	if at == Never {
		return Refusal{Cause: CauseTooLarge, Window: window}
	}
	return Refusal{Cause: CauseLimit, Window: window, Retry: at - now}
}

// Level is what is used of a counter.
type Level struct {
	Used    int64         // what is held and kept
	Windows []WindowLevel // of a rate
}

// WindowLevel is what is used of a window.
type WindowLevel struct{ Used, Resets int64 }
