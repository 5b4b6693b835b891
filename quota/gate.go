package quota

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// Gate decides requests of tenants against the limits of their plans, all limits
// at once, and tells clients how much is left.
type Gate struct {
	e      *Enforcer
	config gateConfig
}

// GateOption changes how a [Gate] works.
type GateOption func(*gateConfig)

type gateConfig struct {
	requests Ref
	cost     func(*http.Request) int64
	keyed    []keyedClaim
	held     []Ref
	claims   []func(*http.Request) ([]Claim, error)
	fields   fields
	onError  func(http.ResponseWriter, *http.Request, error)
	err      error // of the options
	e        *Enforcer
}

type keyedClaim struct {
	limit Ref
	key   func(*http.Request) string
}

func (c *gateConfig) need(given bool, option, what string) {
	if !given {
		c.err = errors.Join(c.err, fmt.Errorf("quota: %s: want %s", option, what))
	}
}

// Requests names the limit that counts requests: "requests" by default. The empty
// name counts none.
func Requests(limit string) GateOption {
	return func(c *gateConfig) {
		c.requests = Ref{}
		if limit != "" {
			c.requests = c.e.Ref(limit)
		}
	}
}

// Cost says how many units of the limit of requests a request is: 1 by default, and 0
// for what is free.
func Cost(cost func(*http.Request) int64) GateOption {
	return func(c *gateConfig) {
		c.need(cost != nil, "Cost", "a function")
		c.cost = cost
	}
}

// Costs is [Cost] by route: patterns of [http.ServeMux], such as "POST /v1/answers",
// with the units of a request that fits. Others are one unit.
func Costs(byPattern map[string]int64) GateOption {
	return func(c *gateConfig) {
		cost, err := costs(byPattern)
		c.err = errors.Join(c.err, err)
		c.cost = cost
	}
}

func costs(byPattern map[string]int64) (cost func(*http.Request) int64, err error) {
	mux := http.NewServeMux()
	defer func() { // ServeMux has no other way to say that patterns are malformed or conflict
		if fault := recover(); fault != nil {
			err = fmt.Errorf("quota: Costs: %v", fault)
		}
	}()
	for pattern, units := range byPattern {
		if units < 0 || units > maxUnits {
			return nil, fmt.Errorf("quota: Costs: %s: want 0 to 2^53 units, got %d", pattern, units)
		}
		mux.Handle(pattern, http.NotFoundHandler())
	}
	return func(r *http.Request) int64 {
		if _, pattern := mux.Handler(r); pattern != "" {
			if units, ok := byPattern[pattern]; ok {
				return units
			}
		}
		return 1
	}, nil
}

// PerKeyOf counts each request as one unit of a limit per key, for the key that the
// function returns: a user, an API key, an address, a route. A request without a key
// does not count there.
func PerKeyOf(limit string, key func(*http.Request) string) GateOption {
	return func(c *gateConfig) {
		c.need(key != nil, "PerKeyOf", "a function")
		c.keyed = append(c.keyed, keyedClaim{c.e.Ref(limit), key})
	}
}

// Holding holds a unit of a limit of kind Concurrent while a request is served: until
// the handler returns, or, if it takes the connection over, as for a WebSocket, until
// that is closed.
func Holding(limit string) GateOption {
	return func(c *gateConfig) { c.held = append(c.held, c.e.Ref(limit)) }
}

// Claiming adds further claims of a request. An error refuses the request.
func Claiming(claims func(*http.Request) ([]Claim, error)) GateOption {
	return func(c *gateConfig) {
		c.need(claims != nil, "Claiming", "a function")
		c.claims = append(c.claims, claims)
	}
}

// WithErrorHandler answers refused requests instead of [WriteError]. Fields that
// tell what is left are set already.
func WithErrorHandler(handler func(w http.ResponseWriter, r *http.Request, err error)) GateOption {
	return func(c *gateConfig) {
		c.need(handler != nil, "WithErrorHandler", "a function")
		c.onError = handler
	}
}

// NewGate returns a Gate that asks e.
func NewGate(e *Enforcer, opts ...GateOption) (*Gate, error) {
	if e == nil {
		return nil, errors.New("quota: NewGate: nil Enforcer")
	}
	g := &Gate{e: e, config: gateConfig{e: e, requests: e.Ref("requests"), fields: fields{standard: true}, onError: WriteError}}
	for _, opt := range opts {
		opt(&g.config)
	}
	if g.config.err != nil {
		return nil, g.config.err
	}
	return g, nil
}

// Middleware returns a handler that calls next for each request that the plan of
// the context's tenant has room for. It refuses the others; see [WriteError]. What is
// counted for a request that next never saw goes back.
func (g *Gate) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		account, err := g.e.Account(r.Context())
		if err != nil {
			g.config.onError(w, r, err)
			return
		}
		var few [4]Claim
		claims, err := g.claims(few[:0], r)
		if err != nil {
			g.config.onError(w, r, err)
			return
		}
		v := &visit{Context: r.Context()}
		d := account.claim(r.Context(), &v.grant, claims)
		g.config.fields.write(w.Header(), account, &v.grant, claims, d)
		if !d.OK {
			g.config.onError(w, r, d.Err())
			return
		}
		g.serve(w, r, next, v)
	})
}

// claims adds what r asks for to claims.
func (g *Gate) claims(claims []Claim, r *http.Request) ([]Claim, error) {
	c := &g.config
	if c.requests != (Ref{}) {
		units := int64(1)
		if c.cost != nil {
			units = c.cost(r)
		}
		claims = append(claims, Claim{Limit: c.requests, N: units})
	}
	for _, keyed := range c.keyed {
		if key := keyed.key(r); key != "" {
			claims = append(claims, Claim{Limit: keyed.limit, Key: key, N: 1})
		}
	}
	for _, limit := range c.held {
		claims = append(claims, Claim{Limit: limit, N: 1})
	}
	for _, more := range c.claims {
		further, err := more(r)
		if err != nil {
			return nil, err
		}
		claims = slices.Concat(claims, further)
	}
	return claims, nil
}

// serve calls next under what v was granted.
func (g *Gate) serve(w http.ResponseWriter, r *http.Request, next http.Handler, v *visit) {
	if err := r.Context().Err(); err != nil { // the client is gone, or the time for it is up
		v.grant.Cancel(context.WithoutCancel(r.Context()))
		g.config.onError(w, r, fmt.Errorf("%w: %w", ErrUnavailable, err))
		return
	}
	r = r.WithContext(v)
	if len(g.config.held) == 0 {
		defer v.grant.Done()
		next.ServeHTTP(w, r)
		return
	}
	holder := &holder{ResponseWriter: w, grant: &v.grant}
	defer holder.done()
	next.ServeHTTP(holder, r)
}

type grantKey struct{}

// visit is the context of a request with what it was granted.
type visit struct {
	context.Context
	grant Grant
}

func (v *visit) Value(key any) any {
	if key == (grantKey{}) {
		return &v.grant
	}
	return v.Context.Value(key)
}

// GrantFromContext returns the grant of the request that ctx belongs to, for a handler
// that knows what it cost only afterwards ([Grant.Settle]), or that finds that it
// should cost nothing ([Grant.Cancel]). It returns nil where no [Gate] granted
// anything; the methods of a nil Grant do nothing.
func GrantFromContext(ctx context.Context) *Grant {
	grant, _ := ctx.Value(grantKey{}).(*Grant)
	return grant
}
