package quota

import (
	"runtime"
	"sync/atomic"
)

// cell is what one tenant has used of one limit. It is one counter with one
// ceiling, whatever the number of windows: all windows of a limit count the same
// units, so each of them says up to which value of the counter it lets units in,
// and the lowest of these is the ceiling. A decision compares and adds, in one
// atomic step. The counter never goes down: units that are given back raise the
// ceiling instead.
//
// While its rule stands, the ceiling never falls either. Inside a rolling window
// the part of the one before that counts only shrinks. At an edge, where base
// becomes used and before becomes used-base, the ceiling stays base+limit. So a
// ceiling of some time ago is a safe one, and needs to be looked at again only at the
// edge of a window, when the counter reaches it, or when units are given back.
//
// A cell is a run of words, so that many lie in one piece of memory without a
// pointer. These come first; the windows' own follow as the rule says.
type cell []int64

const (
	wordUsed    = iota // the counter
	wordCeiling        // units are let in while the counter stays at or below
	wordEdge           // when the ceiling is to be looked at again: the first end of a window
	wordKey            // hash of the key that the cell is of, if it is of one
	wordRetry          // no unit has room before this time, unless some are given back
	wordState          // lock, closest window, windows that were warned of, windows that are new
	headWords
)

// A decision that lets in reads no more than the first four words. Where many cells lie
// in one piece they are multiples of so many words long, so that these four are in one
// line of the processor's cache.
const lineWords = 4

// Bits of a cell's state.
const (
	stateLocked  = 1
	closestShift = 8  // the window that set retry
	warnedShift  = 16 // one bit for each window whose soft limit was passed
	newShift     = 32 // one bit for each window that the rule before did not have
	closestMask  = 0xff << closestShift
	newMask      = int64(-1) << newShift
)

const (
	// closed is the counter of a cell that has been given up for another. Nothing fits
	// under any ceiling.
	closed = int64(1) << 61
	// worn is a counter that has gone so far that its cell should be given up for one
	// that begins anew, and lasting is as far as it goes with what is counted whatever
	// the limit.
	worn    = int64(1) << 58
	lasting = int64(1) << 60
)

// The words that decisions read, and change, without the lock.
func (c cell) load(word int) int64     { return atomic.LoadInt64(&c[word]) }
func (c cell) store(word int, v int64) { atomic.StoreInt64(&c[word], v) }
func (c cell) isClosed() bool          { return c.load(wordUsed) >= closed }
func (c cell) closest() uint8          { return uint8(c.load(wordState) & closestMask >> closestShift) }

// lock is held for a handful of operations, and not by the way of a decision that
// has room.
func (c cell) lock() {
	for {
		state := atomic.LoadInt64(&c[wordState])
		if state&stateLocked == 0 && atomic.CompareAndSwapInt64(&c[wordState], state, state|stateLocked) {
			return
		}
		runtime.Gosched()
	}
}

func (c cell) unlock() {
	atomic.StoreInt64(&c[wordState], atomic.LoadInt64(&c[wordState])&^stateLocked)
}
