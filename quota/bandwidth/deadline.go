package bandwidth

import (
	"sync"
	"time"
)

// deadline is a time that may be moved while it is waited for, as a net.Conn's. A nil one
// never passes.
type deadline struct {
	mu      sync.Mutex
	channel chan struct{} // closed when the time has passed
	over    bool          // whether channel is closed
	timer   *time.Timer
	sets    int
}

func newDeadline() *deadline { return &deadline{channel: make(chan struct{})} }

// set moves the deadline to t. The zero time is none.
func (d *deadline) set(t time.Time) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sets++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	wait := time.Until(t)
	switch {
	case !t.IsZero() && wait <= 0:
		d.pass()
	default:
		if d.over {
			d.channel, d.over = make(chan struct{}), false
		}
		if !t.IsZero() {
			set := d.sets
			d.timer = time.AfterFunc(wait, func() { d.expire(set) })
		}
	}
}

// expire is the end of the time that was set last, or before: then it means nothing.
func (d *deadline) expire(set int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sets == set {
		d.pass()
	}
}

func (d *deadline) pass() {
	if !d.over {
		close(d.channel)
		d.over = true
	}
}

// passed returns a channel that is closed when the deadline passes.
func (d *deadline) passed() <-chan struct{} {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.channel
}
