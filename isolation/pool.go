package isolation

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenancy-go/tenancy/internal/sqlguard"
	"github.com/tenancy-go/tenancy/tenant"
)

// Pool is a driver.Connector whose connections are confined to the tenant of
// each statement's context. Use it through sql.OpenDB. It is safe for concurrent
// use.
type Pool struct {
	config
	strategy Strategy
	vias     vias
	check    func(query string, inTx bool) error
	unfollow func()        // ends what OnMove began
	forgets  atomic.Uint64 // calls of Forget; grows under mu

	mu      sync.Mutex
	open    int // connections open, being opened or being closed
	idle    idleSet
	busy    ring // connections in use
	ledger  ledger
	turns   accounts // those who wait; the first is next
	waiters int
	cleaner *time.Timer // nil unless scheduled
	closed  bool
	drained chan struct{} // closed when closed is set and open is 0
	figures Stats         // running totals
}

var _ driver.Connector = (*Pool)(nil)

// New returns a pool over strategy. It opens nothing yet: connections are opened
// when statements need them, and strategy's connector checks each.
func New(strategy Strategy, opts ...Option) (*Pool, error) {
	if strategy == nil {
		return nil, errors.New("isolation: nil strategy")
	}
	c := defaults()
	for _, opt := range opts {
		opt(&c)
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	if c.limited {
		if err := canLimit(strategy); err != nil {
			return nil, fmt.Errorf("isolation: LimitsBy: %w", err)
		}
	}
	p := &Pool{
		config:   c,
		strategy: strategy,
		check:    checker(strategy),
		idle:     newIdleSet(c.maxConns),
		ledger:   newLedger(),
		drained:  make(chan struct{}),
		unfollow: func() {},
	}
	if m, ok := strategy.(Mover); ok {
		p.unfollow = m.OnMove(p.Forget)
	}
	return p, nil
}

// checker returns the strategy's own statement check, or PostgreSQL's.
func checker(s Strategy) func(string, bool) error {
	if c, ok := s.(StatementChecker); ok {
		return c.CheckStatement
	}
	return checkPostgres
}

func checkPostgres(query string, inTx bool) error {
	if err := sqlguard.Postgres(query, inTx); err != nil {
		return fmt.Errorf("%w: %w", ErrControl, err)
	}
	return nil
}

// Connect returns a logical connection: it takes a physical one when a statement
// needs it, and gives it back when database/sql takes the logical one back.
func (p *Pool) Connect(context.Context) (driver.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	return &conn{pool: p}, nil
}

// Driver returns a driver that opens nothing by name.
func (p *Pool) Driver() driver.Driver { return noDriver{} }

type noDriver struct{}

func (noDriver) Open(string) (driver.Conn, error) {
	return nil, errors.New("isolation: open a pool with sql.OpenDB")
}

// Forget closes the idle connections confined to a tenant, those being opened, and
// those in use once they come back. Statements that begin after it, and those that wait
// for a connection, ask the strategy anew where the tenant lives. Call it before the
// tenant's home is removed or moved; a strategy that is a [Mover] has it called.
func (p *Pool) Forget(id tenant.ID) {
	p.mu.Lock()
	victims := p.forget(id)
	p.mu.Unlock()
	p.discard(victims...)
}

// Drain is [Pool.Forget], and then waits until the connections that were in use are
// closed, or ctx ends: whatever began before is over.
func (p *Pool) Drain(ctx context.Context, id tenant.ID) error {
	p.mu.Lock()
	victims := p.forget(id)
	var gone []<-chan struct{}
	for l := p.busy.root.next; l != nil && l != &p.busy.root; l = l.next {
		if l.physical.owner.id == id {
			gone = append(gone, l.physical.whenGone())
		}
	}
	p.mu.Unlock()
	p.discard(victims...)
	for i, one := range gone {
		select {
		case <-one:
		case <-ctx.Done():
			return fmt.Errorf("isolation: draining tenant %s: up to %d connections are in use: %w", id, len(gone)-i, ctx.Err())
		}
	}
	return nil
}

// forget takes away id's idle connections, which the caller closes, and dooms the others.
func (p *Pool) forget(id tenant.ID) []*physical {
	p.forgets.Add(1)
	var victims []*physical
	if a := p.ledger.byOwner[owner{id: id}]; a != nil && a.active() {
		a.forgotten++
		for a.idle.len > 0 {
			victims = append(victims, p.takeIdle(a.idle.oldest()))
		}
		p.askAgain(a)
	}
	for l := p.busy.root.next; l != nil && l != &p.busy.root; l = l.next {
		if l.physical.owner.id == id {
			l.physical.doomed.Store(true)
		}
	}
	return victims
}

// Close closes idle connections, waits up to [DrainTimeout] for those in use and
// then ends them. sql.DB.Close calls it.
func (p *Pool) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), p.drainTimeout)
	defer cancel()
	return p.Shutdown(ctx)
}

// Shutdown refuses new work, closes idle connections and waits for those in use.
// When ctx ends first, it ends the work of connections that can be aborted, and
// returns an error wrapping ctx's that says how many were in use.
func (p *Pool) Shutdown(ctx context.Context) error {
	defer p.unfollow()
	p.discard(p.refuse()...)
	select {
	case <-p.drained:
		return nil
	case <-ctx.Done():
	}
	if n := p.abortBusy(); n > 0 {
		return fmt.Errorf("isolation: closed with %d connections in use: %w", n, ctx.Err())
	}
	return nil
}

// refuse marks the pool closed, sends the waiters away and returns the idle
// connections for closing.
func (p *Pool) refuse() []*physical {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		if p.cleaner != nil {
			p.cleaner.Stop()
		}
		p.sendAway()
		if p.open == 0 {
			close(p.drained)
		}
	}
	var idle []*physical
	for p.idle.all.len > 0 {
		idle = append(idle, p.takeIdle(p.idle.all.oldest()))
	}
	return idle
}

// abortBusy ends the work of all connections in use, side by side, since one may
// have to tell its server. It returns how many were open.
func (p *Pool) abortBusy() int {
	p.mu.Lock()
	var busy []*physical
	for l := p.busy.root.next; l != nil && l != &p.busy.root; l = l.next {
		busy = append(busy, l.physical)
	}
	open := p.open
	p.mu.Unlock()

	var aborted sync.WaitGroup
	for _, ph := range busy {
		aborted.Go(ph.abort)
	}
	aborted.Wait()
	return open
}
