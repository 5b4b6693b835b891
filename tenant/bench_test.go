package tenant_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tenancy-go/tenancy/tenant"
)

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

var nothing = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

// BenchmarkGate serves requests from a Directory that holds the tenant. "bare"
// is the handler without a Gate: what the others take above it is the Gate's.
func BenchmarkGate(b *testing.B) {
	loopback := netip.MustParsePrefix("192.0.2.0/24") // where httptest's requests come from
	cases := []struct {
		name     string
		resolver tenant.Resolver
		target   string
		opts     []requestOption
	}{
		{"bare", nil, "http://acme.example.com/orders", nil},
		{"subdomain", tenant.Subdomain("example.com"), "http://acme.example.com/orders", nil},
		{"subdomain with port", tenant.Subdomain("example.com"), "http://acme.example.com:8080/orders", nil},
		{"forwarded host", tenant.Subdomain("example.com", tenant.TrustProxies(loopback)), "/orders",
			[]requestOption{header("X-Forwarded-Host", "acme.example.com")}},
		{"domain", tenant.Domain("example.com"), "http://app.acme.com/orders", nil},
		{"path", tenant.Path("/t/"), "/t/acme/orders", nil},
		{"header", tenant.Header("X-Tenant", []netip.Prefix{loopback}), "/orders", []requestOption{header("X-Tenant", "tenant-acme")}},
		{"first of two", tenant.First(tenant.Subdomain("example.com"), tenant.Domain("example.com")), "http://app.acme.com/orders", nil},
		{"agree by slug and ID", tenant.Agree(tenant.Subdomain("example.com"), tenant.Cookie("tenant")), "http://acme.example.com/orders",
			[]requestOption{header("Cookie", "tenant=tenant-acme")}},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			handler := http.Handler(nothing)
			if c.resolver != nil {
				handler = newGate(b, c.resolver).Middleware(nothing)
			}
			w, r := discard{make(http.Header)}, newRequest(b, http.MethodGet, c.target, c.opts...)
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeHTTP(w, r)
			}
		})
	}
}

func BenchmarkGateParallel(b *testing.B) {
	handler := newGate(b, tenant.Subdomain("example.com")).Middleware(nothing)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		w, r := discard{make(http.Header)}, newRequest(b, http.MethodGet, "http://acme.example.com/orders")
		for pb.Next() {
			handler.ServeHTTP(w, r)
		}
	})
}

func BenchmarkNormalizeHost(b *testing.B) {
	for _, name := range []string{"acme.example.com", "ACME.example.com:8080", "münchen.de"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = tenant.NormalizeHost(name)
			}
		})
	}
}

func BenchmarkFromContext(b *testing.B) {
	ctx := tenant.NewContext(b.Context(), acme())
	b.ReportAllocs()
	for b.Loop() {
		_, _ = tenant.IDFromContext(ctx)
	}
}

// TestGateAllocates holds the Gate to its budget: the context and the copy of
// the request that carries it.
func TestGateAllocates(t *testing.T) {
	tests := []struct {
		name     string
		resolver tenant.Resolver
		target   string
		want     float64
	}{
		{"subdomain", tenant.Subdomain("example.com"), "http://acme.example.com:8080/orders", 2},
		{"domain", tenant.Domain("example.com"), "http://app.acme.com/orders", 2},
		{"path", tenant.Path("/t/"), "http://example.com/t/acme/orders", 3}, // and the copy of the URL
		{"first", tenant.First(tenant.Path("/t/"), tenant.Subdomain("example.com"), tenant.Domain("example.com")), "http://app.acme.com/", 2},
	}
	for _, tt := range tests {
		handler := newGate(t, tt.resolver).Middleware(nothing)
		w, r := httptest.NewRecorder(), newRequest(t, http.MethodGet, tt.target)
		got := testing.AllocsPerRun(1000, func() { handler.ServeHTTP(w, r) })
		assert.LessOrEqual(t, got, tt.want, tt.name)
	}
}
