package quota

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/quota/internal/count"
	"github.com/tenancy-go/tenancy/tenant"
)

// Store keeps what tenants have used where all replicas of a service see it. It must be
// safe for concurrent use, by several processes too. quotatest.TestStore checks an
// implementation against these comments.
//
// Time is the store's own, to the millisecond: replicas whose clocks differ agree.
type Store interface {
	// Take carries out t in one atomic step: its returns, which nothing refuses, and
	// then its charges, all or none. If the charges are refused the returns stay.
	//
	// A Taking that is repeated with its ID, because the answer was lost, has no further
	// effect and gets the answer of the first time: for as long as t.Remember says after
	// it was carried out, by the store's time, and not for longer.
	//
	// An error means that the answer is unknown: t was carried out or not.
	Take(ctx context.Context, t Taking) (Taken, error)

	// Renew says what holder holds: of each counter exactly N units, for as long as ttl
	// from now. It refuses nothing. What holder holds of other counters stays, and
	// runs out when its time has come.
	Renew(ctx context.Context, holder string, ttl time.Duration, held []Held) error

	// Read returns what was used of counters of the tenant id, in their order, without
	// changing anything.
	Read(ctx context.Context, id tenant.ID, counters []Counter) ([]Level, error)
}

// Batcher is a Store that carries out several Takings, also of different tenants, for
// little more than one costs. Where a limit has a Lease, an [Enforcer] makes use of it.
type Batcher interface {
	Store

	// TakeBatch carries out each of takings as Take would, one by one, and returns the
	// answers in their order.
	TakeBatch(ctx context.Context, takings []Taking) []Answer

	// Lane says which server has the data of the tenant id, by a name of its own. Takings
	// go together with those of their lane alone, so that a server that hangs does not
	// hold up another's, and is left alone without them.
	Lane(ctx context.Context, id tenant.ID) string
}

// Answer is what Take returns.
type Answer struct {
	Taken Taken
	Err   error
}

// Counter is one of a tenant's: of a limit, for a key if the limit is per key.
type Counter struct {
	Limit string
	Key   string
	Terms *Terms
}

// Terms are what a counter is held to. Nobody changes them: stores may keep what they
// make of them by their address.
type Terms struct {
	Kind    Kind     // Rate, Concurrent or Stock
	Windows []Window // of Rate, shortest first, with what grace adds
	Burst   int64    // of Rate; see Limit
	Max     int64    // of the others, with what grace adds, or Unlimited
	Zone    *time.Location
}

// Taking is what to return and to take, of one tenant.
type Taking struct {
	ID      string // unique for each Taking, 1 to 64 bytes
	Tenant  tenant.ID
	Holder  string        // the process, 1 to 64 bytes
	TTL     time.Duration // how long it holds what is concurrent or reserved, unless it is renewed
	Returns []Return
	Charges []Charge

	// Remember is how long the answer is remembered, up to 7 days: zero is for
	// AnswersFor.
	Remember time.Duration
	// Forget is the ID of an earlier Taking of the same Tenant and Holder whose answer has
	// been heard, or empty. If t is carried out, that answer is remembered for AnswersFor
	// from then on and no longer: a copy of the request may still be on its way.
	Forget string
}

// AnswersFor is how long a Store remembers the answer to a [Taking] that says nothing else.
const AnswersFor = time.Minute

// Charge asks for N units of a counter. Units of kind Concurrent and Stock are held by
// the Holder.
type Charge struct {
	Counter
	N int64
	// Least, if it is above zero, lets the store grant any number from Least to N, as
	// many as there is room for. Otherwise it is N or none.
	Least int64
}

// Return corrects what was taken.
type Return struct {
	Counter
	// N units go back: of a rate as if they had not been counted at the time At, and of
	// the others as if the Holder did not hold them. Below zero, -N units of a rate are
	// counted now, even beyond the limit.
	N  int64
	At time.Time
	// Kept units of a stock stay for good from now on, whoever holds what; below zero
	// they are no longer kept. With Exact, Kept is all that is kept.
	Kept  int64
	Exact bool
}

// Taken is the answer to a Taking.
type Taken struct {
	OK      bool
	At      time.Time // when it was carried out, by the store's time
	Granted []Granted // for each charge, if OK

	// If not OK, which charge was refused first, why, and when to try again: zero if
	// waiting does not help.
	Refused    int
	Cause      Cause // CauseLimit, CauseTooLarge, CauseBusy or CauseStock
	Window     int   // of the charge's terms; the number of windows for the burst
	RetryAfter time.Duration
}

// Granted is what a charge was granted.
type Granted struct {
	N    int64         // units
	Left int64         // how many there still are
	For  time.Duration // for how long they are of use: until the next window of a rate begins
}

// Held is what a process holds of a counter.
type Held struct {
	Tenant  tenant.ID
	Counter Counter
	N       int64
}

// Level is what was used of a counter.
type Level struct {
	Used    int64         // of Concurrent and Stock: held and kept
	Windows []WindowLevel // of Rate, as in the counter's terms
}

// WindowLevel is what was used of a window.
type WindowLevel struct {
	Used   int64
	Resets time.Time // when what was used until now no longer counts, or begins to count less
}

