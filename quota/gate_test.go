package quota_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

const gatePlans = `{"version": 1, "plans": {"p": {"limits": {
	"requests": {"windows": {"minute": 3, "day": {"limit": 1000, "roll": "calendar"}}, "warn": 0.6},
	"users": {"per": "key", "windows": {"minute": 2}},
	"streams": {"kind": "concurrent", "max": 1},
	"storage": {"kind": "stock", "max": 10, "payment": true},
	"seats": {"kind": "stock", "max": 1}
}}}}`

func newGate(t *testing.T, p *platform, opts ...func() quota.GateOption) *quota.Gate {
	t.Helper()
	var made []quota.GateOption
	for _, opt := range opts {
		made = append(made, opt())
	}
	g, err := quota.NewGate(p.Enforcer, made...)
	require.NoError(t, err)
	return g
}

func opt(o quota.GateOption) func() quota.GateOption { return func() quota.GateOption { return o } }

// serve sends a request as the tenant id.
func serve(t *testing.T, h http.Handler, id tenant.ID, change ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	ctx := tenant.NewContext(t.Context(), tenant.Tenant{ID: id, Plan: "p"})
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

func TestGate(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, gatePlans)
	h := newGate(t, p, opt(quota.WithFields(true, true))).Middleware(http.HandlerFunc(ok))

	first := serve(t, h, "acme")
	assert.Equal(t, http.StatusOK, first.Code)
	assert.Equal(t, http.Header{
		"Ratelimit-Policy":      {`"requests-minute";q=3;w=60, "requests-day";q=1000;w=86400`},
		"Ratelimit":             {`"requests-minute";r=2;t=60`},
		"X-Ratelimit-Limit":     {"3"},
		"X-Ratelimit-Remaining": {"2"},
		"X-Ratelimit-Reset":     {fmt.Sprint(noon.Add(time.Minute).Unix())},
		"Content-Type":          {"text/plain; charset=utf-8"},
	}, first.Result().Header)
	second := serve(t, h, "acme")
	assert.Equal(t, "requests", second.Header().Get("Quota-Warning"))
	serve(t, h, "acme")

	refused := serve(t, h, "acme")
	assert.Equal(t, http.StatusTooManyRequests, refused.Code)
	assert.Equal(t, "80", refused.Header().Get("Retry-After"), "a third of the minute before must have passed out")
	assert.Equal(t, `"requests-minute";r=0;t=80`, refused.Header().Get("RateLimit"))
	assert.Equal(t, "application/problem+json", refused.Header().Get("Content-Type"))
	assert.JSONEq(t, `{
		"type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
		"title": "Limit exceeded", "status": 429,
		"detail": "The limit requests of 3 per minute is used up for now.",
		"violated-policies": ["requests-minute"]
	}`, refused.Body.String())

	assert.Equal(t, http.StatusOK, serve(t, h, "globex").Code, "another tenant has its own")
	p.clock.Advance(80 * time.Second)
	assert.Equal(t, http.StatusOK, serve(t, h, "acme").Code)
}

func TestGateRefusesWithoutTenant(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, gatePlans)
	h := newGate(t, p).Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("let in") }))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	assert.Equal(t, http.StatusBadRequest, w.Code)
	w = serve(t, h, "acme", func(r *http.Request) {
		*r = *r.WithContext(tenant.NewContext(r.Context(), tenant.Tenant{ID: "acme", Plan: "unknown"}))
	})
	assert.Equal(t, http.StatusServiceUnavailable, w.Code, "an unknown plan is the platform's fault")
	assert.NotEmpty(t, w.Header().Get("Retry-After"))
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, gatePlans)
	claim := func(limit string, n int64) *quota.Gate {
		return newGate(t, p, opt(quota.Requests("")), opt(quota.Claiming(func(*http.Request) ([]quota.Claim, error) {
			return []quota.Claim{{Limit: p.Ref(limit), N: n}}, nil
		})))
	}
	tests := []struct {
		limit  string
		n      int64
		status int
		later  bool
	}{
		{"storage", 11, http.StatusPaymentRequired, false},
		{"seats", 2, http.StatusForbidden, false},
		{"unknown", 1, http.StatusForbidden, false},
		{"streams", 2, http.StatusForbidden, false},
		{"requests", 4, http.StatusForbidden, false},
		{"requests", -1, http.StatusInternalServerError, false},
	}
	for _, tt := range tests {
		w := serve(t, claim(tt.limit, tt.n).Middleware(http.HandlerFunc(ok)), "acme")
		assert.Equal(t, tt.status, w.Code, tt.limit)
		assert.Equal(t, tt.later, w.Header().Get("Retry-After") != "", tt.limit)
	}
	full := claim("seats", 1).Middleware(http.HandlerFunc(ok))
	assert.Equal(t, http.StatusOK, serve(t, full, "acme").Code)
	assert.Equal(t, http.StatusForbidden, serve(t, full, "acme").Code)
}

