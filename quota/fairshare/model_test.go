package fairshare_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/thorough"
	"github.com/tenancy-go/tenancy/quota/fairshare"
	"github.com/tenancy-go/tenancy/tenant"
)

// model is the scheduler as simple as it can be: it looks at everybody at every step.
type model struct {
	capacity       int64
	parties        []*party
	contended      time.Duration
	virtual, drift float64
	latest         float64
	typical        median
}

// party is a tenant of the model.
type party struct {
	id             tenant.ID
	share          fairshare.Share
	held           int64
	waiting        []*call
	service, ahead float64
	typical        median
	wasReady       bool
}

// call is a call of Acquire, in the scheduler and in the model.
type call struct {
	party    *party
	units    int64
	turn     int
	deadline time.Time
	kept     bool // there were units, but too few
	cancel   context.CancelFunc

	request *request
	hold    *fairshare.Hold // until it is released
	done    bool            // as the scheduler says
	settled bool            // as the model says
	since   time.Time

	shared   int64 // of the units, when they were granted
	at       time.Duration
	expected float64
}

// median is about the median of what it has seen.
type median struct {
	value, step float64
	rising      bool
}

func (m *median) see(d float64) {
	rising := d > m.value
	switch {
	case m.value == 0:
		m.value = d
		return
	case rising != m.rising:
		m.rising, m.step = rising, 0.1
	default:
		m.step = min(3, max(0.1, 2*m.step))
	}
	if rising {
		m.value = min(d, m.value*(1+m.step))
	} else {
		m.value = max(d, m.value/(1+m.step))
	}
}

func (p *party) start() float64 { return p.service + p.ahead/float64(p.share.Weight) }

func (p *party) shared() int64 { return max(0, p.held-p.share.Dedicated) }

func (m *model) dedicated() (sum int64) {
	for _, p := range m.parties {
		sum += p.share.Dedicated
	}
	return sum
}

func (m *model) heldShared() (held, shared int64) {
	for _, p := range m.parties {
		held += p.held
		shared += p.shared()
	}
	return held, shared
}

func (m *model) limit(p *party) int64 {
	most := p.share.Dedicated + m.capacity - m.dedicated()
	if p.share.Max > 0 {
		most = min(most, p.share.Max)
	}
	return most
}

func (m *model) ready(p *party) bool {
	if len(p.waiting) == 0 {
		return false
	}
	n := p.waiting[0].units
	return p.share.Max == 0 || p.held+n <= p.share.Max || n > p.share.Max
}

func (m *model) fits(p *party, n int64) bool {
	held, shared := m.heldShared()
	more := max(0, p.held+n-p.share.Dedicated) - p.shared()
	return held+n <= m.capacity && (more == 0 || shared+more <= m.capacity-m.dedicated()) &&
		(p.share.Max == 0 || p.held+n <= p.share.Max)
}

// pass lets time pass.
func (m *model) pass(d time.Duration) {
	var weights, shared int64
	contended := false
	for _, p := range m.parties {
		if m.ready(p) || p.shared() > 0 {
			weights += p.share.Weight
			shared += p.shared()
		}
		contended = contended || m.ready(p)
	}
	if !contended {
		return
	}
	m.contended += d
	for _, p := range m.parties {
		p.service += float64(p.shared()) * float64(d) / float64(p.share.Weight)
		p.ahead = max(0, p.ahead-float64(p.shared())*float64(d))
		m.latest = max(m.latest, p.start())
	}
	m.drift += float64(shared) * float64(d) / float64(weights)
}

func (m *model) expected(p *party) float64 {
	return cmp.Or(p.typical.value, m.typical.value, 1e7)
}

// touched has p's place follow from what it is now.
func (m *model) touched(p *party) {
	if isReady := m.ready(p); isReady != p.wasReady {
		if isReady {
			bonus := float64(p.shared()+p.waiting[0].units) * m.expected(p) / float64(p.share.Weight)
			p.service += max(0, m.virtual+m.drift-bonus-p.start())
		}
		p.wasReady = isReady
	}
	p.ahead = min(p.ahead, float64(p.shared())*m.expected(p))
	m.latest = max(m.latest, p.start())
	quiet := true
	for _, p := range m.parties {
		quiet = quiet && !m.ready(p) && p.shared() == 0
	}
	if quiet {
		m.virtual, m.drift = max(m.virtual+m.drift, m.latest), 0
	}
}

