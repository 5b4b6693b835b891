package selftest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/quota"
)

// Roomy is what tenants get beside their plan that make many requests in a second.
func Roomy() quota.Document {
	return patch(`{"limits": {"requests": {"windows": {"minute": 1000000, "hour": 1000000, "day": {"limit": 1000000}}},
		"documents": {"max": 10000}, "words": {"windows": {"day": {"limit": 1000000}}}, "streams": {"max": 100}},
		"resources": {"models": {"limits": {"summarise": {"windows": {"day": {"limit": 1000000}}}}}}}`)
}

// patch returns a part of a plan, which is written in JSON.
func patch(text string) quota.Document {
	document, err := quota.ParseDocument([]byte(text))
	if err != nil {
		panic(err) // the texts are constants
	}
	return document
}

// allow gives a workspace something beside its plan. Saving its record makes it count
// with the next request.
func (t *run) allow(slug string, what quota.Document) error {
	record, err := t.find(t.ctx, slug)
	if err != nil {
		return err
	}
	if err := t.instance.Override(quota.Override{Tenant: record.ID, ID: "selftest", Reason: "self-test", Patch: what}); err != nil {
		return err
	}
	_, err = t.instance.Store.Update(t.ctx, record)
	return err
}

// limits checks what plans allow, on workspaces of their own.
func (t *run) limits() {
	t.section("Plans and limits")
	for _, slug := range []string{"small", "busy", "calm"} {
		t.check("a workspace "+slug, t.post(t.ctx, platform, "/signup", application(slug)).want(http.StatusSeeOther))
	}
	t.plans()
	t.requests()
	t.models()
	t.documentsFull()
	t.streams()
}

// policyOf is the field that tells what the plan allows.
func policyOf(minute, hour, day int) string {
	return fmt.Sprintf(`"requests-minute";q=%d;w=60, "requests-hour";q=%d;w=3600, "requests-day";q=%d;w=86400`, minute, hour, day)
}

var left = regexp.MustCompile(`^"requests-[a-z]+";r=\d+;t=\d+$`)

func (t *run) plans() {
	at := bySubdomain("small")
	t.check("free: 60 a minute, 1,000 an hour, 10,000 a day, and what is left", t.has(at, policyOf(60, 1000, 10_000)))
	t.check("the usage page shows limits, what is left, and all plans", t.get(t.ctx, at, "/usage").
		want(http.StatusOK, "of 60", "of 1,000", "of 10,000", "0 bytes of 1 MB", "Your plan", "Change to Pro", "Change to Business"))
	for _, plan := range []struct {
		name              string
		minute, hour, day int
	}{{"pro", 300, 10_000, 100_000}, {"business", 1000, 50_000, 1_000_000}, {"free", 60, 1000, 10_000}} {
		t.check("a change to "+plan.name+" counts from the next request on", errors.Join(
			t.change(at, plan.name), t.has(at, policyOf(plan.minute, plan.hour, plan.day))))
	}
	t.check("an unknown plan is refused", t.post(t.ctx, at, "/settings", url.Values{"plan": {"gold"}}).want(http.StatusUnprocessableEntity))
}

func (t *run) change(at place, plan string) error {
	return t.post(t.ctx, at, "/settings", url.Values{"plan": {plan}}).redirects(at.base + "/usage#plan")
}

func (t *run) has(at place, policy string) error {
	p := t.get(t.ctx, at, "/documents")
	if got := p.header.Get("RateLimit-Policy"); got != policy {
		return fmt.Errorf("want the policy %s, got %s: %w", policy, got, p.err)
	}
	if got := p.header.Get("RateLimit"); !left.MatchString(got) {
		return fmt.Errorf("RateLimit: %q", got)
	}
	return p.want(http.StatusOK)
}

