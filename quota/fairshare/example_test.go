package fairshare_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tenancy-go/tenancy/quota/fairshare"
	"github.com/tenancy-go/tenancy/tenant"
)

func Example() {
	// Sixteen slots. Who pays more has a greater part when all want some, and four that
	// nobody else uses.
	slots, err := fairshare.New(16, func(_ context.Context, t tenant.Tenant) (fairshare.Share, error) {
		switch t.Plan {
		case "enterprise":
			return fairshare.Share{Weight: 4, Dedicated: 4}, nil
		case "free":
			return fairshare.Share{Weight: 1, Max: 2, MaxQueue: -1}, nil
		default:
			return fairshare.Share{}, errors.New("unknown plan")
		}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := tenant.NewContext(context.Background(), tenant.Tenant{ID: "acme", Plan: "free"})
	for range 3 {
		hold, err := slots.Acquire(ctx, 1)
		if errors.Is(err, fairshare.ErrQueueFull) {
			fmt.Println("try again later")
			continue
		}
		defer hold.Release()
		fmt.Println("at work")
	}
	// Output:
	// at work
	// at work
	// try again later
}

func ExampleScheduler_Middleware() {
	// Memory: each request reserves what its body needs, and no less than 1 MiB.
	memory, err := fairshare.New(64<<20, fairshare.Equal(fairshare.Share{}),
		fairshare.WithCost(func(r *http.Request) int64 { return max(1<<20, 4*r.ContentLength) }))
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := memory.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%d MiB reserved", memory.Stats().Held>>20)
	}))
	ctx := tenant.NewContext(context.Background(), tenant.Tenant{ID: "acme"})
	for _, length := range []int64{0, 8 << 20, 17 << 20} {
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/import", http.NoBody)
		r.ContentLength = length
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 1 MiB reserved
	// 200 32 MiB reserved
	// 413 {"status":413,"title":"The request needs more than the tenant can have","type":"tag:tenancy-go.github.io,2026:problem:request-too-large"}
}
