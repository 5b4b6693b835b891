package fairshare_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota/fairshare"
	"github.com/tenancy-go/tenancy/tenant"
)

var ok = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })

func serve(ctx context.Context, h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	return w
}

func TestMiddlewareAnswers(t *testing.T) {
	down := errors.New("down")
	shares := table{"full": {MaxQueue: -1}, "slow": {MaxWait: time.Millisecond}, "bounded": {Max: 1, MaxQueue: -1}}
	for _, tt := range []struct {
		name   string
		ctx    func(context.Context) context.Context
		cost   int64
		status int
		kind   string
		after  string
	}{
		{"has units", func(ctx context.Context) context.Context { return as(ctx, "bounded") }, 1, http.StatusOK, "", ""},
		{"queue full", func(ctx context.Context) context.Context { return as(ctx, "full") }, 2, http.StatusServiceUnavailable, "overloaded", "1"},
		{"deadline", func(ctx context.Context) context.Context { return as(ctx, "slow") }, 2, http.StatusServiceUnavailable, "overloaded", "1"},
		{"at its own maximum", func(ctx context.Context) context.Context { return as(ctx, "busy") }, 1, http.StatusTooManyRequests, "tenant-busy", "1"},
		{"too large", func(ctx context.Context) context.Context { return as(ctx, "full") }, 4, http.StatusRequestEntityTooLarge, "request-too-large", ""},
		{"client is gone", func(ctx context.Context) context.Context {
			ctx, cancel := context.WithCancel(as(ctx, "a"))
			cancel()
			return ctx
		}, 1, http.StatusServiceUnavailable, "overloaded", ""},
		{"no tenant", func(ctx context.Context) context.Context { return ctx }, 1, http.StatusBadRequest, "tenant-required", ""},
		{"no tenant, no cost", func(ctx context.Context) context.Context { return ctx }, 0, http.StatusBadRequest, "tenant-required", ""},
		{"system", func(ctx context.Context) context.Context { return tenant.System(ctx, "test") }, 1, http.StatusBadRequest, "tenant-required", ""},
		{"share unknown", func(ctx context.Context) context.Context { return as(ctx, "down") }, 1, http.StatusServiceUnavailable, "share-unavailable", "5"},
		{"no cost", func(ctx context.Context) context.Context { return as(ctx, "busy") }, 0, http.StatusOK, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := fairshare.New(3, func(_ context.Context, asks tenant.Tenant) (fairshare.Share, error) {
				switch asks.ID {
				case "down":
					return fairshare.Share{}, down
				case "busy":
					return fairshare.Share{Max: 1, MaxQueue: -1}, nil
				default:
					return shares[asks.ID], nil
				}
			}, fairshare.WithCost(func(*http.Request) int64 { return tt.cost }))
			require.NoError(t, err)
			must(t, s, "other", 1)
			must(t, s, "busy", 1)

			w := serve(tt.ctx(t.Context()), s.Middleware(ok))
			assert.Equal(t, tt.status, w.Code)
			assert.Equal(t, tt.after, w.Header().Get("Retry-After"))
			assert.EqualValues(t, 2, s.Stats().Held)
			if tt.kind == "" {
				assert.Equal(t, "ok", w.Body.String())
				return
			}
			var body struct{ Type string }
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
			assert.Equal(t, "tag:tenancy-go.github.io,2026:problem:"+tt.kind, body.Type)
			assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		})
	}
}

func TestMiddlewareHoldsUnits(t *testing.T) {
	s := newScheduler(t, 3, fairshare.Share{}, fairshare.WithCost(func(r *http.Request) int64 { return r.ContentLength }),
		fairshare.WithPlatform(fairshare.Share{}))
	var held int64
	h := s.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { held = s.Stats().Held }))
	r := httptest.NewRequestWithContext(as(t.Context(), "a"), http.MethodPost, "/", strings.NewReader("123"))
	h.ServeHTTP(httptest.NewRecorder(), r)
	assert.EqualValues(t, 3, held)
	assert.Zero(t, s.Stats().Held)

	assert.Equal(t, http.StatusOK, serve(tenant.System(t.Context(), "test"), h).Code)
	assert.Zero(t, held, "it costs nothing")

	h = s.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	assert.Panics(t, func() { h.ServeHTTP(httptest.NewRecorder(), r) })
	assert.Zero(t, s.Stats().Held)
}

func TestMiddlewareWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduler(t, 1, fairshare.Share{})
		hold := must(t, s, "other", 1)
		done := make(chan int)
		go func() { done <- serve(as(t.Context(), "a"), s.Middleware(ok)).Code }()
		synctest.Wait()
		assert.Equal(t, 1, s.Stats().Waiting)
		hold.Release()
		assert.Equal(t, http.StatusOK, <-done)
	})
}

