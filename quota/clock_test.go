package quota_test

import (
	"sync/atomic"
	"time"
)

// testClock is a clock that tests set.
type testClock struct{ now atomic.Int64 }

func newTestClock(at time.Time) *testClock {
	c := &testClock{}
	c.now.Store(at.UnixNano())
	return c
}

func (c *testClock) Now() time.Time          { return time.Unix(0, c.now.Load()).UTC() }
func (c *testClock) Advance(d time.Duration) { c.now.Add(int64(d)) }
func (c *testClock) Set(at time.Time)        { c.now.Store(at.UnixNano()) }
