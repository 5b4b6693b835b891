package cache

import (
	"container/heap"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/tenancy-go/tenancy/tenant"
)

// shelf is what one tenant has in the cache.
type shelf[K comparable, V any] struct {
	id      tenant.ID
	values  *simplelru.LRU[K, entry[V]]
	figures TenantStats
	lastPut uint64 // Cache.puts then
	rank    int    // place in the ranking
}

// put keeps e, and pushes out what there is no room for.
func (c *Cache[K, V]) put(id tenant.ID, key K, e entry[V]) {
	s := c.shelf(id)
	c.puts++
	s.lastPut = c.puts
	before := s.values.Len()
	if s.values.Add(key, e) {
		c.evicted(s)
	}
	c.total += s.values.Len() - before
	heap.Fix(&c.ranking, s.rank)
	for c.total > c.maxEntries {
		c.shrink(c.ranking[0])
	}
}

// shelf returns id's, made if need be.
func (c *Cache[K, V]) shelf(id tenant.ID) *shelf[K, V] {
	if s := c.shelves[id]; s != nil {
		return s
	}
	values, _ := simplelru.NewLRU[K, entry[V]](c.perTenant, nil) // fails for a size below 1 only
	s := &shelf[K, V]{id: id, values: values}
	c.shelves[id] = s
	heap.Push(&c.ranking, s)
	return s
}

// shrink takes the least recently used value of the tenant that has the most.
func (c *Cache[K, V]) shrink(s *shelf[K, V]) {
	s.values.RemoveOldest()
	c.total--
	c.evicted(s)
	c.settle(s)
}

// drop removes one value.
func (c *Cache[K, V]) drop(id tenant.ID, key K) {
	if s := c.shelves[id]; s != nil && s.values.Remove(key) {
		c.total--
		c.settle(s)
	}
}

func (c *Cache[K, V]) evicted(s *shelf[K, V]) {
	c.figures.Evictions++
	s.figures.Evictions++
}

// settle brings the ranking up to date with a shelf that has become smaller.
func (c *Cache[K, V]) settle(s *shelf[K, V]) {
	if s.values.Len() == 0 {
		c.clear(s)
		return
	}
	heap.Fix(&c.ranking, s.rank)
}

// clear forgets a shelf.
func (c *Cache[K, V]) clear(s *shelf[K, V]) {
	heap.Remove(&c.ranking, s.rank)
	delete(c.shelves, s.id)
}

// ranking is a heap of all shelves: on top the one with the most values; of several, the
// one to which nothing was added for the longest time.
type ranking[K comparable, V any] []*shelf[K, V]

func (r ranking[K, V]) Len() int { return len(r) }

func (r ranking[K, V]) Less(i, j int) bool {
	if a, b := r[i].values.Len(), r[j].values.Len(); a != b {
		return a > b
	}
	return r[i].lastPut < r[j].lastPut
}

func (r ranking[K, V]) Swap(i, j int) {
	r[i], r[j] = r[j], r[i]
	r[i].rank, r[j].rank = i, j
}

// Push implements heap.Interface.
func (r *ranking[K, V]) Push(x any) {
	s, _ := x.(*shelf[K, V])
	s.rank = len(*r)
	*r = append(*r, s)
}

// Pop implements heap.Interface.
func (r *ranking[K, V]) Pop() any {
	last := len(*r) - 1
	s := (*r)[last]
	(*r)[last] = nil
	*r = (*r)[:last]
	return s
}
