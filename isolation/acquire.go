package isolation

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// grant is the right to one connection.
type grant struct {
	conn      *physical // an idle connection; nil means that a new one may be opened
	confine   bool      // conn was another owner's
	victim    *physical // to be closed before the new one is opened
	forgotten int       // account.forgotten when a new one was granted
	again     bool      // nothing: o was forgotten, and may live elsewhere by now
	err       error     // there will be no connection
}

// acquire returns a connection confined to o, whose context is ctx, on which query
// may run; an empty one stands for what is no statement. If fresh is set, it is a new
// one. acquire tries again if the connection died while it was idle, or if o was forgotten
// meanwhile, whose home may be another by now: nothing was sent yet.
func (p *Pool) acquire(ctx context.Context, o owner, query string, fresh bool) (*physical, error) {
	for {
		ph, err := p.attempt(ctx, o, query, fresh)
		if err != nil {
			return nil, err
		}
		if ph != nil {
			return ph, nil
		}
	}
}

// attempt is one try of acquire. It returns nil for another.
func (p *Pool) attempt(ctx context.Context, o owner, query string, fresh bool) (*physical, error) {
	forgets := p.forgets.Load()
	t, place, err := p.place(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := allow(place.Via, query, false); err != nil {
		return nil, err
	}
	limits, err := p.limitsOf(ctx, o, t, place.Via)
	if err != nil {
		return nil, err
	}
	g, err := p.await(ctx, request{owner: o, key: p.keyOf(place, o), fresh: fresh, most: p.most(limits), forgets: forgets})
	if err != nil || g.again {
		return nil, err
	}
	ph := g.conn
	if ph == nil {
		ph, err = p.connect(ctx, g, o, t, place, limits.session())
	} else {
		err = p.reuse(ctx, g, t, limits.session())
	}
	if err != nil {
		return nil, err
	}
	if ph = p.unlessLost(ph); ph == nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return ph, nil
}

// unlessLost returns ph if it may be used, else it gives ph back and returns nil.
func (p *Pool) unlessLost(ph *physical) *physical {
	p.mu.Lock()
	lost := ph.broken || ph.doomed.Load() && !p.closed
	p.mu.Unlock()
	if !lost {
		return ph
	}
	ph.broken = true
	p.release(ph)
	return nil
}

// place asks the strategy where o's data lives.
func (p *Pool) place(ctx context.Context, o owner) (tenant.Tenant, Place, error) {
	if o.system {
		s, ok := p.strategy.(SystemPlacer)
		if !ok {
			return tenant.Tenant{}, Place{}, ErrNoSystem
		}
		place, err := s.PlaceSystem(ctx)
		return tenant.Tenant{}, place, checkPlace(place, err)
	}
	t, err := tenant.FromContext(ctx)
	if err != nil {
		return tenant.Tenant{}, Place{}, err
	}
	place, err := p.strategy.Place(ctx, t)
	return t, place, checkPlace(place, err)
}

func checkPlace(place Place, err error) error {
	switch {
	case err != nil:
		return err
	case place.Key == "" || place.Connector == nil:
		return errors.New("isolation: strategy returned an empty place")
	case place.Via != nil && !reflect.ValueOf(place.Via).Comparable():
		return fmt.Errorf("isolation: a place's Via must be comparable, as a pointer is; %T is not", place.Via)
	}
	return nil
}

// allow checks query, if it is one, by the dialect of via. A strategy that is the
// pool's own was asked before.
func allow(via Strategy, query string, inTx bool) error {
	if via == nil || query == "" {
		return nil
	}
	if c, ok := via.(StatementChecker); ok {
		return c.CheckStatement(query, inTx)
	}
	return checkPostgres(query, inTx)
}

// reuse makes an idle connection ready for its new use, within l. A connection that turns
// out to be dead is marked broken, without an error; so is one on which the timeout of the
// tenant before ended the confining.
func (p *Pool) reuse(ctx context.Context, g grant, t tenant.Tenant, l Limits) (err error) {
	ready := false
	g.conn.reused = true
	defer func() {
		if !ready { // also when the strategy panics
			g.conn.broken = true
			p.release(g.conn)
		}
	}()
	if err = g.conn.reset(ctx); err == nil && (g.confine || g.conn.stale() || g.conn.limits != l) {
		if !g.conn.keepsStatements() {
			g.conn.stmts = statements{}
		}
		err = p.confine(ctx, g.conn.via, g.conn.conn, t, l)
		g.conn.limits = l
		g.conn.renewBy = p.renewBy(g.conn.via)
	}
	if err != nil && ctx.Err() == nil && (errors.Is(err, driver.ErrBadConn) || cancelled(err) || !g.conn.valid()) {
		g.conn.broken, err = true, nil
	}
	ready = err == nil
	return err
}

// confine confines conn to t, within l, by the strategy of the place that opened it. One
// that is no Limiter has no tenants with limits.
func (p *Pool) confine(ctx context.Context, via Strategy, conn driver.Conn, t tenant.Tenant, l Limits) error {
	s := p.by(via)
	var err error
	if limiter, ok := s.(Limiter); ok && p.limits != nil {
		err = limiter.ConfineWithin(ctx, conn, t, l)
	} else {
		err = s.Confine(ctx, conn, t)
	}
	if err != nil {
		return fmt.Errorf("isolation: confining a connection to tenant %s: %w", t.ID, err)
	}
	return nil
}

// by returns the strategy that a place names, or the pool's.
func (p *Pool) by(via Strategy) Strategy {
	if via != nil {
		return via
	}
	return p.strategy
}

// connect opens a connection for o, within l. The slot is taken already.
func (p *Pool) connect(ctx context.Context, g grant, o owner, t tenant.Tenant, place Place, l Limits) (*physical, error) {
	if g.victim != nil {
		_ = g.victim.conn.Close() // gone either way
	}
	var conn driver.Conn
	adopted := false
	defer func() {
		if adopted {
			return
		}
		if conn != nil { // also when the strategy panics
			_ = conn.Close() // what went wrong says more
		}
		p.giveUp(o)
	}()
	conn, err := place.Connector.Connect(ctx)
	if err != nil {
		conn = nil
		return nil, err
	}
	if !o.system {
		if err := p.confine(ctx, place.Via, conn, t, l); err != nil {
			return nil, err
		}
	}
	adopted = true
	return p.adopt(conn, o, place, g, l), nil
}

// adopt makes conn one of the connections in use, held by o within l. It is doomed if o
// was forgotten since it was granted.
func (p *Pool) adopt(conn driver.Conn, o owner, place Place, g grant, l Limits) *physical {
	ph := newPhysical(conn, p.keyOf(place, o), place.Via, time.Now())
	ph.owner, ph.limits = o, l
	ph.renewBy = p.renewBy(place.Via)
	if ph.most = p.recyclesAfter(place.Via); ph.most > 0 {
		ph.served = map[owner]struct{}{o: {}}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.figures.Opened++
	ph.doomed.Store(p.closed || p.ledger.byOwner[o].forgotten != g.forgotten)
	p.busy.push(&ph.everyone)
	return ph
}

// renewBy returns when a connection that via has just confined must be confined anew,
// or zero for never.
func (p *Pool) renewBy(via Strategy) time.Time {
	r, ok := p.by(via).(Renewer)
	if !ok {
		return time.Time{}
	}
	after := r.RenewAfter()
	if after <= 0 {
		return time.Time{}
	}
	return time.Now().Add(after)
}

// recyclesAfter returns how many tenants a connection of via's serves; 0 means any
// number.
func (p *Pool) recyclesAfter(via Strategy) int {
	if r, ok := p.by(via).(Recycler); ok && p.recycleAtWill {
		return max(r.TenantsPerConn(), 0)
	}
	return p.tenantsPerConn
}

// giveUp returns a slot for which no connection could be opened.
func (p *Pool) giveUp(o owner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settleHeld(p.ledger.byOwner[o])
	p.freeSlot()
}

// settleHeld takes down that a holds one connection less.
func (p *Pool) settleHeld(a *account) {
	a.held--
	p.ledger.settle(a)
}

// freeSlot makes room for another connection.
func (p *Pool) freeSlot() {
	p.open--
	if p.closed && p.open == 0 {
		close(p.drained)
	}
	p.dispatch()
}

// release takes back a connection from its holder: to the idle ones, or closed if
// its state is unknown or its time is over.
func (p *Pool) release(ph *physical) {
	if ph.valid() {
		ph.stmts.trim(p.stmtCache)
	}
	keep := ph.valid()
	now := time.Now()

	p.mu.Lock()
	p.busy.remove(&ph.everyone)
	a := p.ledger.byOwner[ph.owner]
	if keep && !ph.doomed.Load() && !p.closed && !p.expired(ph, now) {
		p.idle.add(ph, a, now)
		p.settleHeld(a)
		p.schedule(now)
		p.dispatch()
		p.mu.Unlock()
		return
	}
	p.settleHeld(a)
	p.mu.Unlock()
	p.discard(ph)
}

// discard closes connections that nobody holds and frees their slots.
func (p *Pool) discard(connections ...*physical) {
	for _, ph := range connections {
		_ = ph.conn.Close() // gone either way
		p.mu.Lock()
		if ph.gone != nil {
			close(ph.gone)
		}
		p.figures.Closed++
		p.freeSlot()
		p.mu.Unlock()
	}
}

// expired reports whether ph has passed its lifetime.
func (p *Pool) expired(ph *physical, now time.Time) bool {
	return p.lifetime > 0 && now.Sub(ph.opened) >= p.lifetime
}