// dispatch grants what there is in order. Where two come first so nearly that rounding
// decides, it does as the scheduler did.
func (m *model) dispatch() {
	for {
		held, _ := m.heldShared()
		if held >= m.capacity {
			return
		}
		p := m.first()
		if p == nil {
			return
		}
		c := p.waiting[0]
		switch {
		case c.units > m.limit(p):
			m.settle(c)
		case m.fits(p, c.units):
			m.grant(c)
		default:
			held, shared := m.heldShared()
			c.kept = c.kept || min(m.capacity-held, m.capacity-m.dedicated()-shared) > 0
			return
		}
	}
}

func (m *model) grant(c *call) {
	p := c.party
	c.shared = max(0, p.held+c.units-p.share.Dedicated) - p.shared()
	c.at, c.expected = m.contended, m.expected(p)
	if c.shared > 0 {
		m.virtual, m.drift = max(m.virtual, p.start()), 0
		p.ahead += float64(c.shared) * c.expected
	}
	p.held += c.units
	m.settle(c)
}

func (m *model) settle(c *call) {
	c.settled = true
	c.party.waiting = slices.DeleteFunc(c.party.waiting, func(other *call) bool { return other == c })
	m.touched(c.party)
}

func (m *model) first() *party {
	var first *party
	for _, p := range m.parties {
		if m.ready(p) && (first == nil || m.before(p, first)) {
			first = p
		}
	}
	return first
}

func (m *model) rank(p *party) int {
	switch first := p.waiting[0]; {
	case p.held+first.units <= p.share.Dedicated:
		return 0
	case first.kept:
		return 1
	default:
		return 2
	}
}

func (m *model) before(a, b *party) bool {
	x, y := a.waiting[0], b.waiting[0]
	if rankA, rankB := m.rank(a), m.rank(b); rankA != rankB {
		return rankA < rankB
	}
	keyA, keyB := a.start(), b.start()
	if math.Abs(keyA-keyB) <= 1e-9*max(keyA, keyB) {
		if x.done != y.done {
			return x.done
		}
		return x.turn < y.turn
	}
	return keyA < keyB
}

func (m *model) release(c *call, after time.Duration) {
	d := max(1000, float64(after))
	m.typical.see(d)
	c.party.typical.see(d)
	c.party.held -= c.units
	left := float64(c.shared) * max(0, c.expected-float64(m.contended-c.at))
	c.party.ahead = max(0, c.party.ahead-left)
	m.touched(c.party)
	m.dispatch()
}

// comparison runs the same steps on the scheduler and on the model.
type comparison struct {
	t         *testing.T
	choose    func(n int) int // less than n
	model     *model
	scheduler *fairshare.Scheduler
	calls     []*call
	turns     int
	changes   int
}

// String is the model's state, for who looks for a difference.
func (c *comparison) String() string {
	text := fmt.Sprintf("capacity %d, virtual %g and %g, latest %g\n", c.model.capacity, c.model.virtual, c.model.drift, c.model.latest)
	for _, p := range c.model.parties {
		text += fmt.Sprintf("%s: %+v, held %d, service %g, ahead %g, waiting", p.id, p.share, p.held, p.service, p.ahead)
		for _, x := range p.waiting {
			text += fmt.Sprintf(" (turn %d, %d units, done %t)", x.turn, x.units, x.done)
		}
		text += "\n"
	}
	return text
}

type shareKey struct{}

