package bandwidth_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota/bandwidth"
	"github.com/tenancy-go/tenancy/tenant"
)

// TestHijackOfAnyMethod takes connections over after a GET and after a HEAD: both are
// limited.
func TestHijackOfAnyMethod(t *testing.T) {
	t.Parallel()
	shaper, err := bandwidth.New(func(context.Context, tenant.Tenant) (bandwidth.Limits, error) {
		return bandwidth.Limits{Egress: bandwidth.Rate{BytesPerSecond: 1000, Burst: 1000}}, nil
	}, bandwidth.WithRefusal())
	require.NoError(t, err)
	for i, method := range []string{http.MethodGet, http.MethodHead} {
		handler := shaper.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if !assert.NoError(t, err) {
				return
			}
			defer func() { _ = conn.Close() }()
			_, err = conn.Write(make([]byte, 1<<20))
			assert.ErrorIs(t, err, bandwidth.ErrExceeded)
		}))
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id := tenant.ID(fmt.Sprintf("tenant-%d", i))
			handler.ServeHTTP(w, r.WithContext(tenant.NewContext(r.Context(), tenant.Tenant{ID: id})))
		}))
		conn, err := net.DialTimeout("tcp", server.Listener.Addr().String(), 5*time.Second) //nolint:noctx // has a timeout
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "%s / HTTP/1.1\r\nHost: x\r\n\r\n", method)
		require.NoError(t, err)
		n, err := io.Copy(io.Discard, conn)
		require.NoError(t, err)
		assert.LessOrEqual(t, n, int64(1010), method)
		require.NoError(t, conn.Close())
		server.Close()
	}
}
