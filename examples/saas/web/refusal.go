package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/examples/saas/workspace"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// refusal is what a plan refuses, for people.
type refusal struct {
	Status  int
	Text    string
	Upgrade bool // another plan may help
}

// explain says why a plan refused something. Model is the one that was asked, and
// holder the title of the smallest plan that has it.
func explain(e *quota.Error, plan *quota.Resolved, model, holder string) refusal {
	limit := plan.Limits[e.Limit()]
	the := plan.Title + " plan"
	switch e.Cause() {
	case quota.CauseLimit:
		return refusal{http.StatusTooManyRequests, spent(e, the), true}
	case quota.CauseBusy:
		return refusal{http.StatusTooManyRequests, fmt.Sprintf(
			"The %s writes %s at a time. Wait until one is done, and send this again.", the, amount(e.Limit(), limit.Max)), true}
	case quota.CauseStock:
		return refusal{forGood(limit), fmt.Sprintf(
			"The %s keeps %s, and there is no room for this. Delete a document to make some.", the, amount(e.Limit(), limit.Max)), true}
	case quota.CauseTooLarge:
		return refusal{forGood(limit), fmt.Sprintf("This takes more than all that the %s has: %s.", the, whole(e, limit)), true}
	case quota.CauseNotInPlan:
		return refusal{http.StatusForbidden, missing(e, the, model, holder), true}
	default:
		return refusal{http.StatusServiceUnavailable, unavailableText, false}
	}
}

const unavailableText = "We cannot look up what your plan has right now. Try again in a moment."

// spent says that a window has no room, and when to come back.
func spent(e *quota.Error, the string) string {
	window, _ := e.Window()
	units, state := amount(e.Limit(), window.Limit), "they are used up"
	if _, model, ok := strings.Cut(e.Limit(), "/"); ok {
		units = plural(int(window.Limit), "answer") + " of " + model
	}
	if e.Limit() == workspace.LimitWords {
		state = "too few are left for this"
	}
	return fmt.Sprintf("The %s has %s %s, and %s. Try again %s.", the, units, each(window.Per), state, until(e.RetryAfter(), window))
}

// missing says what a plan does not have.
func missing(e *quota.Error, the, model, holder string) string {
	if set, _, _ := strings.Cut(e.Limit(), "/"); set != workspace.SetModels || holder == "" {
		return "The " + the + " does not have this."
	}
	return fmt.Sprintf("The %s does not have the model %s. It comes with %s.", the, model, holder)
}

// whole says what all of a limit is.
func whole(e *quota.Error, limit quota.Limit) string {
	if window, ok := e.Window(); ok {
		return amount(e.Limit(), window.Limit) + " " + each(window.Per)
	}
	return amount(e.Limit(), limit.Max)
}

// forGood is the status where waiting does not help.
func forGood(limit quota.Limit) int {
	if limit.Payment {
		return http.StatusPaymentRequired
	}
	return http.StatusForbidden
}

// Refuse answers a request that the tenant's plan did not let in: with a page for
// browsers, with a sentence where an answer was to be streamed, with problem details
// for programs.
func (m *Room) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	m.ui.log.InfoContext(r.Context(), "refused by plan", "method", r.Method, "host", r.Host, "path", r.URL.Path, "error", err)
	w.Header().Add("Vary", "Accept")
	why := m.explain(r.Context(), err, "")
	switch {
	case wantsStream(r):
		say(w, why, err)
	case !wantsPage(r):
		quota.WriteError(w, r, err)
	default:
		t, _ := tenant.FromContext(r.Context())
		retryAfter(w, err)
		page := errorPage{Text: why.Text, Theme: fmt.Sprintf("%s/theme.css?v=%d", base(r), t.Version)}
		if why.Upgrade {
			page.Link, page.LinkText = base(r)+"/usage", "Usage and plans"
		}
		m.ui.failWith(w, r, why.Status, page)
	}
}

// explain is explain for the tenant of ctx.
func (m *Room) explain(ctx context.Context, err error, model string) refusal {
	var denied *quota.Error
	account, unknown := m.plans.enforcer.Account(ctx)
	if unknown != nil || !errors.As(err, &denied) {
		return refusal{http.StatusServiceUnavailable, unavailableText, false}
	}
	all, _ := m.plans.all(ctx) // without them nobody is named who has the model
	return explain(denied, account.Plan(), model, with(all, model))
}

// refused answers a form that err refused. What is wrong with the input, or what the
// plan does not have, is shown by show next to what was typed.
func (m *Room) refused(w http.ResponseWriter, r *http.Request, err error, model string, typed draft, show func(status int, typed draft)) {
	var invalid *workspace.InputError
	var denied *quota.Error
	var why refusal
	switch {
	case errors.As(err, &invalid):
		why = refusal{Status: http.StatusUnprocessableEntity, Text: invalid.Reason}
		typed.Faults = map[string]string{invalid.Field: why.Text}
	case errors.As(err, &denied) && !wantsPage(r) && !wantsStream(r):
		quota.WriteError(w, r, err)
		return
	case errors.As(err, &denied):
		why = m.explain(r.Context(), err, model)
		typed.Faults, typed.Upgrade = map[string]string{"plan": why.Text}, why.Upgrade
	default:
		m.ui.failure(w, r, err)
		return
	}
	if wantsStream(r) {
		say(w, why, err)
		return
	}
	retryAfter(w, err)
	show(why.Status, typed)
}

// say answers with a sentence, which the script shows next to the form.
func say(w http.ResponseWriter, why refusal, err error) {
	retryAfter(w, err)
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, why.Text, why.Status)
}

// retryAfter tells programs when to come back, if err says so.
func retryAfter(w http.ResponseWriter, err error) {
	var denied *quota.Error
	switch {
	case errors.As(err, &denied) && denied.RetryAfter() > 0:
		w.Header().Set("Retry-After", strconv.Itoa(ceil(denied.RetryAfter(), time.Second)))
	case errors.Is(err, quota.ErrUnavailable):
		w.Header().Set("Retry-After", "5")
	}
}

func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

func wantsStream(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}
