package bandwidth

import (
	"io"
	"net/http"
)

// Middleware returns a handler that calls next with the request's body within the ingress
// rate of the tenant, and the response's within the egress rate. It stands inside what
// puts the tenant into the context, and outside what compresses. Headers are not counted,
// nor are answers to HEAD, nor what a refusal says.
//
// A request is refused before next is called when its tenant or limits are unknown, and
// when, under [WithRefusal] or [WithMaxWait], there is no room for the first quantum of
// its body (or all of it, if that is less) or of its response; see [WriteError]. A
// response that is refused later is answered the same way if nothing of it was sent, and
// else aborted (http.ErrAbortHandler), so that no client takes the part for the whole.
func (s *Shaper) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := s.begin(r.Context())
		if err == nil && v != nil {
			err = v.admit(r)
		}
		switch {
		case err != nil:
			s.onError(w, r, err)
		case v == nil:
			next.ServeHTTP(w, r)
		default:
			v.serve(w, r, next)
		}
	})
}

// admit refuses a request that would be refused at its first bytes.
func (v *visit) admit(r *http.Request) error {
	if r.ContentLength != 0 {
		if err := v.room(Ingress, max(r.ContentLength, 1)); err != nil { // -1 is unknown
			return err
		}
	}
	if r.Method == http.MethodHead {
		return nil
	}
	return v.room(Egress, int64(v.shaper.quantum))
}

// room refuses when a quantum, or n bytes if that is less, would wait too long.
func (v *visit) room(d Direction, n int64) error {
	if wait := v.line.buckets[d].lack(n); wait > v.shaper.maxWait {
		return &ExceededError{Tenant: v.tenant.ID, Direction: d, RetryAfter: wait}
	}
	return nil
}

// serve calls next with a body and a ResponseWriter within the limits.
func (v *visit) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	limited := r.WithContext(r.Context()) // a copy
	var in *stream
	if r.Body != nil && r.Body != http.NoBody {
		in = v.stream(Ingress, http.ErrBodyReadAfterClose)
		in.deadline = newDeadline()
		defer in.end()
		limited.Body = &body{reader: reader{stream: in, inner: r.Body}, inner: r.Body}
	}
	out := v.stream(Egress, io.ErrClosedPipe)
	defer out.end()
	out.deadline = newDeadline()
	response := &response{ResponseWriter: w, visit: v, in: in, out: writer{stream: out, inner: w}, head: r.Method == http.MethodHead}
	next.ServeHTTP(response, limited)
	response.finish(r)
}

// body is a request's.
type body struct {
	reader
	inner io.Closer
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.stream.end()
	return b.inner.Close()
}
