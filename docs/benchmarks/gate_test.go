package benchmarks

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tenancy-go/tenancy/tenant"
)

// BenchmarkGate compares a bare handler with one behind the middleware, which
// finds the tenant by subdomain in a warm directory.
func BenchmarkGate(b *testing.B) {
	store := tenant.NewMemoryStore()
	_, err := store.Create(b.Context(), tenant.Tenant{ID: "tenant-1", Slug: "acme", Name: "Acme", Status: tenant.StatusActive})
	must(b, err)
	directory, err := tenant.NewDirectory(store)
	must(b, err)
	gate, err := tenant.NewGate(directory, tenant.Subdomain("example.com"))
	must(b, err)

	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	gated := gate.Middleware(bare)
	request := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "http://acme.example.com/orders", nil)
	w := &discard{header: http.Header{}}
	serve := func(h http.Handler) contender {
		return contender{op: func(int, int) error { h.ServeHTTP(w, request); return nil }}
	}
	for b.Loop() {
		with, without := serve(gated), serve(bare)
		without.name, with.name = "bare handler", "behind the gate"
		results := table{title: "Middleware, tenant by subdomain from a warm directory"}
		results.add("request", compare(b, 1, without, with))
		results.print(b)
		b.ReportMetric(testing.AllocsPerRun(1000, func() { gated.ServeHTTP(w, request) })-testing.AllocsPerRun(1000, func() { bare.ServeHTTP(w, request) }), "allocs-over-bare")
	}
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

func idOf(ctx context.Context) string {
	id, err := tenant.IDFromContext(ctx)
	if err != nil {
		panic(err)
	}
	return string(id)
}
