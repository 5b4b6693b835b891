package bandwidth

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tenancy-go/tenancy/internal/problem"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// comeBack is when a client should ask again for what is expected to pass.
const comeBack = 5 * time.Second

var (
	// ErrExceeded means that bytes would have had to wait, or to wait too long. It is
	// wrapped in an [ExceededError].
	ErrExceeded = errors.New("bandwidth: exceeded")
	// ErrLimits means that the function given to [New] failed, or returned rates that
	// are none.
	ErrLimits = errors.New("bandwidth: limits unknown")
)

// ExceededError is a refusal to move bytes. It wraps [ErrExceeded].
type ExceededError struct {
	Tenant     tenant.ID
	Direction  Direction
	RetryAfter time.Duration // until there is room, if nobody else takes it
}

func (e *ExceededError) Error() string {
	return fmt.Sprintf("%v: %v of tenant %s, room in %s", ErrExceeded, e.Direction, e.Tenant, e.RetryAfter)
}

// Unwrap returns [ErrExceeded].
func (e *ExceededError) Unwrap() error { return ErrExceeded }

// WriteError answers r with err as problem details (RFC 9457), and is what
// [Shaper.Middleware] does unless told otherwise:
//
//   - 429 bandwidth-exceeded with Retry-After for an [ExceededError];
//   - what [tenant.WriteError] answers for a context without a tenant;
//   - 403 not-in-plan for quota.ErrNotInPlan, see [ByPlan];
//   - 503 bandwidth-unavailable with Retry-After for any other.
//
// The names are the ends of the type URIs. Handlers may use it for the errors of a
// request's body; what they write so is charged like any response.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	var exceeded *ExceededError
	switch {
	case errors.As(err, &exceeded):
		problem.Write(w, r, problem.Problem{
			Type:       problem.Type("bandwidth-exceeded"),
			Title:      "Bandwidth exceeded",
			Status:     http.StatusTooManyRequests,
			Members:    map[string]any{"direction": exceeded.Direction.String()},
			RetryAfter: max(exceeded.RetryAfter, 1),
		})
	case errors.Is(err, tenant.ErrNoTenant):
		tenant.WriteError(w, r, err)
	case errors.Is(err, quota.ErrNotInPlan):
		quota.WriteError(w, r, err)
	default:
		problem.Write(w, r, problem.Problem{
			Type:       problem.Type("bandwidth-unavailable"),
			Title:      "The tenant's bandwidth cannot be determined at present",
			Status:     http.StatusServiceUnavailable,
			RetryAfter: comeBack,
		})
	}
}
