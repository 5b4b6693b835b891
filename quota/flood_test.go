package quota_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// TestFloods attacks a real server in three ways at once: connections that send a
// byte now and then, WebSockets by the hundred, and addresses that are made up. A
// tenant that behaves is served all the while.
func TestFloods(t *testing.T) {
	p := newPlatform(t, `{"version": 1, "plans": {"p": {"limits": {
		"requests": {"windows": {"minute": 100000}}, "sockets": {"kind": "concurrent", "max": 5}
	}}}}`)
	guard, err := quota.NewGuard(quota.Limit{Windows: []quota.Window{{Per: quota.Minute, Limit: 100_000}}},
		quota.MaxConns(50), quota.TrustProxies(), quota.MaxAddresses(100_000))
	require.NoError(t, err)
	server := floodServer(t, p, guard)

	alone := p99(t, server, 300)
	ctx, stop := context.WithCancel(t.Context())
	var attackers sync.WaitGroup
	attackers.Go(func() { slowLoris(ctx, server.Listener.Addr().String(), 300) })
	upgraded := make(chan int, 1)
	attackers.Go(func() { upgraded <- floodSockets(ctx, server.Listener.Addr().String(), 100) })
	attackers.Go(func() { inventKeys(ctx, t, guardKeys(t)) })
	flooded := p99(t, server, 300)
	stop()
	attackers.Wait()
	t.Logf("p99 of a tenant that behaves: %v alone, %v beside the floods", alone, flooded)
	assert.Equal(t, 5, <-upgraded, "as many WebSockets as the plan has")
	require.Eventually(t, func() bool {
		return usageOf(t, p.account(t, tenant.Tenant{ID: "flood", Plan: "p"}))[1].Used == 0
	}, 10*time.Second, 10*time.Millisecond, "closed sockets give their units back")
}

// floodServer serves tenants by the header Tenant.
func floodServer(t *testing.T, p *platform, guard *quota.Guard) *httptest.Server {
	t.Helper()
	sockets, err := quota.NewGate(p.Enforcer, quota.Requests(""), quota.Holding("sockets"))
	require.NoError(t, err)
	requests := newGate(t, p)
	mux := http.NewServeMux()
	mux.Handle("/", requests.Middleware(http.HandlerFunc(ok)))
	mux.Handle("/socket", sockets.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})))
	server := httptest.NewUnstartedServer(guard.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := tenant.ID(r.Header.Get("Tenant"))
		mux.ServeHTTP(w, r.WithContext(tenant.NewContext(r.Context(), tenant.Tenant{ID: id, Plan: "p"})))
	})))
	server.Listener = guard.Listener(server.Listener)
	server.Config.ReadHeaderTimeout = 5 * time.Second
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// p99 sends requests of a tenant that behaves, one after the other, and returns what
// 99 of 100 of them took at most.
func p99(t *testing.T, server *httptest.Server, n int) time.Duration {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: from("127.0.0.3").DialContext}}
	defer client.CloseIdleConnections()
	took := make([]time.Duration, n)
	for i := range took {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		r.Header.Set("Tenant", "good")
		start := time.Now()
		resp, err := client.Do(r)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, resp.Body)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[n*99/100]
}

// from dials from an address of the loopback network.
func from(address string) *net.Dialer {
	if runtime.GOOS != "linux" { // others have only the one
		return &net.Dialer{}
	}
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
}

// slowLoris opens connections, and sends a byte of a request on each from time to
// time.
func slowLoris(ctx context.Context, address string, n int) {
	var conns []net.Conn
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	for ctx.Err() == nil {
		if len(conns) < n {
			if conn, err := from("127.0.0.2").DialContext(ctx, "tcp", address); err == nil {
				conns = append(conns, conn)
			}
		}
		for _, conn := range conns {
			_, _ = conn.Write([]byte("G"))
		}
	}
}

// floodSockets upgrades as often as it can, and returns how many WebSockets it had at
// once.
func floodSockets(ctx context.Context, address string, n int) (upgraded int) {
	var conns []net.Conn
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	for ctx.Err() == nil && len(conns) < n {
		conn, err := from("127.0.0.4").DialContext(ctx, "tcp", address)
		if err != nil {
			return upgraded
		}
		conns = append(conns, conn)
		_, _ = io.WriteString(conn, "GET /socket HTTP/1.1\r\nHost: x\r\nTenant: flood\r\n\r\n")
		if status, _ := bufio.NewReader(conn).ReadString('\n'); strings.Contains(status, "101") {
			upgraded++
		} else {
			_ = conn.Close()
		}
	}
	<-ctx.Done()
	return upgraded
}

// guardKeys returns a limiter as a guard has it.
func guardKeys(t *testing.T) *quota.KeyedLimiter {
	t.Helper()
	limiter, err := quota.NewKeyedLimiter(quota.Limit{Windows: []quota.Window{{Per: quota.Minute, Limit: 100}, {Per: quota.Hour, Limit: 1000}}},
		quota.MaxKeys(100_000))
	require.NoError(t, err)
	return limiter
}

// inventKeys asks for keys that nobody had before, until ctx ends, and in a thorough
// run for ten million in any case.
func inventKeys(ctx context.Context, t *testing.T, limiter *quota.KeyedLimiter) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	least := runs(300_000, 10_000_000)
	invented := 0
	for ; ctx.Err() == nil || invented < least; invented++ {
		limiter.Take(fmt.Sprintf("invented-%d", invented), 1)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("%d keys were invented: %d have a counter, the heap grew by %d KB", invented, limiter.Len(), (int64(after.HeapAlloc)-int64(before.HeapAlloc))>>10)
	assert.LessOrEqual(t, limiter.Len(), 100_000)
	assert.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(64<<20))
}