func TestCostsAndKeys(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, gatePlans)
	var gate *quota.Gate
	gate, err := quota.NewGate(p.Enforcer,
		quota.Costs(map[string]int64{"GET /healthz": 0, "POST /answers/{id}": 3}),
		quota.PerKeyOf("users", func(r *http.Request) string { return r.Header.Get("X-User") }))
	require.NoError(t, err)
	h := gate.Middleware(http.HandlerFunc(ok))
	request := func(method, path, user string) int {
		return serve(t, h, "acme", func(r *http.Request) {
			r.Method, r.URL.Path = method, path
			r.Header.Set("X-User", user)
		}).Code
	}
	for range 5 {
		assert.Equal(t, http.StatusOK, request("GET", "/healthz", ""))
	}
	assert.Equal(t, http.StatusOK, request("GET", "/healthz", "ann"))
	assert.Equal(t, http.StatusOK, request("GET", "/healthz", "ann"))
	assert.Equal(t, http.StatusTooManyRequests, request("POST", "/answers/7", "ann"), "ann has had two")
	assert.Equal(t, http.StatusOK, request("POST", "/answers/7", "bob"), "and ann's refusal cost the tenant nothing")
	assert.Equal(t, http.StatusTooManyRequests, request("GET", "/", "bob"))

	_, err = quota.NewGate(p.Enforcer, quota.Costs(map[string]int64{"GET /{": 1}))
	assert.Error(t, err)
	_, err = quota.NewGate(p.Enforcer, quota.Costs(map[string]int64{"GET /": -1}))
	assert.Error(t, err)
}

// TestNothingForWhatWasNotSeen checks what a request costs that the handler did not
// see, took back, or priced itself.
func TestNothingForWhatWasNotSeen(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, gatePlans)
	gate := newGate(t, p)
	used := func() int64 { return usageOf(t, p.account(t, tenant.Tenant{ID: "acme", Plan: "p"}))[0].Windows[0].Used }

	gone := gate.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("served") }))
	serve(t, gone, "acme", func(r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		*r = *r.WithContext(ctx)
	})
	assert.Zero(t, used())
	serve(t, gate.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		quota.GrantFromContext(r.Context()).Cancel(r.Context())
	})), "acme")
	assert.Zero(t, used())
	serve(t, gate.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		quota.GrantFromContext(r.Context()).Settle(r.Context(), p.Ref("requests"), 3)
	})), "acme")
	assert.Equal(t, int64(3), used())
	quota.GrantFromContext(t.Context()).Cancel(t.Context()) // where no gate is, nothing happens
}

