package quota

import (
	"sync/atomic"
	"time"

	"github.com/tenancy-go/tenancy/quota/internal/count"
)

// Reading the time costs more than all the rest of a decision, and most decisions
// need it only to see that no window has ended. So while decisions come by the
// thousand, a goroutine writes the time down each tick for all of them to read. It ends
// by itself after a while, and another begins if they still come.
const (
	clockTick  = time.Millisecond
	busyReads  = 1024                   // so many readings …
	busyWithin = 100 * time.Millisecond // … within this time make it worth the goroutine
	ticks      = 5000                   // it ends after so many
	jump       = int64(time.Second)     // the wall clock is followed when it is ahead by more
)

// never is a time that does not come.
const never = count.Never

// instant returns t as the clock tells it. Times that int64 does not hold are the first or
// the last.
func instant(t time.Time) int64 { return count.Instant(t) }

// clock tells the time in nanoseconds since 1970. It never goes back: it runs with
// the monotonic clock, and follows the wall clock when that jumps ahead. A wall
// clock that is set back is left to catch up.
type clock struct {
	written  atomic.Int64 // the time at the last tick; 0 while nobody writes it down
	injected func() time.Time
	start    time.Time
	ahead    atomic.Int64 // what the wall clock jumped ahead since start
	reads    atomic.Int64 // exact readings by those who wanted a rough one
	busyFrom atomic.Int64 // when the current busyReads began
	ticking  atomic.Bool
}

// newClock returns a clock that asks now, or the computer's own if that is nil.
func newClock(now func() time.Time) *clock {
	c := &clock{injected: now}
	if now == nil {
		c.start = time.Now()
	}
	return c
}

// rough returns the time of the last tick, or the exact time if nobody writes it
// down.
func (c *clock) rough() int64 {
	if now := c.written.Load(); now != 0 {
		return now
	}
	return c.unwritten()
}

// exact returns the time.
func (c *clock) exact() int64 {
	if c.injected != nil {
		return c.injected().UnixNano()
	}
	now := time.Now()
	at := c.start.UnixNano() + int64(now.Sub(c.start)) + c.ahead.Load()
	if behind := now.UnixNano() - at; behind > jump {
		ahead := c.ahead.Load()
		if c.ahead.CompareAndSwap(ahead, ahead+behind) {
			at += behind
		}
	}
	return at
}

// unwritten returns the exact time, and has it written down from now on if many
// ask.
func (c *clock) unwritten() int64 {
	now := c.exact()
	if c.injected != nil || c.reads.Add(1)%busyReads != 0 {
		return now
	}
	if now-c.busyFrom.Swap(now) < int64(busyWithin) && c.ticking.CompareAndSwap(false, true) {
		go c.tick()
	}
	return now
}

// tick writes the time down for a while.
func (c *clock) tick() {
	ticker := time.NewTicker(clockTick)
	defer ticker.Stop()
	for range ticks {
		c.written.Store(c.exact())
		<-ticker.C
	}
	c.written.Store(0)
	c.ticking.Store(false)
}
