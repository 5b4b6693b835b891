package fairshare

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// maxCapacity lets counts of units be added without overflow.
const maxCapacity = 1 << 60

// Scheduler hands out units of a capacity, such as slots to compute in or bytes of
// memory, fairly between tenants. It is safe for concurrent use.
type Scheduler struct {
	config
	shares Shares

	mu        sync.Mutex
	capacity  int64 // guarded by mu, as all below
	dedicated int64 // units, of all accounts
	held      int64 // units
	shared    int64 // units held that are not dedicated ones
	weights   int64 // of the accounts that compete
	accounts  map[owner]*account
	ready     order
	idle      order
	turns     uint64
	parked    []parking   // the oldest first
	timer     *time.Timer // runs while anything is parked
	clock     clock
	total     Usage
}

// New returns a scheduler of so many units, which tenants have by their shares.
func New(capacity int64, shares Shares, opts ...Option) (*Scheduler, error) {
	c := defaults()
	for _, opt := range opts {
		opt(&c)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if shares == nil {
		return nil, errors.New("fairshare: New: want a function that returns shares, not nil")
	}
	if err := checkCapacity(capacity); err != nil {
		return nil, err
	}
	s := &Scheduler{
		config:   c,
		shares:   shares,
		capacity: capacity,
		accounts: make(map[owner]*account),
		ready:    order{before: byTurn},
		idle:     order{before: byKey},
		clock:    clock{now: time.Now()},
	}
	if c.platform == nil {
		return s, nil
	}
	if err := s.Refresh(tenant.System(context.Background(), "the platform's own share")); err != nil {
		return nil, err
	}
	return s, nil
}

func checkCapacity(capacity int64) error {
	if capacity < 1 || capacity > maxCapacity {
		return fmt.Errorf("fairshare: want a capacity of 1 to %d units, got %d", int64(maxCapacity), capacity)
	}
	return nil
}

// Acquire returns n units for ctx's tenant: at once, or when it is the tenant's turn. It
// fails with an [*Error] when too many of the tenant's requests wait already, when it has
// waited for too long, when n is more than there could ever be, or when ctx ends; and
// with the error of tenant.FromContext or of the scheduler's [Shares] before anything
// else. Who gets a hold releases it.
func (s *Scheduler) Acquire(ctx context.Context, n int64) (*Hold, error) {
	o, share, err := s.ask(ctx, n)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, &Error{Tenant: o.id, Units: n, Err: err}
	}
	hold, w, err := s.request(o, share, n, max(share.MaxQueue, 0), ErrQueueFull)
	if w == nil {
		return hold, err
	}
	return s.await(ctx, w, share.MaxWait)
}

// TryAcquire is Acquire for who does not want to wait. Where Acquire would, it fails with
// an [*Error] that wraps [ErrBusy]. It passes nobody who waits.
func (s *Scheduler) TryAcquire(ctx context.Context, n int64) (*Hold, error) {
	o, share, err := s.ask(ctx, n)
	if err != nil {
		return nil, err
	}
	hold, _, err := s.request(o, share, n, 0, ErrBusy)
	return hold, err
}

// Refresh asks for the share of ctx's tenant now, rather than at its next request: to set
// its dedicated units aside when the program starts, or after its plan has changed.
func (s *Scheduler) Refresh(ctx context.Context) error {
	o, share, err := s.ask(ctx, 1)
	if err != nil {
		return err
	}
	s.lock()
	defer s.unlock()
	return s.apply(s.account(o), share)
}

// Forget gives everybody the units that are dedicated to a tenant, such as one that was
// deleted. What it has or waits for stays.
func (s *Scheduler) Forget(id tenant.ID) {
	s.lock()
	defer s.unlock()
	a := s.accounts[owner{id: id}]
	if a == nil {
		return
	}
	share := a.share
	share.Dedicated = 0
	_ = s.apply(a, share) // fewer dedicated units always fit
}

// SetCapacity changes the number of units. When it falls below what is held, nobody gets
// any until enough are released; requests that have become too large fail when it is
// their turn. It refuses to fall below the dedicated units, with [ErrOvercommitted].
func (s *Scheduler) SetCapacity(capacity int64) error {
	if err := checkCapacity(capacity); err != nil {
		return err
	}
	s.lock()
	defer s.unlock()
	if capacity < s.dedicated {
		return fmt.Errorf("%w: %d of %d", ErrOvercommitted, s.dedicated, capacity)
	}
	s.capacity = capacity
	s.dispatch()
	return nil
}

// ask returns who asks for n units, and the share that is due.
func (s *Scheduler) ask(ctx context.Context, n int64) (owner, Share, error) {
	t, err := tenant.FromContext(ctx)
	o := owner{id: t.ID}
	var share Share
	switch {
	case err == nil:
		if share, err = s.shares(ctx, t); err != nil {
			return owner{}, Share{}, fmt.Errorf("fairshare: the share of tenant %q: %w", t.ID, err)
		}
	case errors.Is(err, tenant.ErrSystem) && s.platform != nil:
		o, share = owner{system: true}, *s.platform
	default:
		return owner{}, Share{}, fmt.Errorf("fairshare: %w", err)
	}
	if share, err = share.complete(); err != nil {
		return owner{}, Share{}, fmt.Errorf("fairshare: the share of tenant %q: %w", o.id, err)
	}
	if n < 1 {
		return owner{}, Share{}, fmt.Errorf("fairshare: want 1 unit or more, got %d", n)
	}
	return o, share, nil
}
