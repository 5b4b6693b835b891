package bandwidth_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota/bandwidth"
	"github.com/tenancy-go/tenancy/tenant"
)

// serve lets tenant a ask handler for something.
func serve(ctx context.Context, s *bandwidth.Shaper, method string, body io.Reader, handler http.HandlerFunc) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(as(ctx, "a"), method, "/", body)
	s.Middleware(handler).ServeHTTP(w, r)
	return w
}

func writes(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, n)) }
}

func TestMiddlewareShapes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		s := newShaper(t, both(quantum, quantum), bandwidth.WithObserver(l.observe))
		begun := time.Now()
		w := serve(t.Context(), s, http.MethodPost, strings.NewReader(strings.Repeat("in", 2*quantum)),
			func(w http.ResponseWriter, r *http.Request) {
				n, err := io.Copy(io.Discard, r.Body)
				assert.NoError(t, err)
				assert.EqualValues(t, 4*quantum, n)
				assert.InDelta(t, 3, time.Since(begun).Seconds(), 1e-6)
				assert.NoError(t, r.Body.Close())
				_, err = r.Body.Read(make([]byte, 1))
				assert.ErrorIs(t, err, http.ErrBodyReadAfterClose)

				w.WriteHeader(http.StatusCreated)
				_, err = w.Write(make([]byte, 3*quantum))
				assert.NoError(t, err)
				assert.InDelta(t, 5, time.Since(begun).Seconds(), 1e-6)
				copied, err := io.Copy(w, strings.NewReader(strings.Repeat("x", 2*quantum))) // WriteTo
				assert.NoError(t, err)
				assert.EqualValues(t, 2*quantum, copied)
				copied, err = io.Copy(w, io.LimitReader(endless{}, 2*quantum)) // ReadFrom
				assert.NoError(t, err)
				assert.EqualValues(t, 2*quantum, copied)
				assert.InDelta(t, 9, time.Since(begun).Seconds(), 1e-6)
			})
		assert.Equal(t, http.StatusCreated, w.Code)
		assert.Equal(t, 7*quantum, w.Body.Len())
		l.holds(t, 4*quantum, 7*quantum)
	})
}

func TestMiddlewareRefusesWithoutTenant(t *testing.T) {
	t.Parallel()
	s := newShaper(t, both(1, 1))
	handler := s.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { assert.Fail(t, "called") }))
	for _, ctx := range []context.Context{t.Context(), tenant.System(t.Context(), "backup")} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		assert.Equal(t, http.StatusBadRequest, w.Code)
	}
}

func TestMiddlewareLetsSystemPass(t *testing.T) {
	t.Parallel()
	s := newShaper(t, both(1, 1), bandwidth.WithSystem())
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(tenant.System(t.Context(), "backup"), http.MethodGet, "/", nil)
	s.Middleware(writes(1<<20)).ServeHTTP(w, r)
	assert.Equal(t, 1<<20, w.Body.Len())
}

func TestMiddlewareRefusesUnknownLimits(t *testing.T) {
	t.Parallel()
	p := &plans{}
	p.set(1, errors.New("secret"))
	w := serve(t.Context(), newShaper(t, p.of), http.MethodGet, nil, writes(1))
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Equal(t, "5", w.Header().Get("Retry-After"))
	assert.NotContains(t, w.Body.String(), "secret")
}

func TestMiddlewareRefusesBeforeTheHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, out := bandwidth.Rate{BytesPerSecond: quantum / 2, Burst: quantum}, bandwidth.Rate{BytesPerSecond: quantum / 4, Burst: quantum}
		s := newShaper(t, always(bandwidth.Limits{Ingress: in, Egress: out}), bandwidth.WithRefusal())
		drain := func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }
		never := func(http.ResponseWriter, *http.Request) { assert.Fail(t, "called") }

		w := serve(t.Context(), s, http.MethodPost, strings.NewReader(strings.Repeat("x", quantum)), drain)
		require.Equal(t, http.StatusOK, w.Code)
		w = serve(t.Context(), s, http.MethodPost, strings.NewReader(strings.Repeat("x", quantum)), never)
		assert.Equal(t, http.StatusTooManyRequests, w.Code)
		assert.Equal(t, "1", w.Header().Get("Retry-After"))
		assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		var problem map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
		assert.Equal(t, map[string]any{
			"type":      "tag:tenancy-go.github.io,2026:problem:bandwidth-exceeded",
			"title":     "Bandwidth exceeded",
			"status":    429.0,
			"direction": "ingress",
		}, problem)
		w = serve(t.Context(), s, http.MethodPost, io.MultiReader(strings.NewReader("x")), never) // of unknown length
		assert.Equal(t, http.StatusTooManyRequests, w.Code)

		w = serve(t.Context(), s, http.MethodGet, nil, writes(quantum))
		assert.Equal(t, http.StatusOK, w.Code, "without a body")
		w = serve(t.Context(), s, http.MethodGet, nil, never)
		assert.Equal(t, http.StatusTooManyRequests, w.Code)
		w = serve(t.Context(), s, http.MethodHead, nil, writes(quantum))
		assert.Equal(t, http.StatusOK, w.Code, "what answers HEAD is not sent")
		time.Sleep(time.Second)
		w = serve(t.Context(), s, http.MethodGet, nil, drain)
		assert.Equal(t, http.StatusOK, w.Code)
	})
}

