package quota

// overflowOf returns the cell that hash shares with others if it has none of its
// own, or nil if there is no overflow.
func (t *table) overflowOf(hash uint64) cell {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.overflow == nil {
		return nil
	}
	return t.overflow[hash>>32%overflows]
}

// needOverflow makes the overflow, if need be, and returns the cell of hash in it.
func (t *table) needOverflow(hash uint64, now int64) cell {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.overflow == nil {
		t.overflow = make([]cell, overflows)
		for i := range t.overflow {
			t.overflow[i] = t.rule.newCell(now)
			t.overflow[i].store(wordKey, ofMany)
		}
	}
	return t.overflow[hash>>32%overflows]
}

// inheritOverflow lets c, a new cell for hash, remember what was used of the cell
// that hash may have shared before.
func (t *table) inheritOverflow(c cell, hash uint64) {
	from := t.overflowOf(hash)
	if from == nil {
		return
	}
	from.lock()
	defer from.unlock()
	now := t.rule.rollLocked(from, t.clk)
	if t.rule.isFresh(from, now) {
		return
	}
	t.rule.imitate(c, from, now)
}

// takeOver closes old, a table of another rule and for as many keys, and gives its
// keys cells of t, which nobody uses yet.
func (t *table) takeOver(old *table) {
	old.closed.Store(true)
	t.seed = old.seed
	for i := range old.shards {
		from := &old.shards[i]
		from.mu.Lock()
		for number := range from.cells() {
			was := old.cell(number)
			hash := uint64(was.load(wordKey))
			mine, _ := t.allot() // old had no more cells than t may have
			c := t.cell(mine)
			t.rule.adopt(c, old.rule, was, t.clk)
			c.store(wordKey, int64(hash))
			t.publish(t.shard(hash), hash, mine)
		}
		from.mu.Unlock()
	}
	for i := range old.overflow {
		t.needOverflow(uint64(i)<<32, t.clk.exact())
		t.rule.adopt(t.overflow[i], old.rule, old.overflow[i], t.clk)
	}
}
