package quota

import (
	"hash/maphash"
	"iter"
	"math/bits"
	"sync"
	"sync/atomic"
)

// table finds the cell of a key without a lock. It has many shards, so that growing
// one of them is short. Cells lie in chunks without pointers.
//
// The number of cells is bounded. When there is no room, cells that decide as new
// ones would are taken from their keys; never others, since that would forget what
// was used. If there are none, keys share the few cells of the overflow: those who
// come late to a flood of keys may be refused early, and nobody gets too much.
//
// A cell knows the hash of its key, and its counter never goes down or comes back to
// a value it had. So whoever reads the counter, then finds its hash, and then
// changes the counter from what it read, has counted for its own key: if the cell
// changed hands in between, the counter changed too.
//
// Keys are known by a hash of 64 bits with a secret seed. Of n keys, two share a
// counter with a probability of about n²/2^65: 3 in 100 million for a million keys.
type table struct {
	rule   *rule
	clk    *clock
	seed   maphash.Seed
	shards []shard
	max    int64                     // cells
	chunks atomic.Pointer[[][]int64] // only ever grows
	closed atomic.Bool               // another table has its keys
	worn   atomic.Bool               // a counter has gone so far that the table should be given up

	mu       sync.Mutex // guards what follows, and is taken inside a shard's
	made     uint32     // cells so far; the first is number 1
	free     []uint32   // numbers of cells without a key
	overflow []cell     // nil until it is needed
}

// shard is the part of the table for some hashes. Its slots have the upper half of
// a hash and the number of a cell; 0 was never used, gone is no more.
type shard struct {
	slots atomic.Pointer[[]atomic.Uint64]
	mu    sync.Mutex // of whoever changes slots
	used  int        // slots that are not 0
	live  int        // slots with a cell
	hand  int        // where the next look for fresh cells begins
	found int        // fresh cells, since hand was at the begin
	soon  int64      // when the first of the others may be fresh
	rest  int64      // no look before this time: the last time round there were none
}

const (
	firstSlots  = 8
	gone        = uint64(1) << 32 // a tag without a cell
	overflows   = 64
	ofMany      = -1   // in place of the hash in cells of the overflow
	sweepFew    = 2    // how many slots a new key looks at for fresh cells …
	sweepMany   = 16   // … and when there is no other room
	sweepShards = 8    // in its own shard and in so many others
	firstChunk  = 64   // cells; each chunk has twice as many as the one before …
	lastChunk   = 4096 // … up to these
	maxCells    = 1 << 31
)

// newTable returns a table for max keys, and more that share. The number of shards is
// a power of two.
func newTable(r *rule, clk *clock, max int64, shards int) *table {
	keyed := *r
	keyed.keyed = true
	keyed.words = (keyed.words + lineWords - 1) / lineWords * lineWords
	t := &table{rule: &keyed, clk: clk, seed: maphash.MakeSeed(), shards: make([]shard, shards), max: max}
	t.chunks.Store(new([][]int64))
	return t
}

// hash returns the hash of key, which is neither 0 nor ofMany.
func (t *table) hash(key string) uint64 { return maphash.String(t.seed, key)&^2 | 1 }

// take counts n units of key. The decision is moved if the table is closed.
func (t *table) take(key string, n int64) Decision {
	hash := t.hash(key)
	for {
		c := t.find(hash)
		if c == nil {
			if c = t.insert(hash); c == nil {
				return moved
			}
		}
		var d Decision
		if t.rule.quick {
			d = t.rule.count(c, int64(hash), n, t.clk.rough(), t.clk)
		} else {
			d = t.rule.take(c, int64(hash), n, t.clk)
		}
		if !d.isMoved() {
			return d
		}
		if c.isClosed() {
			t.worn.Store(true)
			return moved
		}
		if t.closed.Load() {
			return moved
		}
	}
}

// isShared reports whether key has no cell of its own, for want of room.
func (t *table) isShared(key string) bool {
	hash := t.hash(key)
	c := t.find(hash)
	if c == nil {
		c = t.insert(hash)
	}
	return c != nil && c.load(wordKey) == ofMany
}

// giveBack takes n units of key back that were counted at the time at. It reports
// false if the table is closed.
func (t *table) giveBack(key string, n, at int64) bool {
	hash := t.hash(key)
	for !t.closed.Load() {
		c := t.find(hash)
		if c == nil {
			c = t.overflowOf(hash)
		}
		if c == nil || t.rule.giveBack(c, int64(hash), n, at, t.clk) {
			t.wear(c)
			return true // a key that has no cell has nothing that counts
		}
	}
	return false
}

// peek returns a refusal if key has no room for n units.
func (t *table) peek(key string, n int64) Decision {
	hash := t.hash(key)
	c := t.find(hash)
	if c == nil {
		return Decision{OK: true} // take finds out
	}
	if d := t.rule.peek(c, int64(hash), n, t.clk); !d.isMoved() {
		return d
	}
	return Decision{OK: true}
}

