package isolation

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// owner is whom a connection is confined to: a tenant, or the system.
type owner struct {
	id     tenant.ID
	system bool
}

// ownerOf returns whom ctx acts for.
func ownerOf(ctx context.Context) (owner, error) {
	id, err := tenant.IDFromContext(ctx)
	if err == nil {
		return owner{id: id}, nil
	}
	if _, system := tenant.SystemReason(ctx); system {
		return owner{system: true}, nil
	}
	return owner{}, err
}

// placeKey is a Place's Key and Via. The system's connections never meet the
// tenants', even where the keys are equal, nor those of one strategy another's.
type placeKey struct {
	key    string
	via    uint32 // number of the Via; 0 is none. A map of interfaces would be slower
	system bool
}

func (p *Pool) keyOf(place Place, o owner) placeKey {
	return placeKey{place.Key, p.vias.number(place.Via), o.system}
}

// vias numbers the strategies that places name, from 1. They are few, and stay.
type vias struct {
	mu    sync.Mutex // held to add one
	known atomic.Pointer[[]Strategy]
}

func (v *vias) number(s Strategy) uint32 {
	if s == nil {
		return 0
	}
	if n := v.find(s); n > 0 {
		return n
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if n := v.find(s); n > 0 { // added meanwhile
		return n
	}
	var grown []Strategy
	if known := v.known.Load(); known != nil {
		grown = slices.Clone(*known)
	}
	grown = append(grown, s)
	v.known.Store(&grown)
	return uint32(len(grown)) //nolint:gosec // a few
}

// find returns the number of s, or 0.
func (v *vias) find(s Strategy) uint32 {
	known := v.known.Load()
	if known == nil {
		return 0
	}
	for i, k := range *known {
		if k == s {
			return uint32(i + 1) //nolint:gosec // a few
		}
	}
	return 0
}

// physical is a connection to a database. Whoever holds it owns all fields but
// those under the pool's lock; an idle one belongs to the pool.
type physical struct {
	conn    driver.Conn
	key     placeKey
	via     Strategy // of the place; nil is the pool's
	owner   owner
	opened  time.Time
	stmts   statements
	most    int                // tenants to serve; 0 means any number
	served  map[owner]struct{} // those served; nil unless they are limited
	limits  Limits             // of the session
	renewBy time.Time          // when it must be confined anew; zero for never
	broken  bool               // its state is unknown, so it must not be used again
	reused  bool               // it was idle before
	raw     bool               // it was handed out bare, so it must not come back to the idle ones

	doomed atomic.Bool // to be closed when it comes back; set under the pool's mu

	released time.Time     // guarded by the pool's mu, as is all below
	gone     chan struct{} // closed once conn is; nil unless somebody waits for that
	everyone link          // in Pool.idle.all or in Pool.busy
	sameKey  link
	mine     link
}

func newPhysical(conn driver.Conn, key placeKey, via Strategy, now time.Time) *physical {
	p := &physical{conn: conn, key: key, via: via, opened: now}
	p.everyone.physical, p.sameKey.physical, p.mine.physical = p, p, p
	return p
}

// whenGone returns a channel that is closed once conn is.
func (p *physical) whenGone() <-chan struct{} {
	if p.gone == nil {
		p.gone = make(chan struct{})
	}
	return p.gone
}

// valid reports whether the connection may be used again.
func (p *physical) valid() bool {
	if p.broken || p.raw {
		return false
	}
	v, ok := p.conn.(driver.Validator)
	return !ok || v.IsValid()
}

// stale reports whether the connection must be confined anew.
func (p *physical) stale() bool { return !p.renewBy.IsZero() && !time.Now().Before(p.renewBy) }

// keepsStatements reports whether what is prepared stays so for the next owner.
func (p *physical) keepsStatements() bool {
	k, ok := p.conn.(interface{ KeepsStatements() bool })
	return ok && k.KeepsStatements()
}

// noted takes down what err and the end of ctx say about the connection, and returns err
// for whoever ran the statement. Once ctx has ended, a cancellation may be on its way to
// the server, where it would hit the next statement.
func (p *physical) noted(ctx context.Context, err error) error {
	if ctx.Err() != nil || err != nil && errors.Is(err, driver.ErrBadConn) {
		p.broken = true
	}
	return p.explained(ctx, err)
}

// reset prepares the connection for another use by the same or another owner.
func (p *physical) reset(ctx context.Context) error {
	if r, ok := p.conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

// abort ends running work from another goroutine, if the connection can.
func (p *physical) abort() {
	if a, ok := p.conn.(interface{ Abort() error }); ok {
		_ = a.Abort() // the connection is lost either way
	}
}

// innermost unwraps conn down to the driver's own.
func innermost(conn driver.Conn) driver.Conn {
	for {
		w, ok := conn.(interface{ Unwrap() driver.Conn })
		if !ok {
			return conn
		}
		conn = w.Unwrap()
	}
}

// link is a place in a ring. A physical has one for each ring it is in.
type link struct {
	prev, next *link
	physical   *physical
}

// ring is a list of connections, least recently added first. The zero ring is
// empty.
type ring struct {
	root link
	len  int
}

func (r *ring) push(l *link) {
	if r.root.next == nil {
		r.root.prev, r.root.next = &r.root, &r.root
	}
	last := r.root.prev
	l.prev, l.next = last, &r.root
	last.next, r.root.prev = l, l
	r.len++
}

func (r *ring) remove(l *link) {
	l.prev.next, l.next.prev = l.next, l.prev
	l.prev, l.next = nil, nil
	r.len--
}

// oldest returns the connection added first, or nil.
func (r *ring) oldest() *physical {
	if r.len == 0 {
		return nil
	}
	return r.root.next.physical
}

// newest returns the connection added last, or nil.
func (r *ring) newest() *physical {
	if r.len == 0 {
		return nil
	}
	return r.root.prev.physical
}
