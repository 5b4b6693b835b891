package selftest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/tenancy-go/tenancy/tenant"
)

// newcomer is the workspace that the test signs up.
const newcomer = "initech"

func application(slug string) url.Values {
	return url.Values{"name": {"Initech & Söhne"}, "slug": {slug}, "email": {"peter@initech.example"}, "accent": {"#c77700"}}
}

// with returns the form with one field changed.
func with(form url.Values, field, value string) url.Values {
	form.Set(field, value)
	return form
}

// signUp checks the way from the form to the workspace.
func (t *run) signUp() {
	t.section("Sign-up")
	t.check("form", t.get(t.ctx, platform, "/signup").want(http.StatusOK, `name="slug"`, `name="email"`, "."+"localhost:"+t.port))
	t.refusals()
	t.forgeries()

	made := t.post(t.ctx, platform, "/signup", application(newcomer))
	t.check("a good form makes the workspace and goes there", made.redirects("//"+newcomer+".localhost:"+t.port+"/"))
	t.check("it has its name, and no rows of others", t.isFresh(bySubdomain(newcomer)))
	t.check("it has its colour", t.get(t.ctx, bySubdomain(newcomer), "/theme.css").want(http.StatusOK, "--accent:#c77700"))
	t.check("the same form again is refused: taken", t.refused(application(newcomer), "This address is taken"))
	t.check("by IP address it goes to the path", t.post(t.ctx, place{host: "127.0.0.1"}, "/signup", application("by-path")).redirects("/t/by-path/"))
	t.check("an address that was unknown a moment ago opens at once", t.unknownThenMade())
	t.check("ten at once for one address: one workspace", t.race())
	t.check("an attempt that was cut short is 503, refused to others, and finished by its owner", t.resume())
}

// refusals checks that bad forms are answered with what is wrong, field by field.
func (t *run) refusals() {
	refused := []struct{ what, field, value, reason string }{
		{"a taken address", "slug", "acme", "This address is taken"},
		{"a taken address in capitals", "slug", " ACME ", "This address is taken"},
		{"a reserved address", "slug", "admin", "is reserved"},
		{"a malformed address (space)", "slug", "my team", "Use letters a–z"},
		{"a malformed address (hyphen in front)", "slug", "-team", "Use letters a–z"},
		{"a malformed address (path)", "slug", "../acme", "Use letters a–z"},
		{"a malformed address (dot)", "slug", "www.acme", "Use letters a–z"},
		{"a malformed address (punycode)", "slug", "xn--bcher-kva", "Use letters a–z"},
		{"a malformed address (64 letters)", "slug", strings.Repeat("a", 64), "Use letters a–z"},
		{"no address", "slug", "", "Choose an address"},
		{"no name", "name", " ", "Give your workspace a name"},
		{"no e-mail address", "email", "", "Enter an e-mail address"},
		{"a malformed e-mail address", "email", "peter", "does not look like an e-mail address"},
		{"a colour that is none", "accent", "red;}*{display:none", "Choose one of the colours"},
	}
	for _, r := range refused {
		t.check(r.what+" is refused", t.refused(with(application("refused"), r.field, r.value), r.reason))
	}
	everything := t.post(t.ctx, platform, "/signup", url.Values{})
	t.check("an empty form shows every fault at once, at its field",
		everything.want(http.StatusUnprocessableEntity, `id="name-fault"`, `id="slug-fault"`, `id="email-fault"`, `aria-invalid="true"`))
	t.check("what was typed is escaped", t.post(t.ctx, platform, "/signup", with(application("-"), "name", `"><b>x`)).lacks("<b>x"))
	t.check("refused forms made nothing", t.get(t.ctx, bySubdomain("refused"), "/").want(http.StatusNotFound))
}

func (t *run) refused(form url.Values, reason string) error {
	return t.post(t.ctx, platform, "/signup", form).want(http.StatusUnprocessableEntity, reason)
}

// forgeries checks that forms on other sites' pages, other tenants' included, do
// nothing.
func (t *run) forgeries() {
	const path = "/documents"
	form := url.Values{"title": {"forged"}, "text": {"forged"}}
	oldBrowser := func(r *http.Request) {
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", "http://globex.localhost:"+t.port)
	}
	for _, elsewhere := range []struct {
		from   string
		forged change
	}{
		{"another site", header("Sec-Fetch-Site", "cross-site")},
		{"another tenant's pages", header("Sec-Fetch-Site", "same-site")},
		{"another origin, from an old browser", oldBrowser},
	} {
		t.check("a form from "+elsewhere.from+" is refused (CSRF)", errors.Join(
			t.post(t.ctx, platform, "/signup", application("forged"), elsewhere.forged).want(http.StatusForbidden),
			t.post(t.ctx, bySubdomain("acme"), path, form, elsewhere.forged).want(http.StatusForbidden)))
	}
	t.check("forged forms did nothing", errors.Join(
		t.get(t.ctx, bySubdomain("forged"), "/").want(http.StatusNotFound),
		t.get(t.ctx, bySubdomain("acme"), path).lacks("forged")))
}

func (t *run) isFresh(at place) error {
	home := t.get(t.ctx, at, "/")
	return errors.Join(
		home.want(http.StatusOK, "Initech &amp; Söhne", "Nothing yet"),
		home.lacks("gripper", "sensors"))
}

func (t *run) unknownThenMade() error {
	const slug = "moments-ago"
	return errors.Join(
		t.get(t.ctx, bySubdomain(slug), "/").want(http.StatusNotFound),
		t.post(t.ctx, platform, "/signup", application(slug)).want(http.StatusSeeOther),
		t.get(t.ctx, bySubdomain(slug), "/").want(http.StatusOK))
}

// race sends ten forms for one address at once. Whoever asked may find it made or
// taken; it must exist once, and work.
func (t *run) race() error {
	const slug = "sought-after"
	answers := make([]page, 10)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			form := with(application(slug), "email", fmt.Sprintf("racer-%d@example.com", i))
			answers[i] = t.post(t.ctx, platform, "/signup", form)
		})
	}
	all.Wait()
	made := 0
	for _, answer := range answers {
		switch answer.status {
		case http.StatusSeeOther:
			made++
		case http.StatusUnprocessableEntity:
		default:
			return fmt.Errorf("unexpected answer %d: %w", answer.status, answer.err)
		}
	}
	if made != 1 {
		return fmt.Errorf("want one maker, got %d", made)
	}
	return t.isFresh(bySubdomain(slug))
}

// resume puts the registry where a crash right after the claim leaves it.
func (t *run) resume() error {
	const slug = "cut-short"
	form := application(slug)
	_, err := t.instance.Store.Create(t.ctx, tenant.Tenant{
		ID: tenant.NewID(), Slug: slug, Name: form.Get("name"), Contact: tenant.Contact{Email: form.Get("email")},
		Status: tenant.StatusProvisioning,
	})
	if err != nil {
		return err
	}
	waiting := t.get(t.ctx, bySubdomain(slug), "/")
	if err := waiting.want(http.StatusServiceUnavailable, "being made ready"); err != nil {
		return err
	}
	if waiting.header.Get("Retry-After") == "" {
		return errors.New("no Retry-After")
	}
	return errors.Join(
		t.refused(with(application(slug), "email", "milton@initech.example"), "This address is taken"),
		t.post(t.ctx, platform, "/signup", form).want(http.StatusSeeOther),
		t.isFresh(bySubdomain(slug)))
}

// find returns the record of a workspace.
func (t *run) find(ctx context.Context, slug string) (tenant.Tenant, error) {
	return t.instance.Store.Find(ctx, tenant.BySlug(slug))
}
