package quota

import (
	"errors"
	"fmt"
	"time"
)

// Decision is the answer to a request for units of a limit.
//
// It has few fields so that it is passed in registers.
type Decision struct {
	OK     bool
	code   uint32 // if not OK: the cause and, above it, the window of rule that refused; else the windows whose soft limit was just passed
	rule   *rule  // which decided; nil if no limit did
	amount int64  // if OK: units left; else nanoseconds until there may be room
}

// granted returns the decision to let in, after which left units are left.
func (r *rule) granted(left int64) Decision { return Decision{OK: true, rule: r, amount: left} }

// refused returns the decision of a window not to let in before the time retry.
func (r *rule) refused(cause Cause, window uint8, retry, now int64) Decision {
	d := Decision{code: uint32(cause) | uint32(window)<<windowShift, rule: r}
	if retry != never {
		d.amount = max(0, retry-now)
	}
	return d
}

const (
	windowShift = 8
	burstWindow = 0xff // stands for the burst
	noWindow    = 0xfe
)

// because returns the refusal of what has the name.
func because(cause Cause, name string) Decision {
	return (&rule{name: name}).refused(cause, noWindow, never, 0)
}

// moved is what a cell says that was given up: decide again.
var moved = Decision{code: uint32(causeMoved)}

func (d Decision) isMoved() bool { return !d.OK && d.code == uint32(causeMoved) }

// warned returns the windows whose soft limit was just passed, a bit for each.
func (d Decision) warned() uint32 {
	if d.OK {
		return d.code &^ degradedBit
	}
	return 0
}

// degradedBit stands in the code of a decision that was made without the store.
const degradedBit = 1 << 31

// Degraded reports whether the request was let in although the [Store] that replicas
// share could not say, as the limits' Outage has it.
func (d Decision) Degraded() bool { return d.OK && d.code&degradedBit != 0 }

// Cause returns why the decision refused.
func (d Decision) Cause() Cause {
	if d.OK {
		return CauseNone
	}
	return Cause(d.code)
}

// Remaining returns the units left before the next refusal, as far as is known and with
// what grace lets in; 0 after a refusal, and Unlimited where nothing bounds them.
func (d Decision) Remaining() int64 {
	switch {
	case !d.OK:
		return 0
	case d.amount >= maxUnits:
		return Unlimited
	default:
		return d.amount
	}
}

// RetryAfter returns when a refused request may be let in if no others come, or 0 if
// waiting does not help.
func (d Decision) RetryAfter() time.Duration {
	if d.OK {
		return 0
	}
	return time.Duration(d.amount)
}

// Cause says why a decision refused.
type Cause uint8

const (
	CauseNone        Cause = iota
	CauseLimit             // the limit is used up for now; see RetryAfter
	CauseTooLarge          // more units than the limit ever lets in
	CauseBusy              // as much is held as may be at once: until something is released
	CauseStock             // no room until something is given back, or the plan changed
	CauseNotInPlan         // the plan does not have it
	CauseUnavailable       // the store cannot say, and the limit is to refuse then
	CauseInvalid           // a number of units, or a kind of limit, that makes no sense
	causeMoved
)

var causes = [...]string{
	"none", "limit exceeded", "more than the limit allows at once", "too many at once", "no room left", "not in the plan",
	"quota store unavailable",
	"not a claim of this limit: want 0 to 2^53 units, Claim for what is held or kept or per key, a Key for resources, and package bandwidth for bandwidth",
}

func (c Cause) String() string {
	if int(c) < len(causes) {
		return causes[c]
	}
	return fmt.Sprintf("Cause(%d)", uint8(c))
}

// Limit returns the name of the limit that decided, or "" if none did.
func (d Decision) Limit() string {
	if d.rule == nil {
		return ""
	}
	return d.rule.name
}

// Window returns the window that refused, and whether it was one.
func (d Decision) Window() (Window, bool) {
	if i := int(d.code >> windowShift); !d.OK && d.rule != nil && i < len(d.rule.windows) {
		return d.rule.windows[i].public, true
	}
	return Window{}, false
}

// Err returns nil if the decision is to let in, and else an [*Error].
func (d Decision) Err() error {
	if d.OK {
		return nil
	}
	return &Error{Decision: d}
}

// The classes of errors.
var (
	// ErrExceeded means that a limit has no room: waiting, giving something back or
	// a larger plan helps, as the [Error] says.
	ErrExceeded = errors.New("quota: limit exceeded")
	// ErrNotInPlan means that the tenant's plan does not have the limit, feature
	// or resource.
	ErrNotInPlan = errors.New("quota: not in the plan")
	// ErrUnavailable means that nobody can say at present what is used or allowed.
	ErrUnavailable = errors.New("quota: unavailable")
	// ErrInvalid means that a plan, an override or a number of units is malformed.
	// In plans it is wrapped in a [FieldError].
	ErrInvalid = errors.New("quota: invalid")
)

// Error is a refusal. It wraps [ErrExceeded], [ErrNotInPlan], [ErrUnavailable] or
// [ErrInvalid], by the decision's cause.
type Error struct{ Decision }

func (e *Error) Error() string {
	text := fmt.Sprintf("%v: %s", e.Unwrap(), e.Limit())
	if window, ok := e.Window(); ok {
		text += fmt.Sprintf(" (%d per %s)", window.Limit, window.Per)
	}
	switch {
	case e.Cause() == CauseTooLarge, e.Cause() == CauseInvalid:
		text += ": " + e.Cause().String()
	case e.RetryAfter() > 0:
		text += fmt.Sprintf(": try again in %v", e.RetryAfter())
	}
	return text
}

func (e *Error) Unwrap() error {
	switch e.Cause() {
	case CauseNotInPlan:
		return ErrNotInPlan
	case CauseUnavailable:
		return ErrUnavailable
	case CauseInvalid:
		return ErrInvalid
	default:
		return ErrExceeded
	}
}

// FieldError says which field of a plan is at fault. It wraps [ErrInvalid].
type FieldError struct {
	Field  string // path to it, such as plans.pro.limits.requests.windows.minute
	Reason string // what to do about it
}

func (e *FieldError) Error() string { return fmt.Sprintf("%v: %s: %s", ErrInvalid, e.Field, e.Reason) }

func (e *FieldError) Unwrap() error { return ErrInvalid }

func invalid(field, format string, args ...any) error {
	return &FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}
