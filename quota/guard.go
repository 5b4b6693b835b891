package quota

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/tenancy-go/tenancy/internal/clientaddr"
)

// Guard limits requests by the address that they come from, before anybody knows a
// tenant. An IPv6 address counts with all others of its /64, since whoever has one
// has them all. What it remembers is bounded, see [KeyedLimiter].
type Guard struct {
	limiter *KeyedLimiter
	held    gauges
	config  guardConfig
}

// GuardOption changes how a [Guard] works.
type GuardOption func(*guardConfig)

type guardConfig struct {
	proxies clientaddr.Proxies
	conns   int64
	keyed   []KeyedOption
	onError func(http.ResponseWriter, *http.Request, error)
	err     error
}

// TrustProxies takes the word of proxies with addresses in prefixes about whom they
// forward for (X-Forwarded-For). Without it, all requests through a proxy count as
// the proxy's.
func TrustProxies(prefixes ...netip.Prefix) GuardOption {
	return func(c *guardConfig) {
		proxies, err := clientaddr.New(prefixes...)
		if err != nil {
			c.err = errors.Join(c.err, fmt.Errorf("quota: TrustProxies: %w", err))
		}
		c.proxies = proxies
	}
}

// MaxConns bounds the connections of one address that [Guard.Listener] lets in at
// once: 100 by default. Proxies that are trusted have no bound.
func MaxConns(n int64) GuardOption {
	return func(c *guardConfig) {
		if n < 1 {
			c.err = errors.Join(c.err, errors.New("quota: MaxConns: want 1 or more"))
		}
		c.conns = n
	}
}

// MaxAddresses bounds the addresses with a counter of their own, 1,000,000 by default.
func MaxAddresses(n int64) GuardOption {
	return func(c *guardConfig) { c.keyed = append(c.keyed, MaxKeys(n)) }
}

// GuardClock takes the time from now instead of the computer's clock: for tests.
func GuardClock(now func() time.Time) GuardOption {
	return func(c *guardConfig) { c.keyed = append(c.keyed, KeyedClock(now)) }
}

// GuardErrorHandler answers refused requests instead of [WriteError].
func GuardErrorHandler(handler func(w http.ResponseWriter, r *http.Request, err error)) GuardOption {
	return func(c *guardConfig) {
		if handler == nil {
			c.err = errors.Join(c.err, errors.New("quota: GuardErrorHandler: want a function"))
		}
		c.onError = handler
	}
}

// NewGuard returns a Guard that lets each address make as many requests as limit says.
func NewGuard(limit Limit, opts ...GuardOption) (*Guard, error) {
	g := &Guard{config: guardConfig{conns: 100, onError: WriteError}}
	for _, opt := range opts {
		opt(&g.config)
	}
	limiter, err := NewKeyedLimiter(limit, g.config.keyed...)
	g.limiter = limiter
	if err := errors.Join(g.config.err, err); err != nil {
		return nil, err
	}
	return g, nil
}

// Middleware returns a handler that calls next for requests from addresses that have
// not made too many. It refuses the others with 429. Requests that come from no
// address, as over a Unix socket, count together.
func (g *Guard) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addr, _ := g.config.proxies.Of(r)
		if d := g.take(addr); !d.OK {
			g.config.onError(w, r, d.Err())
			return
		}
		next.ServeHTTP(w, r)
	})
}

// take counts a request of addr.
func (g *Guard) take(addr netip.Addr) Decision {
	if !addr.IsValid() {
		return g.limiter.Take("", 1)
	}
	network := clientaddr.Network(addr).Addr().As16()
	return g.limiter.Take(string(network[:]), 1)
}
