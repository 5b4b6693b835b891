package cache

import "github.com/tenancy-go/tenancy/tenant"

// Stats is what a cache did, and how it stands.
type Stats struct {
	Hits       uint64
	Misses     uint64
	Evictions  uint64 // values pushed out for want of room
	Loads      uint64 // calls of loaders
	LoadErrors uint64 // of these, failed
	Entries    int    // values kept now

	Tenants map[tenant.ID]TenantStats // of those that have values now, so no more than MaxEntries
}

// TenantStats is one tenant's part in [Stats], since it last had no values.
type TenantStats struct {
	Hits      uint64
	Misses    uint64
	Evictions uint64
	Entries   int
}

// Stats returns the cache's figures. It copies those of every tenant.
func (c *Cache[K, V]) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.figures
	s.Entries = c.total
	s.Tenants = make(map[tenant.ID]TenantStats, len(c.shelves))
	for id, shelf := range c.shelves {
		figures := shelf.figures
		figures.Entries = shelf.values.Len()
		s.Tenants[id] = figures
	}
	return s
}
