package quota

import "sync/atomic"

// sweep frees cells of s that decide as new ones would, among the next n slots.
func (t *table) sweep(s *shard, now int64, n int) {
	slots := s.slots.Load()
	if slots == nil || now < s.rest {
		return
	}
	for range min(n, len(*slots)) {
		if s.hand++; s.hand >= len(*slots) {
			if s.hand = 0; s.found == 0 {
				s.rest = min(s.soon, now+int64(t.rule.windows[0].public.Per.nominal())/8)
			}
			s.found, s.soon = 0, never
		}
		slot := (*slots)[s.hand].Load()
		if slot == 0 || slot == gone {
			continue
		}
		number := uint32(slot)
		if c := t.cell(number); !t.retire(c) {
			s.soon = min(s.soon, c.load(wordEdge))
			continue
		}
		(*slots)[s.hand].Store(gone)
		s.live--
		s.found++
		t.mu.Lock()
		t.free = append(t.free, number)
		t.mu.Unlock()
	}
}

// sweepOthers looks for fresh cells in a few other shards than that of hash, which may
// have more of them. It waits for none.
func (t *table) sweepOthers(hash uint64, now int64) {
	for i := range min(uint64(len(t.shards)-1), sweepShards) {
		other := &t.shards[(hash>>8+1+i*(1|hash>>40))&uint64(len(t.shards)-1)]
		if other == t.shard(hash) || !other.mu.TryLock() {
			continue
		}
		t.sweep(other, now, sweepMany)
		other.mu.Unlock()
	}
}

// retire takes c from its key, if it decides as a new one would, and nobody counts in it
// meanwhile.
func (t *table) retire(c cell) bool {
	c.lock()
	defer c.unlock()
	now := t.rule.rollLocked(c, t.clk)
	used, key := c.load(wordUsed), c.load(wordKey)
	if !t.rule.isFresh(c, now) {
		return false
	}
	c.store(wordKey, 0)
	if !atomic.CompareAndSwapInt64(&c[wordUsed], used, used+1) {
		c.store(wordKey, key)
		return false
	}
	return true
}
