package fairshare

import (
	"errors"
	"net/http"
	"time"

	"github.com/tenancy-go/tenancy/internal/problem"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// comeBack is when a client should ask again for what is expected to pass.
const comeBack = 5 * time.Second

// WriteError answers r with err as problem details (RFC 9457), and is what
// [Scheduler.Middleware] does unless told otherwise:
//
//   - 429 tenant-busy with Retry-After for an [Error] that says AtMax: the tenant has as
//     much as it may have, and the others are not the reason;
//   - 413 request-too-large for [ErrTooLarge];
//   - 503 overloaded with Retry-After for any other [Error];
//   - what tenant.WriteError does without a tenant;
//   - 403 not-in-plan for quota.ErrNotInPlan, see [ByPlan];
//   - 503 share-unavailable with Retry-After when the tenant's share cannot be told.
//
// The names are the ends of the type URIs. Nothing of err itself is sent.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, tenant.ErrNoTenant):
		tenant.WriteError(w, r, err)
	case errors.Is(err, quota.ErrNotInPlan):
		quota.WriteError(w, r, err)
	default:
		problem.Write(w, r, problemOf(err))
	}
}

func problemOf(err error) problem.Problem {
	var refused *Error
	switch {
	case !errors.As(err, &refused):
		return refusal(http.StatusServiceUnavailable, "share-unavailable", "The tenant's share cannot be determined at present", comeBack)
	case errors.Is(err, ErrTooLarge):
		return refusal(http.StatusRequestEntityTooLarge, "request-too-large", "The request needs more than the tenant can have", 0)
	case refused.AtMax:
		return refusal(http.StatusTooManyRequests, "tenant-busy", "The tenant has as many requests running as it may have", refused.RetryAfter)
	default:
		return refusal(http.StatusServiceUnavailable, "overloaded", "The server is busy", refused.RetryAfter)
	}
}

func refusal(status int, name, title string, retryAfter time.Duration) problem.Problem {
	return problem.Problem{Type: problem.Type(name), Title: title, Status: status, RetryAfter: retryAfter}
}
