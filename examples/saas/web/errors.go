package web

import (
	"context"
	"errors"
	"net/http"

	"github.com/tenancy-go/tenancy/examples/saas/workspace"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// errorPage is what a page about a failure shows. It names neither the address that
// was asked for nor the tenant, so that all failures of a kind look the same.
type errorPage struct {
	Platform Platform
	Status   int
	Title    string
	Text     string
	Theme    string // style sheet of the workspace, where the tenant is known
	Link     string // where there is more to know
	LinkText string
}

var errorTitles = map[int]string{
	http.StatusPaymentRequired:       "No room left",
	http.StatusForbidden:             "Not allowed",
	http.StatusNotFound:              "Nothing here",
	http.StatusRequestEntityTooLarge: "Too much at once",
	http.StatusTooManyRequests:       "Limit reached",
	http.StatusServiceUnavailable:    "One moment",
	http.StatusGone:                  "Closed for good",
}

// fail answers with a page about a failure.
func (u *UI) fail(w http.ResponseWriter, r *http.Request, status int, text string) {
	u.failWith(w, r, status, errorPage{Text: text})
}

// failWith is fail with a page that says more.
func (u *UI) failWith(w http.ResponseWriter, r *http.Request, status int, page errorPage) {
	title, ok := errorTitles[status]
	if !ok {
		title = "Something went wrong"
	}
	page.Platform, page.Status, page.Title = u.about, status, title
	u.render(w, r, status, "error", "error", page)
}

const notFoundText = "It may have been deleted, or the address has a typo. Check it and try again."

// NotFound answers 404.
func (u *UI) NotFound(w http.ResponseWriter, r *http.Request) {
	u.fail(w, r, http.StatusNotFound, notFoundText)
}

// Refuse answers a request that tenant.Gate did not let in: with a page for
// browsers, with problem details for programs. An unknown tenant looks like one whose
// name is malformed.
func (u *UI) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	u.log.InfoContext(r.Context(), "refused", "method", r.Method, "host", r.Host, "path", r.URL.Path, "error", err)
	w.Header().Add("Vary", "Accept")
	if !wantsPage(r) {
		tenant.WriteError(w, r, err)
		return
	}
	var refused *tenant.StatusError
	switch {
	case errors.As(err, &refused):
		u.refuseStatus(w, r, refused.Status)
	case errors.Is(err, tenant.ErrNotFound), errors.Is(err, tenant.ErrNoTenant), errors.Is(err, tenant.ErrInvalid),
		errors.Is(err, tenant.ErrInvalidID), errors.Is(err, tenant.ErrDisagree), errors.Is(err, tenant.ErrForeign):
		u.fail(w, r, http.StatusNotFound, "There is no workspace at this address. Check it and try again.")
	default:
		u.fail(w, r, http.StatusServiceUnavailable, "We cannot look workspaces up right now. Try again in a moment.")
	}
}

// RefuseAddress answers a request from an address that sent too many.
func (u *UI) RefuseAddress(w http.ResponseWriter, r *http.Request, err error) {
	u.log.InfoContext(r.Context(), "address refused", "method", r.Method, "host", r.Host, "path", r.URL.Path, "error", err)
	if !wantsPage(r) {
		quota.WriteError(w, r, err)
		return
	}
	retryAfter(w, err)
	u.fail(w, r, http.StatusTooManyRequests, "More requests came from your address than we answer in a minute. Wait a moment, and try again.")
}

func (u *UI) refuseStatus(w http.ResponseWriter, r *http.Request, status tenant.Status) {
	switch status {
	case tenant.StatusReadOnly:
		u.fail(w, r, http.StatusForbidden, "This workspace is read-only for now, so nothing was changed.")
	case tenant.StatusSuspended:
		u.fail(w, r, http.StatusForbidden, "This workspace is suspended. Its owner can tell you more.")
	case tenant.StatusDeleted:
		u.fail(w, r, http.StatusGone, "This workspace was closed, and what was in it is gone.")
	default:
		w.Header().Set("Retry-After", "5")
		u.fail(w, r, http.StatusServiceUnavailable, "This workspace is being made ready. Try again in a few seconds.")
	}
}

// failure answers a request that err stopped. What another tenant has looks like what
// nobody has, since the database shows neither.
func (u *UI) failure(w http.ResponseWriter, r *http.Request, err error) {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, workspace.ErrNotFound):
		u.NotFound(w, r)
	case errors.As(err, &tooLarge):
		u.fail(w, r, http.StatusRequestEntityTooLarge, "That is more than a workspace keeps in one piece. Try a shorter text.")
	case errors.Is(err, isolation.ErrLimit), errors.Is(err, isolation.ErrTenantBusy):
		w.Header().Set("Retry-After", "5")
		u.fail(w, r, http.StatusServiceUnavailable, "This took longer than your plan lets it take. Try again in a moment.")
	case errors.Is(err, quota.ErrUnavailable):
		retryAfter(w, err)
		u.fail(w, r, http.StatusServiceUnavailable, unavailableText)
	case errors.Is(err, context.Canceled):
		return // nobody is left to answer
	default:
		u.log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		u.fail(w, r, http.StatusInternalServerError, "This is our fault, and it is in our log. Try again in a moment.")
	}
}