// A response that is refused before anything was sent becomes an answer that says so.
func TestMiddlewareAnswersForRefusedResponse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, both(quantum, 2*quantum), bandwidth.WithRefusal())
		w := serve(t.Context(), s, http.MethodGet, nil, func(w http.ResponseWriter, _ *http.Request) {
			serve(t.Context(), s, http.MethodGet, nil, writes(2*quantum)) // another request meanwhile
			w.Header().Set("Content-Encoding", "gzip")
			n, err := w.Write(make([]byte, 100))
			assert.ErrorIs(t, err, bandwidth.ErrExceeded)
			assert.Zero(t, n)
		})
		assert.Equal(t, http.StatusTooManyRequests, w.Code)
		assert.Equal(t, http.Header{
			"Cache-Control":          {"no-store"},
			"Content-Length":         {w.Header().Get("Content-Length")},
			"Content-Type":           {"application/problem+json"},
			"Retry-After":            {"1"},
			"X-Content-Type-Options": {"nosniff"},
		}, w.Header())
	})
}

// A handler may answer a refused body by the same means.
func TestWriteErrorInHandler(t *testing.T) {
	t.Parallel()
	s := newShaper(t, both(quantum, 2*quantum), bandwidth.WithRefusal())
	w := serve(t.Context(), s, http.MethodPost, endless{}, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		bandwidth.WriteError(w, r, err)
	})
	assert.Equal(t, http.StatusTooManyRequests, w.Code)
	assert.Contains(t, w.Body.String(), "ingress")
}

func TestMiddlewareErrorHandler(t *testing.T) {
	t.Parallel()
	s := newShaper(t, both(1, 1), bandwidth.WithErrorHandler(func(w http.ResponseWriter, _ *http.Request, err error) {
		assert.ErrorIs(t, err, tenant.ErrNoTenant)
		w.WriteHeader(http.StatusTeapot)
	}))
	w := httptest.NewRecorder()
	s.Middleware(writes(1)).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	assert.Equal(t, http.StatusTeapot, w.Code)
}

// controlled has what an http.ResponseController looks for.
type controlled struct {
	*httptest.ResponseRecorder
	deadlines []time.Time
	duplex    bool
}

func (c *controlled) SetReadDeadline(t time.Time) error {
	c.deadlines = append(c.deadlines, t)
	return nil
}
func (c *controlled) SetWriteDeadline(t time.Time) error { return c.SetReadDeadline(t) }
func (c *controlled) EnableFullDuplex() error            { c.duplex = true; return nil }

func TestResponseController(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShaper(t, both(quantum, quantum))
		inner := &controlled{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequestWithContext(as(t.Context(), "a"), http.MethodPost, "/", endless{})
		begun := time.Now()
		handler := s.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			control := http.NewResponseController(w)
			assert.NoError(t, control.EnableFullDuplex())
			assert.NoError(t, control.Flush())
			w.(http.Flusher).Flush()

			assert.NoError(t, control.SetReadDeadline(begun.Add(1500*time.Millisecond)))
			n, err := io.Copy(io.Discard, r.Body)
			assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
			assert.EqualValues(t, 5*quantum/2, n)
			assert.Equal(t, 1500*time.Millisecond, time.Since(begun))

			assert.NoError(t, control.SetWriteDeadline(begun.Add(1700*time.Millisecond)))
			_, err = w.Write(make([]byte, 3*quantum))
			assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
			assert.Equal(t, 1700*time.Millisecond, time.Since(begun))
		}))
		assert.PanicsWithValue(t, http.ErrAbortHandler, func() { handler.ServeHTTP(inner, r) })
		assert.True(t, inner.Flushed && inner.duplex)
		assert.Equal(t, []time.Time{begun.Add(1500 * time.Millisecond), begun.Add(1700 * time.Millisecond)}, inner.deadlines)
	})
}

