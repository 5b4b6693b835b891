package quota

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Option changes a setting of [New].
type Option func(*config)

type config struct {
	now           func() time.Time
	refreshEvery  time.Duration
	staleAfter    time.Duration
	timeout       time.Duration
	maxKeys       int64
	observer      Observer
	events        func(context.Context, Event)
	zone          func(tenant.Tenant) (*time.Location, error)
	levels        func(context.Context, tenant.ID, string) (int64, error)
	store         Store
	storeTimeout  time.Duration
	storeTTL      time.Duration
	replicas      int64
	leasePatience time.Duration
	err           error // of the options
}

func defaults() config {
	return config{
		refreshEvery:  10 * time.Second,
		staleAfter:    10 * time.Minute,
		timeout:       timeout,
		maxKeys:       10_000,
		zone:          zoneSetting,
		storeTimeout:  50 * time.Millisecond,
		storeTTL:      30 * time.Second,
		replicas:      1,
		leasePatience: -1,
		levels:        func(context.Context, tenant.ID, string) (int64, error) { return 0, nil },
	}
}

func (c *config) need(given bool, option, what string) {
	if !given {
		c.err = errors.Join(c.err, fmt.Errorf("quota: %s: want %s", option, what))
	}
}

// WithClock takes the time from now instead of the computer's clock: for tests. It
// must not go back.
func WithClock(now func() time.Time) Option {
	return func(c *config) {
		c.need(now != nil, "WithClock", "a function")
		c.now = now
	}
}

// WithRefresh asks the source for a tenant's plan again after every, 10 seconds by
// default. A change of plans or overrides has effect in all processes within twice
// that time. Changes of a tenant's record, such as its plan, have effect
// with the first request that carries the new record.
func WithRefresh(every time.Duration) Option {
	return func(c *config) {
		c.need(every > 0, "WithRefresh", "a duration above zero")
		c.refreshEvery = every
	}
}

// WithStale goes on with the plan that is known while the source fails, for as long as
// limit since it was asked for: 10 minutes by default. Then requests of the tenant
// are refused.
func WithStale(limit time.Duration) Option {
	return func(c *config) {
		c.need(limit >= 0, "WithStale", "a duration")
		c.staleAfter = limit
	}
}

// WithTimeout bounds how long a question to the source may take: 5 seconds by
// default. It concerns requests only while no plan is known that is good enough.
func WithTimeout(limit time.Duration) Option {
	return func(c *config) {
		c.need(limit > 0, "WithTimeout", "a duration above zero")
		c.timeout = limit
	}
}

// WithMaxKeys bounds how many keys of one limit of one tenant have a counter of their
// own at once, 10,000 by default. Those beyond share 64, see [KeyedLimiter].
func WithMaxKeys(n int64) Option {
	return func(c *config) {
		c.need(n > 0 && n <= maxCells, "WithMaxKeys", "1 to 2^31 keys")
		c.maxKeys = n
	}
}

// WithObserver tells observer what is used.
func WithObserver(observer Observer) Option {
	return func(c *config) {
		c.need(observer != nil, "WithObserver", "an Observer")
		c.observer = observer
	}
}

// WithEvents tells events what people should know. It is called on the way of a
// request, from many goroutines, and must not block.
func WithEvents(events func(context.Context, Event)) Option {
	return func(c *config) {
		c.need(events != nil, "WithEvents", "a function")
		c.events = events
	}
}

// WithTimeZone says in which time zone the days and months of a tenant's calendar
// windows are. The default is its setting "timezone", a name of the IANA database,
// and UTC where that is missing.
//
// Zones are told apart by their names and, where a host makes its own, by their offset.
//
// A tenant that may change its zone gains nothing by it: what runs ends when it
// would have, or later.
func WithTimeZone(zone func(tenant.Tenant) (*time.Location, error)) Option {
	return func(c *config) {
		c.need(zone != nil, "WithTimeZone", "a function")
		c.zone = zone
	}
}

// WithLevels says what a tenant keeps of a limit of kind Stock when a process begins
// to count: the bytes it has stored, its seats. Its context has the tenant. Without it,
// counting begins at zero. With a [Store] it is not asked: the store keeps levels from
// process to process, so set them there once, by [Account.Reconcile].
// See [Account.Reconcile] for later corrections.
func WithLevels(level func(ctx context.Context, id tenant.ID, limit string) (int64, error)) Option {
	return func(c *config) {
		c.need(level != nil, "WithLevels", "a function")
		c.levels = level
	}
}

// WithStore counts in store, which all replicas share: all of them together let in
// what the limits say. Each decision is one call, unless a limit's Lease lets this
// process take units ahead.
//
// While the store does not answer, each limit does what its Outage says; with [Share]
// a replica lets in its part of the limit, for which it has to know how many replicas
// there are. What was let in then is told to the store once it is back.
func WithStore(store Store, replicas int) Option {
	return func(c *config) {
		c.need(store != nil && replicas > 0, "WithStore", "a Store, and the number of replicas")
		c.store, c.replicas = store, int64(max(1, replicas))
	}
}

// WithStoreTimeout bounds how long a decision waits for the store: 50 milliseconds by
// default. After three failures in a row nobody waits at all, and the store is tried
// about once a second.
func WithStoreTimeout(limit time.Duration) Option {
	return func(c *config) {
		c.need(limit > 0, "WithStoreTimeout", "a duration above zero")
		c.storeTimeout = limit
	}
}

// WithStoreTTL says after which time the store takes a process for dead that does not
// say otherwise, and frees what it held: 30 seconds by default.
func WithStoreTTL(ttl time.Duration) Option {
	return func(c *config) {
		c.need(ttl >= 100*time.Millisecond && ttl <= maxTTL, "WithStoreTTL", "100ms to 400 days")
		c.storeTTL = ttl
	}
}

// WithLeasePatience bounds how long a decision by a limit with a Lease waits for the store
// where nothing was taken ahead, as for the first request of a tenant: as long as
// [WithStoreTimeout] says by default. Once a decision has waited in vain no other of its
// tenant waits until the store has answered, and each limit does what its Outage says. With
// zero nobody ever waits.
//
// A service that must never wait sets it to half a millisecond, and has to live with this:
// a store that is well but takes longer for an answer is one that cannot say. Limits to
// [Close] refuse then, and those to [Share] let in what the store may have none of.
func WithLeasePatience(limit time.Duration) Option {
	return func(c *config) {
		c.need(limit >= 0, "WithLeasePatience", "a duration")
		c.leasePatience = limit
	}
}

func zoneSetting(t tenant.Tenant) (*time.Location, error) {
	name := t.Settings["timezone"]
	if name == "" {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" || name != path.Clean(name) {
		return nil, invalid("settings.timezone", "%q: want a name of the IANA database, such as Europe/Berlin", clip(name))
	}
	return zone, nil
}
