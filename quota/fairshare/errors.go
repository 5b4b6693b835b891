package fairshare

import (
	"errors"
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// What an [Error] wraps.
var (
	// ErrQueueFull is for a request that found MaxQueue others of its tenant waiting.
	ErrQueueFull = errors.New("too many of the tenant's requests wait already: send fewer at once, or raise MaxQueue")

	// ErrDeadline is for a request that waited for MaxWait.
	ErrDeadline = errors.New("no units within MaxWait: try again later, or raise MaxWait, the weight or the capacity")

	// ErrTooLarge is for a request for more units than the tenant could have if nobody
	// else had any. Waiting does not help.
	ErrTooLarge = errors.New("more units than the tenant can ever have: ask for fewer, or raise Max or the capacity")

	// ErrBusy is for a TryAcquire that would have to wait.
	ErrBusy = errors.New("no units at once: try again later, or wait with Acquire")
)

// refusals are the reasons that are the scheduler's, not a context's.
var refusals = []error{ErrQueueFull, ErrDeadline, ErrTooLarge, ErrBusy}

// ErrOvercommitted is what more dedicated units than the capacity fail with. Whoever has
// dedicated units already keeps them.
var ErrOvercommitted = errors.New("fairshare: more dedicated units than the capacity: dedicate fewer, or raise the capacity")

// Error says why a request got no units. It wraps [ErrQueueFull], [ErrDeadline],
// [ErrTooLarge], [ErrBusy], or the error of the context that ended meanwhile.
type Error struct {
	Tenant     tenant.ID     // empty for the platform's own work
	Units      int64         // asked for
	Waited     time.Duration // in the queue
	RetryAfter time.Duration // estimate of when there will be room; 0 if waiting does not help
	AtMax      bool          // the tenant's own Max stood in the way, not the others
	Err        error
}

// Error says what happened and what to do.
func (e *Error) Error() string {
	whose := fmt.Sprintf("tenant %q", e.Tenant)
	if e.Tenant == "" {
		whose = "the platform"
	}
	text := fmt.Sprintf("fairshare: %s, %d units, waited %s: %v", whose, e.Units, e.Waited.Round(time.Millisecond), e.Err)
	if e.RetryAfter > 0 {
		text += fmt.Sprintf(" (retry in about %s)", e.RetryAfter.Round(time.Millisecond))
	}
	return text
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }
