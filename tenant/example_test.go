package tenant_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/tenancy-go/tenancy/tenant"
)

func exampleStore() *tenant.MemoryStore {
	store := tenant.NewMemoryStore()
	for _, t := range []tenant.Tenant{
		{ID: "tenant-1", Slug: "acme", Name: "Acme", Status: tenant.StatusActive, Domains: []string{"app.acme.com"}},
		{ID: "tenant-2", Slug: "beta", Name: "Beta", Status: tenant.StatusSuspended},
	} {
		if _, err := store.Create(context.Background(), t); err != nil {
			fmt.Println(err)
		}
	}
	return store
}

func ask(handler http.Handler, url string) {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, url, nil))
	fmt.Println(w.Code, w.Body)
}

// A platform at example.com serves tenants at their subdomains and at their own
// domains, and its own pages at example.com itself.
func Example() {
	directory, err := tenant.NewDirectory(exampleStore())
	if err != nil {
		fmt.Println(err)
		return
	}
	site := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, "welcome to the platform")
	})
	gate, err := tenant.NewGate(directory,
		tenant.First(tenant.Subdomain("example.com"), tenant.Domain("example.com")),
		tenant.WithPlatform(site))
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := gate.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t, err := tenant.FromContext(r.Context())
		if err != nil {
			tenant.WriteError(w, r, err)
			return
		}
		_, _ = fmt.Fprintf(w, "%s at %s", t.Name, r.URL.Path)
	}))

	ask(handler, "http://acme.example.com/orders")
	ask(handler, "http://app.acme.com/orders")
	ask(handler, "http://example.com/")
	ask(handler, "http://nobody.example.com/orders")
	ask(handler, "http://beta.example.com/orders")
	// Output:
	// 200 Acme at /orders
	// 200 Acme at /orders
	// 200 welcome to the platform
	// 404 {"status":404,"title":"Tenant not found","type":"tag:tenancy-go.github.io,2026:problem:tenant-not-found"}
	// 403 {"status":403,"title":"The tenant is suspended","type":"tag:tenancy-go.github.io,2026:problem:tenant-suspended"}
}

// The handler sees the path below the tenant's name.
func ExamplePath() {
	gate, err := tenant.NewGate(exampleStore(), tenant.Path("/t/"))
	if err != nil {
		fmt.Println(err)
		return
	}
	ask(gate.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := tenant.IDFromContext(r.Context())
		_, _ = fmt.Fprint(w, id, " ", r.URL.Path)
	})), "http://example.com/t/acme/orders/7")
	// Output: 200 tenant-1 /orders/7
}

// A session cookie may say which tenant a user works in, but never another than
// the host does.
func ExampleAgree() {
	resolver := tenant.Agree(tenant.Subdomain("example.com"), tenant.Cookie("tenant", tenant.WithKind(tenant.KindSlug)))
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "http://acme.example.com/", nil)
	r.AddCookie(&http.Cookie{Name: "tenant", Value: "beta"})

	_, err := resolver.Resolve(r)
	fmt.Println(errors.Is(err, tenant.ErrDisagree))
	// Output: true
}

// An API gateway at 10.0.0.0/8 authenticates callers and says whose they are.
// The same header from anyone else names no tenant.
func ExampleHeader() {
	resolver := tenant.Header("X-Tenant-ID", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
	r.Header.Set("X-Tenant-ID", "tenant-1")

	for _, peer := range []string{"10.0.0.7:40000", "203.0.113.9:40000"} {
		r.RemoteAddr = peer
		match, err := resolver.Resolve(r)
		fmt.Println(match.Ref.Name(), err)
	}
	// Output:
	// tenant-1 <nil>
	//  tenant: no tenant
}

// Users of one tenant get the same answer for another tenant as for one that
// does not exist.
func ExampleWithMember() {
	belongs := func(r *http.Request, t tenant.Tenant) error {
		if r.Header.Get("X-User-Tenant") != t.ID.String() { // stands for your own sign-in
			return tenant.ErrForeign
		}
		return nil
	}
	gate, err := tenant.NewGate(exampleStore(), tenant.Subdomain("example.com"), tenant.WithMember(belongs))
	if err != nil {
		fmt.Println(err)
		return
	}
	ask(gate.Middleware(http.NotFoundHandler()), "http://acme.example.com/")
	// Output: 404 {"status":404,"title":"Tenant not found","type":"tag:tenancy-go.github.io,2026:problem:tenant-not-found"}
}

func ExampleWithErrorHandler() {
	page := func(w http.ResponseWriter, r *http.Request, err error) {
		var status *tenant.StatusError
		if errors.As(err, &status) && status.Status == tenant.StatusSuspended {
			t, _ := tenant.FromContext(r.Context())
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprintf(w, "%s is suspended; write to billing@example.com", t.Name)
			return
		}
		tenant.WriteError(w, r, err)
	}
	gate, err := tenant.NewGate(exampleStore(), tenant.Subdomain("example.com"), tenant.WithErrorHandler(page))
	if err != nil {
		fmt.Println(err)
		return
	}
	ask(gate.Middleware(http.NotFoundHandler()), "http://beta.example.com/")
	// Output: 403 Beta is suspended; write to billing@example.com
}

func ExampleSystem() {
	ctx := tenant.System(context.Background(), "nightly report")
	_, err := tenant.FromContext(ctx)
	reason, _ := tenant.SystemReason(ctx)
	fmt.Println(reason, errors.Is(err, tenant.ErrNoTenant))
	// Output: nightly report true
}