// TestHolding holds a slot while a handler runs, panics or has taken the connection
// over, on a real server.
func TestHolding(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, gatePlans)
	gate := newGate(t, p, opt(quota.Requests("")), opt(quota.Holding("streams")))
	held := func() int64 {
		for _, u := range usageOf(t, p.account(t, tenant.Tenant{ID: "acme", Plan: "p"})) {
			if u.Limit == "streams" {
				return u.Used
			}
		}
		return -1
	}
	release := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first")
		assert.NoError(t, http.NewResponseController(w).Flush())
		assert.NoError(t, http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)))
		<-release
	})
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		go func() {
			defer func() { assert.NoError(t, conn.Close()) }()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			_, _ = io.Copy(io.Discard, conn)
		}()
	})
	asAcme := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gate.Middleware(mux).ServeHTTP(w, r.WithContext(tenant.NewContext(r.Context(), tenant.Tenant{ID: "acme", Plan: "p"})))
	})
	server := httptest.NewServer(asAcme)
	defer server.Close()
	get := func(path string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		require.NoError(t, err)
		return server.Client().Do(r)
	}

	_, err := get("/panic") //nolint:bodyclose // there is no response
	require.Error(t, err)
	require.Eventually(t, func() bool { return held() == 0 }, 5*time.Second, time.Millisecond)

	streaming, err := get("/stream")
	require.NoError(t, err)
	buffer := make([]byte, 5)
	_, err = io.ReadFull(streaming.Body, buffer)
	require.NoError(t, err)
	busy, err := get("/stream")
	require.NoError(t, err)
	require.NoError(t, busy.Body.Close())
	assert.Equal(t, http.StatusTooManyRequests, busy.StatusCode)
	assert.Equal(t, "1", busy.Header.Get("Retry-After"))
	close(release)
	_, err = io.ReadAll(streaming.Body)
	require.NoError(t, err)
	require.NoError(t, streaming.Body.Close())
	require.Eventually(t, func() bool { return held() == 0 }, 5*time.Second, time.Millisecond)

	conn, err := net.Dial("tcp", server.Listener.Addr().String()) //nolint:noctx // on loopback
	require.NoError(t, err)
	_, err = io.WriteString(conn, "GET /hijack HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	status, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "HTTP/1.1 101 Switching Protocols", strings.TrimSpace(status))
	assert.Equal(t, int64(1), held(), "held after the handler returned")
	require.NoError(t, conn.Close())
	require.Eventually(t, func() bool { return held() == 0 }, 5*time.Second, time.Millisecond)
}

func TestErrorHandler(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, gatePlans)
	var seen []error
	handler := quota.WithErrorHandler(func(w http.ResponseWriter, _ *http.Request, err error) {
		seen = append(seen, err)
		w.WriteHeader(http.StatusTeapot)
	})
	broken := errors.New("no cost known")
	failing := newGate(t, p, opt(handler), opt(quota.Claiming(func(*http.Request) ([]quota.Claim, error) { return nil, broken })))
	assert.Equal(t, http.StatusTeapot, serve(t, failing.Middleware(http.HandlerFunc(ok)), "acme").Code)
	assert.Equal(t, []error{broken}, seen)
}

func TestGateOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := quota.NewGate(nil)
	assert.Error(t, err)
	p := newPlatform(t, gatePlans)
	for _, o := range []quota.GateOption{
		quota.Cost(nil), quota.PerKeyOf("x", nil), quota.Claiming(nil), quota.WithErrorHandler(nil),
	} {
		_, err := quota.NewGate(p.Enforcer, o)
		assert.ErrorContains(t, err, "want a function")
	}
}

func TestShedder(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, `{"version": 1, "plans": {"free": {}, "pro": {"rank": 1}, "business": {"rank": 2}}}`)
	shedder, err := quota.NewShedder(p.Enforcer, 10)
	require.NoError(t, err)
	depth := 0
	var served map[string]int
	var h http.Handler
	plans := []string{"free", "pro", "business"}
	// Each request that is served sends a further one of each plan: requests pile up.
	h = shedder.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		record, _ := tenant.FromContext(r.Context())
		depth++
		defer func() { depth-- }()
		served[record.Plan] = max(served[record.Plan], depth)
		for _, plan := range plans {
			w := httptest.NewRecorder()
			next := r.WithContext(tenant.NewContext(r.Context(), tenant.Tenant{ID: tenant.ID(plan), Plan: plan}))
			if depth >= 8 || plan == record.Plan {
				h.ServeHTTP(w, next)
			}
			if w.Code == http.StatusServiceUnavailable {
				assert.NotEmpty(t, w.Header().Get("Retry-After"))
			}
		}
	}))
	for _, plan := range plans {
		served = make(map[string]int)
		r := httptest.NewRequestWithContext(tenant.NewContext(t.Context(), tenant.Tenant{ID: tenant.ID(plan), Plan: plan}), http.MethodGet, "/", nil)
		h.ServeHTTP(httptest.NewRecorder(), r)
		assert.LessOrEqual(t, served["free"], 8)
		assert.LessOrEqual(t, served["pro"], 9)
		assert.Equal(t, 10, served["business"], "the last tenth is for the highest rank")
	}
}

