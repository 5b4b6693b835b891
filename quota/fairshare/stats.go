package fairshare

import (
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Usage is what one tenant, or all together, have and had.
type Usage struct {
	Held        int64         // units now
	Waiting     int           // requests now
	Granted     uint64        // requests
	Refused     uint64        // requests that failed with ErrQueueFull, ErrDeadline, ErrTooLarge or ErrBusy
	Withdrawn   uint64        // requests whose context ended while they waited
	Waited      time.Duration // by those granted, together
	UnitSeconds float64       // units by the time for which they were held
}

// Stats is a scheduler's state, and what it did since it was made.
type Stats struct {
	Usage             // of all, those forgotten meanwhile included
	Capacity    int64 // units
	Dedicated   int64 // units set aside
	Contenders  int   // tenants that wait for others, the platform included
	TypicalHold time.Duration
	Platform    Usage
	Tenants     map[tenant.ID]Usage // those remembered: see WithIdle
}

// Stats returns the scheduler's figures. It looks at each tenant, so that it is nothing
// for each request.
func (s *Scheduler) Stats() Stats {
	s.lock()
	defer s.unlock()
	stats := Stats{
		Usage:       s.total,
		Capacity:    s.capacity,
		Dedicated:   s.dedicated,
		Contenders:  s.ready.Len(),
		TypicalHold: time.Duration(s.clock.typical.value),
		Tenants:     make(map[tenant.ID]Usage, len(s.accounts)),
	}
	stats.Held = s.held
	for o, a := range s.accounts {
		usage := a.figures
		usage.Held, usage.Waiting = a.held-a.parked, a.waiting.len
		stats.Held -= a.parked
		usage.UnitSeconds += a.unitSeconds(s.clock.now)
		if o.system {
			stats.Platform = usage
		} else {
			stats.Tenants[o.id] = usage
		}
	}
	return stats
}
