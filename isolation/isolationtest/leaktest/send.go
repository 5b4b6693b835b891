package leaktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
)

// answer is a response as it was sent.
type answer struct {
	status int
	header http.Header // with trailers
	raw    []byte
	body   []byte // without Content-Encoding
	sealed string // an encoding that the kit cannot read
}

// response returns what extractors get.
func (a answer) response() *Response {
	return &Response{Status: a.status, Header: a.header, Body: a.body}
}

// send hands a request to the application as a server does. for lets log records be
// attributed.
func (k *kit) send(ctx context.Context, by attribution, r Request) (answer, error) {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, attributionKey{}, by), k.app.Timeout)
	defer cancel()
	req, err := r.toHTTP(ctx)
	if err != nil {
		return answer{}, err
	}
	w := httptest.NewRecorder()
	panicked := serve(k.app.Handler, w, req)
	k.coverage.requests.Add(1)
	if panicked {
		k.coverage.panics.Add(1)
	}
	if err := context.Cause(ctx); errors.Is(err, context.DeadlineExceeded) {
		k.coverage.slow.Add(1)
	}
	return newAnswer(w, panicked), nil
}

// toHTTP returns the request as a server would get it.
func (r Request) toHTTP(ctx context.Context) (*http.Request, error) {
	u, err := url.ParseRequestURI(r.Target)
	if err != nil {
		return nil, fmt.Errorf("leaktest: %s %s: %w", r.Method, r.Target, err)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, "http://example.com", bytes.NewReader(r.Body))
	if err != nil {
		return nil, fmt.Errorf("leaktest: %s: %w", r.Method, err)
	}
	req.URL, req.RequestURI, req.Host = u, r.Target, r.Host
	req.Header = r.Header.Clone()
	req.RemoteAddr = "192.0.2.1:1234"
	if len(r.Body) == 0 {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	return req, nil
}

// serve reports whether the handler panicked, which a server answers by hanging up.
func serve(h http.Handler, w *httptest.ResponseRecorder, r *http.Request) (panicked bool) {
	defer func() {
		if v := recover(); v != nil {
			panicked = true
		}
	}()
	h.ServeHTTP(w, r)
	return false
}

func newAnswer(w *httptest.ResponseRecorder, panicked bool) answer {
	result := w.Result()
	defer func() { _ = result.Body.Close() }() // it is in memory
	a := answer{status: result.StatusCode, header: result.Header.Clone(), raw: w.Body.Bytes()}
	if panicked { // a server hangs up
		a.status = http.StatusInternalServerError
	}
	maps.Copy(a.header, result.Trailer)
	a.body = a.raw
	switch encoding := strings.ToLower(a.header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip", "x-gzip", "deflate":
		if inner := unpack(a.raw); len(inner) > 0 {
			a.body = inner[0].data
		}
	default:
		a.sealed = encoding
	}
	return a
}

// place is a part of an answer that is looked at by itself.
type place struct {
	name string
	data []byte
}

// places returns all of an answer.
func (a answer) places() []place {
	all := []place{{"body of the answer", a.raw}}
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		all = append(all, place{"header " + name, []byte(strings.Join(a.header[name], "\n"))})
	}
	return all
}
