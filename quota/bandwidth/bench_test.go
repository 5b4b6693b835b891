package bandwidth_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"golang.org/x/time/rate"

	"github.com/tenancy-go/tenancy/quota/bandwidth"
	"github.com/tenancy-go/tenancy/tenant"
)

// ample is a limit that is never reached.
const ample = 1 << 50

// discard hides what io.Discard has beside Write.
type discard struct{ io.Writer }

func benchmarkLimits(b *testing.B, run func(b *testing.B, s *bandwidth.Shaper)) {
	for name, limits := range map[string]limitsFunc{
		"unlimited": always(bandwidth.Limits{}),
		"limited":   both(ample, ample),
	} {
		b.Run(name, func(b *testing.B) { run(b, newShaper(b, limits)) })
	}
	b.Run("limited-observed", func(b *testing.B) {
		run(b, newShaper(b, both(ample, ample),
			bandwidth.WithObserver(func(context.Context, tenant.ID, bandwidth.Direction, int64) {})))
	})
}

func BenchmarkWrite(b *testing.B) {
	p := make([]byte, quantum)
	b.Run("bare-WaitN", func(b *testing.B) {
		limiter := rate.NewLimiter(ample, ample)
		w := discard{io.Discard}
		b.ReportAllocs()
		for b.Loop() {
			_ = limiter.WaitN(b.Context(), len(p))
			_, _ = w.Write(p)
		}
	})
	benchmarkLimits(b, func(b *testing.B, s *bandwidth.Shaper) {
		w := newWriter(b, as(b.Context(), "a"), s, discard{io.Discard})
		b.ReportAllocs()
		b.SetBytes(quantum)
		for b.Loop() {
			_, _ = w.Write(p)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	p := make([]byte, quantum)
	benchmarkLimits(b, func(b *testing.B, s *bandwidth.Shaper) {
		r := newReader(b, as(b.Context(), "a"), s, endless{})
		b.ReportAllocs()
		b.SetBytes(quantum)
		for b.Loop() {
			_, _ = r.Read(p)
		}
	})
}

func BenchmarkMiddleware(b *testing.B) {
	p := make([]byte, 1000)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(p) })
	request := func(b *testing.B, handler http.Handler) {
		r := httptest.NewRequestWithContext(as(b.Context(), "a"), http.MethodGet, "/", nil)
		w := &blackHole{}
		b.ReportAllocs()
		for b.Loop() {
			handler.ServeHTTP(w, r)
		}
	}
	b.Run("bare", func(b *testing.B) { request(b, handler) })
	benchmarkLimits(b, func(b *testing.B, s *bandwidth.Shaper) { request(b, s.Middleware(handler)) })
}

// blackHole is a ResponseWriter that costs nothing.
type blackHole struct{}

func (*blackHole) Header() http.Header         { return nil }
func (*blackHole) Write(p []byte) (int, error) { return len(p), nil }
func (*blackHole) WriteHeader(int)             {}

// Streams of several tenants at once.
func BenchmarkWriteParallel(b *testing.B) {
	s := newShaper(b, both(ample, ample))
	p := make([]byte, quantum)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		w := newWriter(b, as(b.Context(), tenant.NewID()), s, discard{io.Discard})
		for pb.Next() {
			_, _ = w.Write(p)
		}
	})
}

// Beginning a stream while many tenants are known.
func BenchmarkBegin(b *testing.B) {
	s := newShaper(b, both(ample, ample))
	for range 100_000 {
		newWriter(b, as(b.Context(), tenant.NewID()), s, io.Discard)
	}
	ctx := as(b.Context(), "a")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = s.Writer(ctx, io.Discard)
	}
}