// requests checks a workspace that has used its requests up.
func (t *run) requests() {
	const most = 5
	at := bySubdomain("busy")
	t.check("a plan for few requests", t.allow("busy", patch(`{"limits": {"requests": {"windows": {"minute": 5, "hour": 5}}}}`)))
	for range 2 * most { // a minute may begin meanwhile
		t.get(t.ctx, at, "/documents")
	}
	page, program := t.get(t.ctx, at, "/"), t.get(t.ctx, byPath("busy"), "/", asProgram)
	t.check("then requests are refused with 429, and say when to come back", errors.Join(
		page.want(http.StatusTooManyRequests, "Limit reached", "5 requests", "Try again in", `href="/usage"`, `href="/theme.css`),
		selfContained(page), comesBack(page)))
	t.check("for programs as problem details", errors.Join(
		program.want(http.StatusTooManyRequests, `"violated-policies"`), comesBack(program),
		equals("Content-Type", program.header.Get("Content-Type"), "application/problem+json")))
	t.check("how it looks and what it used can still be seen", errors.Join(
		t.get(t.ctx, at, "/theme.css").want(http.StatusOK), t.get(t.ctx, at, "/usage").want(http.StatusOK, "Used up"),
		t.allow("busy", patch(`{"limits": {"requests": {"windows": {"minute": 1, "hour": 1}}}}`)), // less than was used
		t.get(t.ctx, at, "/usage").want(http.StatusOK, "Used up"), t.get(t.ctx, at, "/").want(http.StatusTooManyRequests)))
	t.check("another workspace notices nothing", t.get(t.ctx, bySubdomain("calm"), "/documents").want(http.StatusOK))
	t.check("with more in its plan it goes on at once", errors.Join(
		t.allow("busy", Roomy()), t.get(t.ctx, at, "/").want(http.StatusOK)))
}

func comesBack(p page) error {
	if p.header.Get("Retry-After") == "" {
		return errors.New("no Retry-After")
	}
	return nil
}

func equals(what, got, want string) error {
	if got != want {
		return fmt.Errorf("%s: want %s, got %s", what, want, got)
	}
	return nil
}

// models checks the models and the words that a plan has.
func (t *run) models() {
	at := bySubdomain("small")
	outline := url.Values{"model": {"outline"}, "text": {"One thing. Another thing."}}
	t.check("a model that the plan lacks is shown locked, with the plan that has it", t.get(t.ctx, at, "/").
		want(http.StatusOK, `value="outline" disabled`, `outline <b class="badge">Pro</b>`))
	refused := t.post(t.ctx, at, "/conversations", outline)
	t.check("and refused with 403, next to what was typed", refused.
		want(http.StatusForbidden, "The Free plan does not have the model outline. It comes with Pro.", "Another thing.</textarea>"))
	t.check("for programs as problem details", t.post(t.ctx, at, "/conversations", outline, asProgram).want(http.StatusForbidden, "not-in-plan"))
	t.check("with Pro it answers", errors.Join(
		t.change(at, "pro"), t.post(t.ctx, at, "/conversations", outline).want(http.StatusSeeOther), t.change(at, "free")))
	t.check("a day's words: what a prompt and its reply took, and no more", errors.Join(
		t.allow("small", patch(`{"limits": {"words": {"windows": {"day": {"limit": 100}}}}}`)), t.words(at)))
}

// words asks for more and more words until they are used up.
func (t *run) words(at place) error {
	ask := func(words int) page {
		return t.post(t.ctx, at, "/conversations", url.Values{"model": {"echo"}, "text": {strings.Repeat("word ", words)}})
	}
	return errors.Join(
		ask(30).want(http.StatusSeeOther),
		ask(30).want(http.StatusTooManyRequests, "too few are left", "Try again"),
		t.get(t.ctx, at, "/usage").want(http.StatusOK, "of 100"),
		ask(51).want(http.StatusForbidden, "more than all that the Free plan has"))
}

