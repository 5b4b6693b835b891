package quota

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
)

// Shedder refuses requests while the process has too many, those of the cheapest plans
// first: of the requests that it serves at once, the last part is kept for plans of
// higher rank. With three ranks and the default headroom of a fifth, the lowest may
// fill four fifths, the next nine tenths, and the highest all.
type Shedder struct {
	e       *Enforcer
	max     int64
	serving atomic.Int64
	config  shedConfig
}

// ShedOption changes how a [Shedder] works.
type ShedOption func(*shedConfig)

type shedConfig struct {
	reserve float64
	load    func() float64
	onError func(http.ResponseWriter, *http.Request, error)
	err     error
}

// Headroom keeps a fraction of the requests at once for plans above the lowest rank:
// 0.2 by default.
func Headroom(fraction float64) ShedOption {
	return func(c *shedConfig) {
		if !(fraction >= 0 && fraction < 1) {
			c.err = errors.Join(c.err, fmt.Errorf("quota: Headroom: want 0 or more and less than 1, got %v", fraction))
		}
		c.reserve = fraction
	}
}

// WithLoad takes another measure of load into account, such as how busy a database
// pool is: from 0 up to 1, at which the lowest ranks are refused as if their part of
// the requests were full. It is called for each request.
func WithLoad(load func() float64) ShedOption {
	return func(c *shedConfig) {
		if load == nil {
			c.err = errors.Join(c.err, errors.New("quota: WithLoad: want a function"))
		}
		c.load = load
	}
}

// ShedErrorHandler answers refused requests instead of [WriteError].
func ShedErrorHandler(handler func(w http.ResponseWriter, r *http.Request, err error)) ShedOption {
	return func(c *shedConfig) {
		if handler == nil {
			c.err = errors.Join(c.err, errors.New("quota: ShedErrorHandler: want a function"))
		}
		c.onError = handler
	}
}

// NewShedder returns a Shedder that lets at most max requests be served at once.
func NewShedder(e *Enforcer, max int64, opts ...ShedOption) (*Shedder, error) {
	if e == nil || max < 1 {
		return nil, errors.New("quota: NewShedder: want an Enforcer and at least one request at once")
	}
	s := &Shedder{e: e, max: max, config: shedConfig{reserve: 0.2, onError: WriteError}}
	for _, opt := range opts {
		opt(&s.config)
	}
	if s.config.err != nil {
		return nil, s.config.err
	}
	return s, nil
}

// ErrOverloaded means that the process serves as many requests as it may, or as many
// as it may before it serves those of higher rank. It wraps [ErrUnavailable].
var ErrOverloaded = fmt.Errorf("%w: overloaded", ErrUnavailable)

// Middleware returns a handler that calls next unless there is too much to do, and
// else refuses with 503 and Retry-After.
func (s *Shedder) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		account, err := s.e.Account(r.Context())
		if err != nil {
			s.config.onError(w, r, err)
			return
		}
		serving := s.serving.Add(1)
		if !s.admits(serving, account.state.Load().plan.standing) {
			s.serving.Add(-1) // whoever is refused may take time to hear it
			s.config.onError(w, r, ErrOverloaded)
			return
		}
		defer s.serving.Add(-1)
		next.ServeHTTP(w, r)
	})
}

// admits reports whether a request may be served as the serving-th at once. Standing
// is from 0, of the lowest rank, to 1, of the highest.
func (s *Shedder) admits(serving int64, standing float64) bool {
	part := 1 - s.config.reserve*(1-standing)
	if float64(serving) > max(1, float64(s.max)*part) {
		return false
	}
	return s.config.load == nil || standing == 1 || s.config.load() < part
}