// Bounds of what a Taking may ask for.
const (
	maxStoreID  = 64
	maxStoreKey = 512
	maxSteps    = 200 // returns, and charges: a store does nothing else meanwhile
	maxTTL      = 400 * 24 * time.Hour
	maxRemember = 7 * 24 * time.Hour
)

// Validate checks what a Store need not check any more. Errors wrap [ErrInvalid], or
// tenant.ErrInvalidID.
func (t Taking) Validate() error {
	if err := t.Tenant.Validate(); err != nil {
		return err
	}
	if t.ID == "" || len(t.ID) > maxStoreID || t.Holder == "" || len(t.Holder) > maxStoreID {
		return fmt.Errorf("%w: taking: want an ID and a Holder of 1 to %d bytes", ErrInvalid, maxStoreID)
	}
	if t.Remember < 0 || t.Remember > maxRemember || len(t.Forget) > maxStoreID {
		return fmt.Errorf("%w: taking: want to Remember for up to 7 days, and to Forget an ID of at most %d bytes", ErrInvalid, maxStoreID)
	}
	if t.TTL < time.Millisecond || t.TTL > maxTTL {
		return fmt.Errorf("%w: taking: want a TTL of a millisecond to 400 days", ErrInvalid)
	}
	if len(t.Returns) > maxSteps || len(t.Charges) > maxSteps {
		return fmt.Errorf("%w: taking: want at most %d returns and charges", ErrInvalid, maxSteps)
	}
	for _, r := range t.Returns {
		if err := r.Counter.validate(); err != nil {
			return err
		}
		if r.N < -maxUnits || r.N > maxUnits || r.Kept < -maxUnits || r.Kept > maxUnits || r.Exact && r.Kept < 0 {
			return fmt.Errorf("%w: return of %s: want numbers up to 2^53", ErrInvalid, r.Limit)
		}
	}
	for _, c := range t.Charges {
		if err := c.Counter.validate(); err != nil {
			return err
		}
		if c.N < 0 || c.N > maxUnits || c.Least < 0 || c.Least > c.N {
			return fmt.Errorf("%w: charge of %s: want 0 to 2^53 units, and Least no more than N", ErrInvalid, c.Limit)
		}
	}
	return nil
}

// ValidateRead checks what [Store.Read] is asked, as [Taking.Validate] does for Take.
func ValidateRead(id tenant.ID, counters []Counter) error {
	if err := id.Validate(); err != nil {
		return err
	}
	for _, c := range counters {
		if err := c.validate(); err != nil {
			return err
		}
	}
	return nil
}

// ValidateRenew checks what [Store.Renew] is told.
func ValidateRenew(holder string, ttl time.Duration, held []Held) error {
	if holder == "" || len(holder) > maxStoreID || ttl < time.Millisecond || ttl > maxTTL {
		return fmt.Errorf("%w: renew: want a holder of 1 to %d bytes and a TTL of a millisecond to 400 days", ErrInvalid, maxStoreID)
	}
	for _, h := range held {
		if err := ValidateRead(h.Tenant, []Counter{h.Counter}); err != nil {
			return err
		}
		if h.N > maxUnits {
			return fmt.Errorf("%w: renew %s: want numbers up to 2^53", ErrInvalid, h.Counter.Limit)
		}
	}
	return nil
}

func (c Counter) validate() error {
	switch {
	case c.Terms == nil:
		return fmt.Errorf("%w: counter %s: nil Terms", ErrInvalid, c.Limit)
	case c.Limit == "" || len(c.Limit) > maxStoreKey || strings.ContainsRune(c.Limit, 0):
		return fmt.Errorf("%w: counter: want a limit of 1 to %d bytes", ErrInvalid, maxStoreKey)
	case len(c.Key) > maxStoreKey || strings.ContainsRune(c.Key, 0):
		return fmt.Errorf("%w: counter %s: want a key of at most %d bytes", ErrInvalid, c.Limit, maxStoreKey)
	case c.Terms.Kind != Rate && c.Terms.Kind != Concurrent && c.Terms.Kind != Stock:
		return fmt.Errorf("%w: counter %s: no store counts limits of kind %s", ErrInvalid, c.Limit, c.Terms.Kind)
	}
	for _, w := range c.Terms.Windows {
		if err := w.validate(c.Limit); err != nil {
			return err
		}
		if w.normal().Roll == Calendar && c.Terms.Zone == nil {
			return fmt.Errorf("%w: counter %s: nil Zone; want time.UTC or the tenant's", ErrInvalid, c.Limit)
		}
	}
	return nil
}

// Ends returns the end of the period of a calendar window that now is in, and of the
// one after it: what a store needs that knows no calendars. The end that a store has
// of a counter may only move later before it is reached, so that a change of the zone
// brings nothing back.
func (t *Terms) Ends(window int, now time.Time) (first, second time.Time) {
	w := t.Windows[window]
	c := count.NewCalendar(string(w.Per), int64(w.Length()), t.Zone)
	first = time.Unix(0, c.End(instant(now)))
	return first, time.Unix(0, c.End(instant(first)))
}

// Length returns the length of a window; of a month, 30 days.
func (w Window) Length() time.Duration { return w.Per.nominal() }