func TestErrorHandler(t *testing.T) {
	var got error
	s := newScheduler(t, 1, fairshare.Share{}, fairshare.WithErrorHandler(func(w http.ResponseWriter, _ *http.Request, err error) {
		got = err
		w.WriteHeader(http.StatusTeapot)
	}))
	assert.Equal(t, http.StatusTeapot, serve(t.Context(), s.Middleware(ok)).Code)
	assert.ErrorIs(t, got, tenant.ErrNoTenant)
}

// start serves h, for tenant a, behind the scheduler's middleware.
func start(t *testing.T, s *fairshare.Scheduler, wrap func(http.ResponseWriter) http.ResponseWriter, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	inner := s.Middleware(h)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(wrap(w), r.WithContext(as(r.Context(), "a")))
	}))
	t.Cleanup(server.Close)
	return server
}

func bare(w http.ResponseWriter) http.ResponseWriter { return w }

// wrapper hides what the writer below can do, but for who unwraps it.
type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func eventuallyHeld(t *testing.T, s *fairshare.Scheduler, n int64) {
	t.Helper()
	require.Eventually(t, func() bool { return s.Stats().Held == n }, 5*time.Second, time.Millisecond)
}

// A connection that the handler took over has its unit until it is closed.
func TestHijackedConnections(t *testing.T) {
	for name, hijack := range map[string]func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"http.Hijacker": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
		"http.ResponseController": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	} {
		for outer, wrap := range map[string]func(http.ResponseWriter) http.ResponseWriter{
			"":          bare,
			", wrapped": func(w http.ResponseWriter) http.ResponseWriter { return wrapper{w} },
		} {
			t.Run(name+outer, func(t *testing.T) {
				s := newScheduler(t, 1, fairshare.Share{})
				taken := make(chan net.Conn, 1)
				server := start(t, s, wrap, func(w http.ResponseWriter, _ *http.Request) {
					conn, _, err := hijack(w)
					assert.NoError(t, err)
					taken <- conn
				})
				client, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
				require.NoError(t, err)
				defer client.Close()
				_, err = io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				require.NoError(t, err)

				conn := <-taken
				time.Sleep(10 * time.Millisecond) // in which the handler has surely returned
				assert.EqualValues(t, 1, s.Stats().Held)
				assert.IsType(t, &net.TCPConn{}, conn.(interface{ NetConn() net.Conn }).NetConn())
				_, err = io.WriteString(conn, "hello")
				require.NoError(t, err)
				require.NoError(t, conn.(interface{ CloseWrite() error }).CloseWrite())
				got, err := io.ReadAll(client)
				require.NoError(t, err)
				assert.Equal(t, "hello", string(got))
				assert.EqualValues(t, 1, s.Stats().Held)
				require.NoError(t, conn.Close())
				assert.Error(t, conn.Close())
				assert.Zero(t, s.Stats().Held)
			})
		}
	}
}

// What the writer of net/http can do, it can within the middleware, too.
func TestResponseWriterIsWhole(t *testing.T) {
	s := newScheduler(t, 1, fairshare.Share{})
	server := start(t, s, bare, func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.WriteString(w, "one ")
		assert.NoError(t, err)
		w.(http.Flusher).Flush()
		assert.NoError(t, http.NewResponseController(w).Flush())
		n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("two"))
		assert.NoError(t, err)
		assert.EqualValues(t, 3, n)
		assert.NoError(t, http.NewResponseController(w).SetWriteDeadline(time.Time{}))
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	resp, err := server.Client().Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, "one two", string(body))
	assert.Equal(t, []string{"chunked"}, resp.TransferEncoding)
	eventuallyHeld(t, s, 0)
}

// A writer that cannot be taken over does not look as if it could.
func TestResponseWriterPromisesNothing(t *testing.T) {
	s := newScheduler(t, 1, fairshare.Share{})
	serve(as(t.Context(), "a"), s.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, hijacker := w.(http.Hijacker)
		assert.False(t, hijacker)
	})))
	failing := s.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _, err := http.NewResponseController(w).Hijack()
		assert.ErrorIs(t, err, http.ErrHijacked)
	}))
	failing.ServeHTTP(refusing{httptest.NewRecorder()}, httptest.NewRequestWithContext(as(t.Context(), "a"), http.MethodGet, "/", nil))
	assert.Zero(t, s.Stats().Held, "nobody took the connection over")
}

type refusing struct{ http.ResponseWriter }

func (refusing) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, http.ErrHijacked }