func compare(t *testing.T, steps int, choose func(n int) int) {
	c := &comparison{t: t, choose: choose, model: &model{capacity: int64(1 + choose(12))}}
	var err error
	c.scheduler, err = fairshare.New(c.model.capacity, func(ctx context.Context, _ tenant.Tenant) (fairshare.Share, error) {
		return ctx.Value(shareKey{}).(fairshare.Share), nil
	})
	require.NoError(t, err)
	for i := range 1 + choose(6) {
		c.model.parties = append(c.model.parties, &party{id: tenant.ID(fmt.Sprintf("t%d", i)), share: fairshare.Share{Weight: 1, MaxQueue: 3}})
		c.reshare(c.model.parties[i])
	}
	for range steps {
		c.step()
		c.check()
	}
	c.finish()
}

func (c *comparison) step() {
	switch c.choose(12) {
	case 0, 1, 2, 3:
		c.acquire(c.party())
	case 4, 5, 6:
		if held := c.pick(func(x *call) bool { return x.hold != nil }); held != nil {
			c.release(held)
		}
	case 7:
		if waiting := c.pick(func(x *call) bool { return !x.done }); waiting != nil {
			c.withdraw(waiting)
		}
	case 8, 9:
		c.sleep(time.Duration(1+c.choose(20)) * time.Millisecond)
	case 10:
		c.resize(int64(1 + c.choose(12)))
	case 11:
		c.reshare(c.party())
	}
}

func (c *comparison) party() *party { return c.model.parties[c.choose(len(c.model.parties))] }

