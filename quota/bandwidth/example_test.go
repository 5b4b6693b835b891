package bandwidth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/quota/bandwidth"
	"github.com/tenancy-go/tenancy/tenant"
)

// limits are those of a tenant's plan. A plan that is unknown is an error, not a plan
// without limits.
func limits(_ context.Context, t tenant.Tenant) (bandwidth.Limits, error) {
	switch t.Plan {
	case "free":
		return bandwidth.Limits{Egress: bandwidth.Rate{BytesPerSecond: 100, Burst: 1000}}, nil
	case "pro":
		return bandwidth.Limits{}, nil
	default:
		return bandwidth.Limits{}, fmt.Errorf("no plan %q", t.Plan)
	}
}

func Example() {
	shaper, err := bandwidth.New(limits)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := tenant.NewContext(context.Background(), tenant.Tenant{ID: "acme", Plan: "free"})
	var export strings.Builder
	w, err := shaper.Writer(ctx, &export)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	begun := time.Now()
	n, err := io.WriteString(w, strings.Repeat("x", 1010))
	fmt.Println(n, err, time.Since(begun) >= 100*time.Millisecond)
	// Output: 1010 <nil> true
}

func ExampleShaper_Middleware() {
	shaper, err := bandwidth.New(limits, bandwidth.WithRefusal())
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := shaper.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 1000))
	}))
	for _, plan := range []string{"free", "free", "pro", "trial"} {
		ctx := tenant.NewContext(context.Background(), tenant.Tenant{ID: tenant.ID(plan), Plan: plan})
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		fmt.Printf("%s: %d %q\n", plan, w.Code, w.Header().Get("Retry-After"))
	}
	// Output:
	// free: 200 ""
	// free: 429 "1"
	// pro: 200 ""
	// trial: 503 "5"
}

func ExampleExceededError() {
	shaper, err := bandwidth.New(limits, bandwidth.WithRefusal())
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := tenant.NewContext(context.Background(), tenant.Tenant{ID: "acme", Plan: "free"})
	w, err := shaper.Writer(ctx, io.Discard)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	n, err := io.WriteString(w, strings.Repeat("x", 2000))
	var exceeded *bandwidth.ExceededError
	if errors.As(err, &exceeded) {
		fmt.Println(n, exceeded.Tenant, exceeded.Direction, exceeded.RetryAfter.Round(time.Second))
	}
	// Output: 1000 acme egress 1s
}