// force counts n units of key, whatever the limit. It reports false if the table is
// closed.
func (t *table) force(key string, n int64) bool {
	hash := t.hash(key)
	for !t.closed.Load() {
		c := t.find(hash)
		if c == nil {
			c = t.insert(hash)
		}
		if c != nil && t.rule.force(c, int64(hash), n, t.clk) {
			t.wear(c)
			return true
		}
	}
	return false
}

// wear takes down whether c has gone far.
func (t *table) wear(c cell) {
	if c != nil && c.load(wordUsed) > worn {
		t.worn.Store(true)
	}
}

func (t *table) shard(hash uint64) *shard { return &t.shards[hash>>8&uint64(len(t.shards)-1)] }

// find returns the cell of hash, or nil.
func (t *table) find(hash uint64) cell {
	slots := t.shard(hash).slots.Load()
	if slots == nil {
		return nil
	}
	mask := uint64(len(*slots) - 1)
	for i := hash >> 20 & mask; ; i = (i + 1) & mask {
		slot := (*slots)[i].Load()
		if slot == 0 {
			return nil
		}
		if slot>>32 == hash>>32 && slot != gone {
			if c := t.cell(uint32(slot)); uint64(c.load(wordKey)) == hash {
				return c
			}
		}
	}
}

// cell returns the cell with a number.
func (t *table) cell(number uint32) cell {
	chunk, at := place(number)
	from := at * t.rule.words
	return (*t.chunks.Load())[chunk][from : from+t.rule.words : from+t.rule.words]
}

// place returns the chunk of a cell and the cell's place in it.
func place(number uint32) (chunk, at int) {
	n := number + firstChunk
	if n >= lastChunk {
		return lastChunks - 1 + int(n/lastChunk), int(n % lastChunk)
	}
	chunk = bits.Len32(n/firstChunk) - 1
	return chunk, int(n) - firstChunk<<chunk
}

// lastChunks is the number of the first chunk of full length.
var lastChunks = bits.Len32(lastChunk/firstChunk) - 1

// insert returns the cell of hash, which find did not find, or nil if the table is
// closed.
func (t *table) insert(hash uint64) cell {
	s := t.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := t.find(hash); c != nil {
		return c
	}
	if t.closed.Load() {
		return nil
	}
	now := t.clk.exact()
	t.sweep(s, now, sweepFew)
	number, ok := t.allot()
	if !ok {
		t.sweep(s, now, sweepMany)
		t.sweepOthers(hash, now)
		if number, ok = t.allot(); !ok {
			return t.needOverflow(hash, now)
		}
	}
	c := t.cell(number)
	c.lock() // someone may still be on its way out of it
	t.rule.start(c, now)
	t.inheritOverflow(c, hash)
	t.rule.step(c, t.clk) // whoever read the ceiling of before does not count by it
	c.store(wordKey, int64(hash))
	c.unlock()
	t.publish(s, hash, number)
	return c
}

// publish lets find find the cell of hash.
func (t *table) publish(s *shard, hash uint64, number uint32) {
	if slots := s.slots.Load(); slots == nil || s.used >= len(*slots)*3/4 {
		t.rebuild(s)
	}
	putSlot(*s.slots.Load(), hash, hash&^(1<<32-1)|uint64(number))
	s.used++
	s.live++
}

func putSlot(slots []atomic.Uint64, hash, slot uint64) {
	mask := uint64(len(slots) - 1)
	i := hash >> 20 & mask
	for slots[i].Load() != 0 {
		i = (i + 1) & mask
	}
	slots[i].Store(slot)
}

// rebuild gives s slots without those that are gone, twice as many if it needs
// them.
func (t *table) rebuild(s *shard) {
	size := firstSlots
	for s.live >= size/2 {
		size *= 2
	}
	slots := make([]atomic.Uint64, size)
	for number := range s.cells() {
		hash := uint64(t.cell(number).load(wordKey))
		putSlot(slots, hash, hash&^(1<<32-1)|uint64(number))
	}
	s.used = s.live
	s.slots.Store(&slots)
}

// cells returns the numbers of the cells that s has.
func (s *shard) cells() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		slots := s.slots.Load()
		if slots == nil {
			return
		}
		for i := range *slots {
			slot := (*slots)[i].Load()
			if slot != 0 && slot != gone && !yield(uint32(slot)) {
				return
			}
		}
	}
}

// allot returns the number of a cell without a key, or false if there are as many as
// may be.
func (t *table) allot() (uint32, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last := len(t.free) - 1; last >= 0 {
		number := t.free[last]
		t.free = t.free[:last]
		return number, true
	}
	if int64(t.made) >= t.max {
		return 0, false
	}
	t.made++
	chunks := *t.chunks.Load()
	if chunk, _ := place(t.made); chunk >= len(chunks) {
		cells := firstChunk << min(chunk, lastChunks)
		grown := append(chunks, make([]int64, cells*t.rule.words))
		t.chunks.Store(&grown)
	}
	return t.made, true
}

// len returns the number of keys that have a cell.
func (t *table) len() int {
	total := 0
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		total += s.live
		s.mu.Unlock()
	}
	return total
}
