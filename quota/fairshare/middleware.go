package fairshare

import (
	"errors"
	"net/http"

	"github.com/tenancy-go/tenancy/tenant"
)

// Middleware returns a handler that calls next while it holds a unit for the request's
// tenant, or as many as [WithCost] says, and else answers with [WriteError]. A connection
// that next takes over, such as a WebSocket's, keeps the units until it is closed.
func (s *Scheduler) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hold, err := s.admit(r)
		if err != nil {
			s.onError(w, r, err)
			return
		}
		if hold == nil {
			next.ServeHTTP(w, r)
			return
		}
		if !hijackable(w) {
			defer hold.Release()
			next.ServeHTTP(w, r)
			return
		}
		writer := &responseWriter{ResponseWriter: w, hold: hold}
		defer writer.done()
		next.ServeHTTP(writer, r)
	})
}

// admit returns what r may have; nil for one that costs nothing.
func (s *Scheduler) admit(r *http.Request) (*Hold, error) {
	if cost := s.cost(r); cost != 0 {
		return s.Acquire(r.Context(), cost)
	}
	_, err := tenant.IDFromContext(r.Context())
	if errors.Is(err, tenant.ErrSystem) && s.platform != nil {
		err = nil
	}
	return nil, err
}
