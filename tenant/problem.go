package tenant

import (
	"errors"
	"net/http"
	"time"

	"github.com/tenancy-go/tenancy/internal/problem"
)

// comeBack is when a client should ask again for what is expected to pass.
const comeBack = 5 * time.Second

// WriteError answers r with err as problem details (RFC 9457), and is what a
// [Gate] does unless told otherwise:
//
//   - 404 tenant-not-found, to the byte the same, for [ErrNotFound], [ErrForeign],
//     [ErrInvalid], [ErrInvalidID] and [ErrDisagree];
//   - 400 tenant-required for [ErrNoTenant];
//   - for a [StatusError], 503 tenant-provisioning with Retry-After, 403
//     tenant-suspended, 403 tenant-read-only or 410 tenant-deleted;
//   - 503 tenant-unavailable with Retry-After for any other, such as a store that
//     does not answer.
//
// The names are the ends of the type URIs. Nothing of err itself is sent.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	problem.Write(w, r, problemOf(err))
}

func problemOf(err error) problem.Problem {
	var status *StatusError
	switch {
	case errors.As(err, &status):
		return statusProblem(status.Status)
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrForeign), errors.Is(err, ErrDisagree),
		errors.Is(err, ErrInvalid), errors.Is(err, ErrInvalidID):
		return refuse(http.StatusNotFound, "tenant-not-found", "Tenant not found")
	case errors.Is(err, ErrNoTenant):
		return refuse(http.StatusBadRequest, "tenant-required", "The request names no tenant")
	default:
		return later("tenant-unavailable", "The tenant cannot be determined at present")
	}
}

func statusProblem(status Status) problem.Problem {
	switch status {
	case StatusProvisioning:
		return later("tenant-provisioning", "The tenant is being set up")
	case StatusReadOnly:
		return refuse(http.StatusForbidden, "tenant-read-only", "The tenant is read-only")
	case StatusSuspended:
		return refuse(http.StatusForbidden, "tenant-suspended", "The tenant is suspended")
	case StatusDeleted:
		return refuse(http.StatusGone, "tenant-deleted", "The tenant was deleted")
	default: // a status that this package does not know
		return later("tenant-unavailable", "The tenant cannot be determined at present")
	}
}

func refuse(status int, name, title string) problem.Problem {
	return problem.Problem{Type: problem.Type(name), Title: title, Status: status}
}

func later(name, title string) problem.Problem {
	p := refuse(http.StatusServiceUnavailable, name, title)
	p.RetryAfter = comeBack
	return p
}
