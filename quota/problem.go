package quota

import (
	"errors"
	"net/http"
	"time"

	"github.com/tenancy-go/tenancy/internal/problem"
	"github.com/tenancy-go/tenancy/tenant"
)

// Types of problems that draft-ietf-httpapi-ratelimit-headers registers.
const (
	typeExceeded = "https://iana.org/assignments/http-problem-types#quota-exceeded"
	typeReduced  = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
)

// comeBack is when to try again after a failure that is not the client's.
const comeBack = 5 * time.Second

// WriteError answers r for err with problem details (RFC 9457):
//
//   - 429 with Retry-After where waiting helps: a window is used up, or too much is
//     held at once;
//   - 402, if the limit says so, or else 403 where only a larger plan, or giving
//     something back, helps; and 403 for what the plan does not have;
//   - 503 with Retry-After where the platform cannot say what is used or allowed;
//   - 400 for a request without a tenant, and 500 for what the host asked wrongly.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	problem.Write(w, r, problemOf(err))
}

// StatusOf returns the status that WriteError answers err with, for hosts with pages of
// their own: 200 for no error.
func StatusOf(err error) int {
	if err == nil {
		return http.StatusOK
	}
	if status := problemOf(err).Status; status >= http.StatusBadRequest {
		return status
	}
	return http.StatusInternalServerError
}

func problemOf(err error) problem.Problem {
	var refused *Error
	switch {
	case errors.As(err, &refused):
		return refused.problem()
	case errors.Is(err, ErrNotInPlan):
		return problem.Problem{Type: problem.Type("not-in-plan"), Title: "Not in the plan", Status: http.StatusForbidden}
	case errors.Is(err, tenant.ErrNoTenant):
		return problem.Problem{Type: problem.Type("tenant-required"), Title: "The request names no tenant", Status: http.StatusBadRequest}
	default:
		return unavailable()
	}
}

func unavailable() problem.Problem {
	return problem.Problem{Type: typeReduced, Title: "Limits cannot be checked at present",
		Status: http.StatusServiceUnavailable, RetryAfter: comeBack}
}

func (e *Error) problem() problem.Problem {
	switch e.Cause() {
	case CauseLimit, CauseBusy:
		return problem.Problem{Type: typeExceeded, Title: "Limit exceeded", Status: http.StatusTooManyRequests,
			Detail: e.detail(), Members: e.members(), RetryAfter: e.RetryAfter()}
	case CauseStock, CauseTooLarge:
		return problem.Problem{Type: typeExceeded, Title: "Limit exceeded", Status: e.forGood(),
			Detail: e.detail(), Members: e.members()}
	case CauseNotInPlan:
		return problem.Problem{Type: problem.Type("not-in-plan"), Title: "Not in the plan", Status: http.StatusForbidden,
			Detail: "The plan does not include " + e.Limit() + "."}
	case CauseUnavailable:
		return unavailable()
	default:
		return problem.Problem{Status: http.StatusInternalServerError}
	}
}

// forGood returns the status where waiting does not help.
func (e *Error) forGood() int {
	if e.rule.payment {
		return http.StatusPaymentRequired
	}
	return http.StatusForbidden
}

// members tells programs which policies refused.
func (e *Error) members() map[string]any {
	name := e.Limit()
	if window, ok := e.Window(); ok {
		name += "-" + string(window.Per)
	}
	return map[string]any{"violated-policies": []string{name}}
}

// detail tells people what to do.
func (e *Error) detail() string {
	text := "The limit " + e.Limit()
	if window, ok := e.Window(); ok {
		text += " of " + window.String()
	}
	switch e.Cause() {
	case CauseBusy:
		return text + " is reached: too many are in use at once."
	case CauseStock:
		return text + " is reached: remove something, or change to a larger plan."
	case CauseTooLarge:
		return text + " is less than this request needs."
	default:
		return text + " is used up for now."
	}
}
