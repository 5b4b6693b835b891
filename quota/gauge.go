package quota

import (
	"sync"
	"sync/atomic"
)

// gauge counts what is held or kept at present.
type gauge struct {
	used     atomic.Int64
	reserved atomic.Int64 // the part of used, in stock, whose grants have not ended
	warned   atomic.Bool  // of being beyond the soft limit
}

// take adds n if the sum stays at or below max, or max is Unlimited. It reports as
// well whether the sum passed the soft limit warn.
func (g *gauge) take(n, max, warn int64) (used int64, warned, ok bool) {
	for {
		used = g.used.Load()
		if max != Unlimited && used+n > max {
			return used, false, false
		}
		if g.used.CompareAndSwap(used, used+n) {
			used += n
			return used, max != Unlimited && g.passed(used, warn), true
		}
	}
}

// passed reports whether used is beyond warn for the first time since it was well
// below.
func (g *gauge) passed(used, warn int64) bool {
	if used > warn {
		return !g.warned.Swap(true)
	}
	if used <= warn-warn/10 && g.warned.Load() {
		g.warned.Store(false)
	}
	return false
}

// add adds n whatever the limit, and stops where numbers end.
func (g *gauge) add(n int64) {
	for {
		used := g.used.Load()
		if g.used.CompareAndSwap(used, min(lasting, used+n)) {
			return
		}
	}
}

// free takes n away of what no grant has that has not ended, as far as there is so
// much.
func (g *gauge) free(n int64) {
	for {
		used := g.used.Load()
		if g.used.CompareAndSwap(used, used-max(0, min(n, used-g.reserved.Load()))) {
			return
		}
	}
}

// release takes n away, and stops at zero.
func (g *gauge) release(n int64) {
	for {
		used := g.used.Load()
		if g.used.CompareAndSwap(used, max(0, used-n)) {
			return
		}
	}
}

// reconcile sets what is kept, beside what grants that have not ended hold.
func (g *gauge) reconcile(kept int64) (was int64) {
	for {
		used, reserved := g.used.Load(), g.reserved.Load()
		if g.used.CompareAndSwap(used, kept+reserved) {
			return used - reserved
		}
	}
}

// gauges are those of the keys of one limit. Keys that hold nothing take no room.
type gauges struct {
	mu    sync.Mutex
	byKey map[string]*gauge
}

// take is gauge.take for the gauge of key.
func (g *gauges) take(key string, n, max, warn int64) (used int64, warned, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	kept := g.byKey[key]
	if kept == nil {
		kept = new(gauge)
	}
	if used, warned, ok = kept.take(n, max, warn); ok && used > 0 {
		if g.byKey == nil {
			g.byKey = make(map[string]*gauge)
		}
		g.byKey[key] = kept
	}
	return used, warned, ok
}

func (g *gauges) release(key string, n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	kept := g.byKey[key]
	if kept == nil {
		return
	}
	if kept.release(n); kept.used.Load() == 0 {
		delete(g.byKey, key)
	}
}

// add is for a key that holds something already.
func (g *gauges) add(key string, n int64) {
	_, _, _ = g.take(key, n, Unlimited, 0)
}

func (g *gauges) used(key string) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if kept := g.byKey[key]; kept != nil {
		return kept.used.Load()
	}
	return 0
}