func (c *comparison) pick(suits func(*call) bool) *call {
	var all []*call
	for _, x := range c.calls {
		if suits(x) {
			all = append(all, x)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[c.choose(len(all))]
}

// wait has all that happens at this time happen, and takes down what did.
func (c *comparison) wait() {
	synctest.Wait()
	for _, x := range c.calls {
		if !x.done && x.request.done() {
			x.done, x.hold, x.since = true, x.request.hold(), time.Now()
		}
	}
}

func (c *comparison) acquire(p *party) {
	c.turns++
	units := int64(1)
	if c.choose(3) == 0 {
		units = int64(1 + c.choose(6))
	}
	share := p.share
	share.MaxWait = time.Duration(5+c.choose(60))*time.Millisecond + time.Duration(c.turns) // no two deadlines are the same
	x := &call{party: p, units: units, turn: c.turns, deadline: time.Now().Add(share.MaxWait)}
	ctx, cancel := context.WithCancel(context.WithValue(as(c.t.Context(), p.id), shareKey{}, share))
	x.cancel = cancel
	x.request = ask(ctx, c.scheduler, units)
	c.calls = append(c.calls, x)
	c.wait()

	c.model.touched(p) // its share is new
	if units > c.model.limit(p) {
		x.settled = true
		c.model.touched(p)
		require.ErrorIs(c.t, x.request.err(), fairshare.ErrTooLarge)
		return
	}
	p.waiting = append(p.waiting, x)
	c.model.touched(p)
	c.model.dispatch()
	if !x.settled && len(p.waiting) > p.share.MaxQueue {
		require.ErrorIs(c.t, x.request.err(), fairshare.ErrQueueFull, "%s", c)
		c.model.settle(x)
	}
}

func (c *comparison) release(x *call) {
	x.hold.Release()
	c.wait()
	x.hold.Release() // which does nothing
	c.model.release(x, time.Since(x.since))
	x.hold = nil
}

func (c *comparison) withdraw(x *call) {
	x.cancel()
	c.wait()
	require.ErrorIs(c.t, x.request.err(), context.Canceled)
	c.model.settle(x)
	c.model.dispatch()
}

// sleep lets time pass, and those give up whose deadline comes.
func (c *comparison) sleep(d time.Duration) {
	for end := time.Now().Add(d); ; {
		next := end
		var late *call
		for _, x := range c.calls {
			if !x.done && x.deadline.Before(next) {
				next, late = x.deadline, x
			}
		}
		c.model.pass(time.Until(next))
		time.Sleep(time.Until(next))
		c.wait()
		if late == nil {
			return
		}
		require.ErrorIs(c.t, late.request.err(), fairshare.ErrDeadline)
		c.model.settle(late)
		c.model.dispatch()
		c.check()
	}
}

func (c *comparison) resize(capacity int64) {
	err := c.scheduler.SetCapacity(capacity)
	c.wait()
	if capacity < c.model.dedicated() {
		require.ErrorIs(c.t, err, fairshare.ErrOvercommitted)
		return
	}
	require.NoError(c.t, err)
	c.model.capacity = capacity
	c.model.dispatch()
}

func (c *comparison) reshare(p *party) {
	c.changes++
	share := fairshare.Share{Weight: 1 << c.choose(4), MaxQueue: 1 + c.choose(8), MaxWait: time.Hour + time.Duration(c.changes)} // never the same twice
	if c.choose(3) == 0 {
		share.Dedicated = int64(c.choose(3))
	}
	if c.choose(3) == 0 {
		share.Max = max(1, share.Dedicated) + int64(c.choose(4))
	}
	err := c.scheduler.Refresh(context.WithValue(as(c.t.Context(), p.id), shareKey{}, share))
	c.wait()
	if c.model.dedicated()-p.share.Dedicated+share.Dedicated > c.model.capacity {
		c.model.touched(p)
		require.ErrorIs(c.t, err, fairshare.ErrOvercommitted)
		return
	}
	require.NoError(c.t, err)
	p.share = share
	c.model.touched(p)
	c.model.dispatch()
}

// check wants the same calls to be done, and the figures to be those of the model.
func (c *comparison) check() {
	c.t.Helper()
	for _, x := range c.calls {
		require.Equal(c.t, x.settled, x.done, "turn %d of %s: %d units, error %v", x.turn, x.party.id, x.units, fmt.Sprint(x.request.err(), "\n", c))
	}
	c.calls = slices.DeleteFunc(c.calls, func(x *call) bool { return x.done && x.hold == nil })
	stats := c.scheduler.Stats()
	for _, p := range c.model.parties {
		u := stats.Tenants[p.id]
		require.Equal(c.t, p.held, u.Held, p.id)
		require.Equal(c.t, len(p.waiting), u.Waiting, p.id)
	}
	held, shared := c.model.heldShared()
	require.Equal(c.t, held, stats.Held)
	require.Equal(c.t, c.model.dedicated(), stats.Dedicated)
	if first := c.model.first(); first != nil {
		require.False(c.t, c.model.fits(first, first.waiting[0].units), "units idle while %s waits: %d held, %d shared", first.id, held, shared)
	}
}

// finish gives everything back, and wants all of it to be there.
func (c *comparison) finish() {
	for len(c.calls) > 0 {
		x := c.calls[0]
		if x.done {
			c.release(x)
		} else {
			c.withdraw(x)
		}
		c.check()
	}
	stats := c.scheduler.Stats()
	require.Zero(c.t, stats.Held)
	require.Zero(c.t, stats.Waiting)
	require.Equal(c.t, uint64(c.turns), stats.Granted+stats.Refused+stats.Withdrawn)
	for _, p := range c.model.parties {
		ctx := context.WithValue(as(c.t.Context(), p.id), shareKey{}, p.share)
		all := c.model.limit(p)
		if all == 0 {
			continue // others have it all, dedicated
		}
		hold, err := c.scheduler.TryAcquire(ctx, all)
		require.NoError(c.t, err)
		hold.Release()
	}
}

func TestAgainstModel(t *testing.T) {
	seeds := uint64(15)
	if thorough.On() {
		seeds = 5000
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			compare(t, 150, rand.New(rand.NewPCG(seed, 1)).IntN) //nolint:gosec // not for secrets
		})
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

func FuzzAgainstModel(f *testing.F) {
	f.Add([]byte("some steps that are neither here nor there"))
	f.Add([]byte{5, 3, 0, 2, 1, 0, 1, 0, 0, 9, 4, 0, 8, 7, 2, 11, 3, 10, 6})
	f.Fuzz(func(t *testing.T, steps []byte) {
		synctest.Test(t, func(t *testing.T) {
			compare(t, len(steps)/2, func(n int) int {
				if len(steps) == 0 {
					return 0
				}
				choice := int(steps[0]) % n
				steps = steps[1:]
				return choice
			})
		})
	})
}
