package isolation

import (
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Stats is what a pool did and how it stands.
type Stats struct {
	Open    int // connections open, or about to be
	InUse   int // of these, held by statements, transactions and rows
	Idle    int // of these, idle
	Waiting int // statements waiting for a connection

	Opened    int64         // connections opened since the start
	Closed    int64         // and closed
	Hits      int64         // uses of a connection that its tenant had used before: no extra round trip
	Switches  int64         // uses of a connection confined anew: one extra round trip
	Evictions int64         // idle connections closed to make room for another place
	Recycled  int64         // connections closed after MaxTenantsPerConn tenants
	Waits     int64         // statements that had to wait
	WaitTime  time.Duration // for how long, in all

	System  TenantStats               // those of the system context
	Tenants map[tenant.ID]TenantStats // of all in use, and of the 10,000 others seen last
}

// TenantStats is one tenant's part in [Stats].
type TenantStats struct {
	InUse   int
	Idle    int
	Waiting int

	Hits      int64
	Switches  int64
	Evictions int64
	Waits     int64
	WaitTime  time.Duration
}

// Stats returns the pool's figures. It copies those of every tenant.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.figures
	s.Open, s.Idle, s.Waiting = p.open, p.idle.all.len, p.waiters
	s.InUse = p.busy.len
	s.Tenants = make(map[tenant.ID]TenantStats, len(p.ledger.byOwner))
	for o, a := range p.ledger.byOwner {
		if o.system {
			s.System = a.stats()
			continue
		}
		s.Tenants[o.id] = a.stats()
	}
	return s
}

func (a *account) stats() TenantStats {
	s := a.figures
	s.InUse, s.Idle, s.Waiting = a.held, a.idle.len, a.waiting.len
	return s
}