func TestShedderByLoad(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, `{"version": 1, "plans": {"free": {}, "pro": {"rank": 1}}}`)
	load := 0.0
	shedder, err := quota.NewShedder(p.Enforcer, 10, quota.WithLoad(func() float64 { return load }))
	require.NoError(t, err)
	h := shedder.Middleware(http.HandlerFunc(ok))
	code := func(plan string) int {
		r := httptest.NewRequestWithContext(tenant.NewContext(t.Context(), tenant.Tenant{ID: tenant.ID(plan), Plan: plan}), http.MethodGet, "/", nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	assert.Equal(t, http.StatusOK, code("free"))
	load = 0.9
	assert.Equal(t, http.StatusServiceUnavailable, code("free"))
	assert.Equal(t, http.StatusOK, code("pro"))
}

func TestGuard(t *testing.T) {
	t.Parallel()
	clock := newTestClock(noon)
	guard, err := quota.NewGuard(quota.Limit{Windows: []quota.Window{{Per: quota.Minute, Limit: 2}}}, quota.GuardClock(clock.Now))
	require.NoError(t, err)
	h := guard.Middleware(http.HandlerFunc(ok))
	code := func(remote string) int {
		return serve(t, h, "acme", func(r *http.Request) { r.RemoteAddr = remote }).Code
	}
	for _, same := range [][3]string{
		{"198.51.100.1:1", "198.51.100.1:2", "[::ffff:198.51.100.1]:3"},
		{"[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::ffff:3]:1"},
		{"@", "@", "/socket"},
	} {
		assert.Equal(t, http.StatusOK, code(same[0]))
		assert.Equal(t, http.StatusOK, code(same[1]))
		assert.Equal(t, http.StatusTooManyRequests, code(same[2]), same)
	}
	assert.Equal(t, http.StatusOK, code("198.51.100.2:1"))
	assert.Equal(t, http.StatusOK, code("[2001:db8:0:1::1]:1"))
}

// TestListener opens more connections than one address may have, and sends nothing.
func TestListener(t *testing.T) {
	t.Parallel()
	guard, err := quota.NewGuard(quota.Limit{Windows: []quota.Window{{Per: quota.Minute, Limit: 1000}}}, quota.MaxConns(3))
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(ok))
	server.Listener = guard.Listener(server.Listener)
	server.Start()
	defer server.Close()
	var idle []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", server.Listener.Addr().String()) //nolint:noctx // on loopback
		require.NoError(t, err)
		idle = append(idle, conn)
	}
	closed := func() bool { // by the server, before a byte
		conn, err := net.Dial("tcp", server.Listener.Addr().String()) //nolint:noctx // on loopback
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		answer, _ := io.ReadAll(conn)
		return len(answer) == 0
	}
	assert.True(t, closed())
	require.NoError(t, idle[0].Close())
	require.Eventually(t, func() bool { return !closed() }, 5*time.Second, 10*time.Millisecond)
}

func ExampleGate() {
	catalog, err := quota.ParseCatalog([]byte(`{"version": 1, "plans": {
		"free": {"limits": {"requests": {"windows": {"minute": 2, "day": 1000}}}}
	}}`))
	if err != nil {
		panic(err)
	}
	enforcer, err := quota.New(quota.NewMemorySource(catalog))
	if err != nil {
		panic(err)
	}
	gate, err := quota.NewGate(enforcer)
	if err != nil {
		panic(err)
	}
	handler := gate.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello")
	}))

	ctx := tenant.NewContext(context.Background(), tenant.Tenant{ID: "acme", Plan: "free"}) // tenant.Gate does this
	for range 3 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		var problem struct{ Detail string }
		_ = json.NewDecoder(w.Body).Decode(&problem)
		fmt.Println(strings.TrimSpace(fmt.Sprint(w.Code, " ", problem.Detail)))
	}
	// Output:
	// 200
	// 200
	// 429 The limit requests of 2 per minute is used up for now.
}

func BenchmarkGate(b *testing.B) {
	catalog, err := quota.ParseCatalog([]byte(benchPlans))
	require.NoError(b, err)
	e, err := quota.New(quota.NewMemorySource(catalog))
	require.NoError(b, err)
	gate, err := quota.NewGate(e)
	require.NoError(b, err)
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	r := httptest.NewRequestWithContext(tenant.NewContext(b.Context(), tenant.Tenant{ID: "acme", Plan: "big"}), http.MethodGet, "/", nil)
	w := httptest.NewRecorder()
	for name, h := range map[string]http.Handler{"bare": next, "gate": gate.Middleware(next)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