func TestResponseControllerWithoutSupport(t *testing.T) {
	t.Parallel()
	s := newShaper(t, both(quantum, quantum))
	serve(t.Context(), s, http.MethodGet, nil, func(w http.ResponseWriter, _ *http.Request) {
		control := http.NewResponseController(w)
		assert.ErrorIs(t, control.SetReadDeadline(time.Time{}), http.ErrNotSupported)
		assert.ErrorIs(t, control.SetWriteDeadline(time.Time{}), http.ErrNotSupported)
		_, _, err := control.Hijack()
		assert.ErrorIs(t, err, http.ErrNotSupported)
	})
}

// A handler that panics is nobody's but the server's, and what it moved is reported.
func TestHandlerPanics(t *testing.T) {
	t.Parallel()
	l := &ledger{}
	s := newShaper(t, both(quantum, quantum), bandwidth.WithObserver(l.observe))
	assert.PanicsWithValue(t, "oops", func() {
		serve(t.Context(), s, http.MethodGet, nil, func(w http.ResponseWriter, r *http.Request) {
			writes(5)(w, r)
			panic("oops")
		})
	})
	l.holds(t, 0, 5)
}

// newServer serves handler as tenant a.
func newServer(t *testing.T, s *bandwidth.Shaper, handler http.HandlerFunc, h2 bool) *httptest.Server {
	t.Helper()
	limited := s.Middleware(handler)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limited.ServeHTTP(w, r.WithContext(as(r.Context(), "a")))
	}))
	if server.EnableHTTP2 = h2; h2 {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

func post(t *testing.T, server *httptest.Server, body io.Reader) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
	require.NoError(t, err)
	return server.Client().Do(r)
}

// protocols runs test over HTTP/1.1 and HTTP/2.
func protocols(t *testing.T, test func(t *testing.T, h2 bool)) {
	t.Helper()
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, h2)
		})
	}
}

func TestServerShapes(t *testing.T) {
	t.Parallel()
	protocols(t, func(t *testing.T, h2 bool) {
		l := &ledger{}
		s := newShaper(t, both(1<<20, 64<<10), bandwidth.WithObserver(l.observe))
		const size = 192 << 10
		server := newServer(t, s, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, h2, r.ProtoMajor == 2)
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
		}, h2)
		data := bytesOf(size)
		begun := time.Now()
		resp, err := post(t, server, bytes.NewReader(data))
		require.NoError(t, err)
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(data, got))
		assert.GreaterOrEqual(t, time.Since(begun), 250*time.Millisecond, "128 KiB beyond the burst, twice")
		server.Close() // waits for the handler
		l.holds(t, size, size)
	})
}

// No client takes a response that was cut off for a whole one.
func TestServerAborts(t *testing.T) {
	t.Parallel()
	protocols(t, func(t *testing.T, h2 bool) {
		s := newShaper(t, both(quantum, 2*quantum), bandwidth.WithRefusal())
		server := newServer(t, s, writes(10*quantum), h2)
		resp, err := post(t, server, http.NoBody)
		if err == nil {
			defer resp.Body.Close()
			_, err = io.ReadAll(resp.Body)
		}
		assert.Error(t, err)

		resp, err = post(t, server, http.NoBody)
		require.NoError(t, err)
		defer resp.Body.Close()
		assert.Equal(t, http.StatusTooManyRequests, resp.StatusCode)
	})
}