// documentsFull checks a workspace that keeps as much as it may.
func (t *run) documentsFull() {
	at := bySubdomain("calm")
	t.check("a plan for one document", t.allow("calm", patch(`{"limits": {"documents": {"max": 1}, "storage": {"max": 100}}}`)))
	first, err := t.file(at, "One", "The first.")
	t.check("the first is kept", err)
	second := url.Values{"title": {"Two"}, "text": {"The second."}}
	t.check("the second is refused with 402, next to what was typed", t.post(t.ctx, at, "/documents", second).
		want(http.StatusPaymentRequired, "keeps 1 document", "The second.</textarea>", `href="/usage#plan"`))
	t.check("a deleted one makes room", errors.Join(
		t.post(t.ctx, at, "/documents/"+first+"/delete", nil).want(http.StatusSeeOther),
		t.post(t.ctx, at, "/documents", second).want(http.StatusSeeOther)))
	t.check("the usage page shows it full", t.get(t.ctx, at, "/usage").want(http.StatusOK, "1 of 1", "Full", "14 bytes of 100 bytes"))
}

// streams checks answers that show word by word.
func (t *run) streams() {
	at := bySubdomain("calm")
	id, err := t.converse(at, "echo", "Begin.")
	t.check("a conversation to stream in", err)
	path := "/conversations/" + id + "/messages"
	long := url.Values{"model": {"echo"}, "text": {strings.Repeat("slow ", 400)}}

	t.check("a reply streams from its first word on, and is left early", t.stream(at, path, long, func() {
		refused := t.post(t.ctx, at, path, long, header("Accept", "text/event-stream"))
		t.check("meanwhile one more than the plan has at a time is refused with a sentence", errors.Join(
			refused.want(http.StatusTooManyRequests, "The Free plan writes 1 answer at a time"), comesBack(refused)))
		t.check("it shows on the usage page", t.get(t.ctx, at, "/usage").want(http.StatusOK, "All in use"))
		t.check("another workspace has its own", t.streamsWhole(bySubdomain("small")))
	}))
	t.check("when the browser leaves, another can begin", t.streamsAgain(at, path))
	t.check("and nothing is held", t.get(t.ctx, at, "/usage").lacks("All in use"))
	t.check("what was left early is stored whole, and once", t.get(t.ctx, at, "/conversations/"+id).want(http.StatusOK, "6 messages"))
}

// stream reads the beginning of a reply, and leaves after meanwhile.
func (t *run) stream(at place, path string, form url.Values, meanwhile func()) error {
	ctx, leave := context.WithCancel(t.ctx)
	defer leave()
	resp, err := t.open(ctx, http.MethodPost, at, path, form, []change{header("Accept", "text/event-stream")})
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	event := make([]byte, len(`data: "slow`))
	if _, err := io.ReadFull(resp.Body, event); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %w", resp.StatusCode, err)
	}
	meanwhile()
	return equals("the first event", string(event), `data: "slow`)
}

// streamsWhole reads a short reply to its end.
func (t *run) streamsWhole(at place) error {
	id, err := t.converse(at, "echo", "Hello.")
	if err != nil {
		return err
	}
	p := t.post(t.ctx, at, "/conversations/"+id+"/messages", url.Values{"model": {"echo"}, "text": {"Two <b>words</b>"}}, header("Accept", "text/event-stream"))
	return errors.Join(p.want(http.StatusOK, `data: "Two "`, `words`, "event: done"), p.lacks("<b>"))
}

// streamsAgain waits until the program has noticed that the browser left.
func (t *run) streamsAgain(at place, path string) error {
	ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	short := url.Values{"model": {"echo"}, "text": {"again"}}
	for {
		p := t.post(ctx, at, path, short, header("Accept", "text/event-stream"))
		if p.status != http.StatusTooManyRequests {
			return p.want(http.StatusOK, "event: done")
		}
		time.Sleep(5 * time.Millisecond)
	}
}
