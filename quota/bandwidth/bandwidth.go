package bandwidth

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tenancy-go/tenancy/tenant"
)

// Rate bounds bytes over time: no span of T seconds sees more than Burst +
// T × BytesPerSecond of them. The zero Rate is no bound.
type Rate struct {
	BytesPerSecond int64
	Burst          int64 // what may move at once after a rest; 0 is a second's worth, and a quantum at least
}

// Limits are the rates of one tenant, for all of its streams in this process together.
type Limits struct {
	Ingress Rate // what readers read
	Egress  Rate // what writers write
}

// Direction is the way that bytes move.
type Direction uint8

// The directions, as the host sees them.
const (
	Ingress Direction = iota // in: read from the tenant
	Egress                   // out: written to the tenant
)

// String returns "ingress" or "egress".
func (d Direction) String() string {
	if d == Ingress {
		return "ingress"
	}
	return "egress"
}

// Shaper holds the streams of each tenant to the tenant's limits. It is safe for
// concurrent use.
type Shaper struct {
	config
	limits func(context.Context, tenant.Tenant) (Limits, error)

	mu    sync.Mutex
	lines map[tenant.ID]*line // guarded by mu, as all below
	ring  []*line             // all of lines
	hand  int                 // where in ring the search for idle ones goes on
}

// New returns a Shaper that asks limits what a tenant may move: when a stream
// begins, and again while it runs, see [WithRefresh]. What the function cannot
// tell, it must answer with an error, which ends the stream; the zero Limits are
// no limits at all. It must be safe for concurrent use.
//
// The tenant it is given is the newest record of any of the tenant's streams. A
// record is as old as the request it came with, so only a function that looks the
// plan up by ID sees it change while no new stream begins.
func New(limits func(ctx context.Context, t tenant.Tenant) (Limits, error), opts ...Option) (*Shaper, error) {
	if limits == nil {
		return nil, errors.New("bandwidth: New: want a function for the limits, not nil")
	}
	c := defaults()
	for _, opt := range opts {
		opt(&c)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return &Shaper{config: c, limits: limits, lines: make(map[tenant.ID]*line)}, nil
}

// Tenants returns for how many tenants something is kept.
func (s *Shaper) Tenants() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ring)
}

// visit is a tenant's call with one reader, writer, connection or request.
type visit struct {
	shaper *Shaper
	ctx    context.Context
	tenant *tenant.Tenant
	line   *line
}

// begin asks for the limits of ctx's tenant. A system context that may pass has no
// visit.
func (s *Shaper) begin(ctx context.Context) (*visit, error) {
	t, err := tenant.FromContext(ctx)
	switch {
	case err == nil:
		err = ctx.Err()
	case s.system && errors.Is(err, tenant.ErrSystem):
		return nil, nil
	default:
		err = fmt.Errorf("bandwidth: %w", err)
	}
	if err != nil {
		return nil, err
	}
	l, err := s.ask(ctx, &t, true)
	if err != nil {
		return nil, err
	}
	return &visit{shaper: s, ctx: ctx, tenant: &t, line: l}, nil
}

// check refuses what is not a rate.
func (r Rate) check() error {
	if r.BytesPerSecond < 0 || r.Burst < 0 || r.BytesPerSecond == 0 && r.Burst > 0 {
		return fmt.Errorf("want bytes per second and a burst above 0, or neither, got %d and %d", r.BytesPerSecond, r.Burst)
	}
	return nil
}

// withBurst returns r with the burst that it has by default.
func (r Rate) withBurst(quantum int) Rate {
	if r.BytesPerSecond > 0 && r.Burst == 0 {
		r.Burst = max(r.BytesPerSecond, int64(quantum))
	}
	return r
}