// A client that does not read holds up nobody else's requests.
func TestServerWithSlowClient(t *testing.T) {
	t.Parallel()
	s := newShaper(t, both(64<<20, 64<<20))
	written := make(chan error, 1)
	server := newServer(t, s, func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > 0 {
			_, err := w.Write(make([]byte, 32<<20))
			written <- err
		}
	}, false)
	slow, err := net.Dial("tcp", server.Listener.Addr().String()) //nolint:noctx // nothing to wait for
	require.NoError(t, err)
	_, err = slow.Write([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"))
	require.NoError(t, err)
	_, err = slow.Read(make([]byte, 1))
	require.NoError(t, err)
	for range 20 {
		resp, err := post(t, server, http.NoBody)
		require.NoError(t, err)
		_ = resp.Body.Close()
	}
	require.NoError(t, slow.Close())
	assert.Error(t, <-written)
}

// A hijacked connection is limited in both directions, beginning with what the server has
// read of it already, and still is when the handler has returned.
func TestHijack(t *testing.T) {
	t.Parallel()
	l := &ledger{}
	s := newShaper(t, both(1<<20, 64<<10), bandwidth.WithObserver(l.observe))
	echoed := make(chan int64)
	server := newServer(t, s, func(w http.ResponseWriter, _ *http.Request) {
		c, buffered, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		go func() {
			defer c.Close()
			time.Sleep(10 * time.Millisecond) // the handler has returned
			_, err := buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\n\r\n")
			assert.NoError(t, err)
			n, err := io.Copy(buffered, buffered)
			assert.NoError(t, err)
			assert.NoError(t, buffered.Flush())
			echoed <- n
		}()
	}, false)

	c, err := net.Dial("tcp", server.Listener.Addr().String()) //nolint:noctx // nothing to wait for
	require.NoError(t, err)
	defer c.Close()
	data := bytesOf(192 << 10)
	begun := time.Now()
	go func() {
		_, err := c.Write(append([]byte("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"), data...))
		assert.NoError(t, err)
		tcp, _ := c.(*net.TCPConn)
		assert.NoError(t, tcp.CloseWrite())
	}()
	reader := bufio.NewReader(c)
	resp, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	assert.EqualValues(t, len(data), <-echoed)
	got, err := io.ReadAll(reader)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(data, got))
	assert.GreaterOrEqual(t, time.Since(begun), 125*time.Millisecond)
	const head = "HTTP/1.1 101 Switching Protocols\r\n\r\n"
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.out == int64(len(data)+len(head))
	}, 5*time.Second, time.Millisecond)
	l.holds(t, int64(len(data)), int64(len(data)+len(head)))
}

// hijackable gives away a pipe of which bytes were read already.
type hijackable struct {
	*httptest.ResponseRecorder
	conn     net.Conn
	buffered *bufio.ReadWriter
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.conn, h.buffered, nil }

// What an outer handler has not written yet is not lost, or nobody gets the connection.
func TestHijackFlushes(t *testing.T) {
	t.Parallel()
	for _, broken := range []error{nil, io.ErrUnexpectedEOF} {
		near, far := net.Pipe()
		var out bytes.Buffer
		writer := bufio.NewWriter(writerFunc(func(p []byte) (int, error) {
			_, _ = out.Write(p)
			return len(p), broken
		}))
		_, err := writer.WriteString("first")
		require.NoError(t, err)
		inner := &hijackable{httptest.NewRecorder(), near, bufio.NewReadWriter(bufio.NewReader(near), writer)}
		r := httptest.NewRequestWithContext(as(t.Context(), "a"), http.MethodGet, "/", nil)
		newShaper(t, both(1000, 1000)).Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			assert.ErrorIs(t, err, broken)
			if err == nil {
				assert.NoError(t, c.Close())
			}
		})).ServeHTTP(inner, r)
		assert.Equal(t, "first", out.String())
		_, err = far.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF, "closed by the handler or by Hijack")
	}
}

// What was read before comes through the limiter, whichever way it is read.
func TestHijackBufferedBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		go func() { _, _ = far.Write([]byte(strings.Repeat("l", 3000))) }()
		inner := &hijackable{httptest.NewRecorder(), near, bufio.NewReadWriter(
			bufio.NewReader(io.MultiReader(strings.NewReader(strings.Repeat("e", 3000)), near)), bufio.NewWriter(near))}
		_, err := inner.buffered.Peek(3000)
		require.NoError(t, err)
		s := newShaper(t, both(1000, 1000))
		ctx, cancel := context.WithCancel(as(t.Context(), "a"))
		begun := time.Now()
		s.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, buffered, err := http.NewResponseController(w).Hijack()
			if !assert.NoError(t, err) {
				return
			}
			cancel() // as the server does
			assert.Zero(t, buffered.Reader.Buffered())
			p := make([]byte, 1500)
			_, err = io.ReadFull(c, p)
			assert.NoError(t, err)
			assert.Equal(t, strings.Repeat("e", 1500), string(p))
			p = make([]byte, 4500)
			_, err = io.ReadFull(buffered, p)
			assert.NoError(t, err)
			assert.Equal(t, strings.Repeat("e", 1500)+strings.Repeat("l", 3000), string(p))
			assert.InDelta(t, 5, time.Since(begun).Seconds(), 1e-6)
		})).ServeHTTP(inner, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	})
}
