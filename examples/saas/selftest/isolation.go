package selftest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// nobodys is an ID that no tenant has.
const nobodys = "zzzzzzzzzzzzzzzzzzzzzzzzzz"

// belongings are what one tenant has, and a word that is in all of it.
type belongings struct{ conversation, document, secret string }

// isolation tries everything that is one tenant's at another, in every way that a
// request can name a tenant.
func (t *run) isolation() {
	t.section("Isolation: acme's IDs tried at globex")
	acme, err := t.acquire("acme")
	t.check("acme has a conversation and a document with a secret", err)
	before := t.totals("globex")

	for _, at := range []place{bySubdomain("globex"), byPath("globex")} {
		t.check(fmt.Sprintf("%s: no list, page or figure shows the secret", at), t.searchFor(at, acme.secret))
		for _, d := range t.disguises() {
			t.check(fmt.Sprintf("%s, %s: 404, the same to the byte as an unknown ID", at, d.what), t.tryAll(at, d.changes))
		}
		t.check(fmt.Sprintf("%s: IDs made of SQL and wildcards are unknown too", at), t.tryOdd(at))
	}
	t.check("acme's path does nothing on globex's host", t.tryPaths(acme))
	t.check("what acme had is untouched", t.untouched(acme))
	t.check("nothing was counted as globex's usage", equal(t.totals("globex"), before))
}

// acquire gives a workspace a conversation and a document.
func (t *run) acquire(slug string) (belongings, error) {
	b := belongings{secret: "secret" + strings.ToLower(rand.Text())}
	var err, err2 error
	b.conversation, err = t.converse(bySubdomain(slug), "echo", "The word is "+b.secret)
	b.document, err2 = t.file(bySubdomain(slug), "About "+b.secret, b.secret+" is the word.")
	return b, errors.Join(err, err2)
}

// disguise makes requests claim to be acme's.
type disguise struct {
	what    string
	changes []change
}

// disguises are the ways to claim it by everything but the address.
func (t *run) disguises() []disguise {
	acme, err := t.find(t.ctx, "acme")
	if err != nil {
		t.check("acme is in the registry", err)
	}
	id := acme.ID.String()
	query := func(r *http.Request) { r.URL.RawQuery = "tenant=acme&tenant_id=" + id }
	return []disguise{
		{"plainly", nil},
		{"as an API client", []change{asProgram}},
		{"as a stream", []change{header("Accept", "text/event-stream")}},
		{"with acme's cookies", []change{header("Cookie", "tenant=acme; tenant_id="+id+"; slug=acme")}},
		{"with a query", []change{query}},
		{"with tenant headers", []change{header("X-Tenant", "acme"), header("X-Tenant-ID", id), header("X-Tenant-Slug", "acme")}},
		{"as if behind a proxy", []change{header("X-Forwarded-Host", "acme.localhost"), header("Forwarded", "host=acme.localhost"), header("X-Forwarded-Prefix", "/t/acme")}},
		{"with a rewritten path", []change{header("X-Original-URL", "/t/acme/"), header("X-Rewrite-URL", "/t/acme/")}},
		{"with a token", []change{header("Authorization", "Bearer acme"), header("X-API-Key", id)}},
	}
}

// attempt is a request about something of one tenant.
type attempt struct {
	method, path string
	form         url.Values
}

// attempts are all requests that take an ID.
func attempts(conversation, document string) []attempt {
	prompt := url.Values{"model": {"echo"}, "text": {"overheard"}}
	return []attempt{
		{http.MethodGet, "/conversations/" + conversation, nil},
		{http.MethodPost, "/conversations/" + conversation + "/messages", prompt},
		{http.MethodPost, "/conversations/" + conversation + "/delete", url.Values{}},
		{http.MethodGet, "/documents/" + document, nil},
		{http.MethodPost, "/documents/" + document + "/summary", url.Values{}},
		{http.MethodPost, "/documents/" + document + "/delete", url.Values{}},
	}
}

// tryAll makes each attempt with IDs of things that acme just made and with nobody's,
// and compares. It makes all of them, then looks whether acme's things are untouched.
func (t *run) tryAll(at place, changes []change) error {
	acme, first := t.acquire("acme")
	unknown := attempts(nobodys, nobodys)
	for i, a := range attempts(acme.conversation, acme.document) {
		got := t.send(t.ctx, a.method, at, a.path, a.form, changes)
		nobody := t.send(t.ctx, a.method, at, unknown[i].path, a.form, changes)
		if err := errors.Join(got.want(http.StatusNotFound), got.same(nobody)); err != nil && first == nil {
			first = fmt.Errorf("%s %s: %w", a.method, a.path, err)
		}
	}
	return errors.Join(first, t.untouched(acme))
}

// tryOdd makes each attempt with IDs that would select anything if they were not
// taken as plain values.
func (t *run) tryOdd(at place) error {
	unknown := attempts(nobodys, nobodys)
	for _, id := range []string{"%25", "_", "'%20OR%20'1'='1", "1;DELETE%20FROM%20documents", "%00", "%F0%9F%98%80", "%ff"} {
		for i, a := range attempts(id, id) {
			got := t.send(t.ctx, a.method, at, a.path, a.form, nil)
			if err := got.same(t.send(t.ctx, a.method, at, unknown[i].path, a.form, nil)); err != nil {
				return fmt.Errorf("%s %s: %w", a.method, a.path, err)
			}
		}
	}
	return nil
}

func (t *run) searchFor(at place, secret string) error {
	var all []error
	for _, path := range []string{"/", "/conversations", "/documents", "/usage", "/settings"} {
		p := t.get(t.ctx, at, path)
		all = append(all, p.want(http.StatusOK), p.lacks(secret, "Acme"))
	}
	return errors.Join(all...)
}

// tryPaths looks for a path at globex's address that leads to acme.
func (t *run) tryPaths(acme belongings) error {
	below := "/conversations/" + acme.conversation
	tries := []struct {
		at   place
		path string
	}{
		{bySubdomain("globex"), "/t/acme" + below},
		{bySubdomain("globex"), "/../t/acme" + below},
		{byPath("globex"), "/../acme" + below},
		{byPath("globex"), "/%2e%2e/acme" + below},
		{byPath("globex"), "/..%2facme" + below},
		{byPath("globex"), "/t/acme" + below},
		{byPath("globex"), "%2f..%2facme" + below},
		{byPath("globex"), "//acme.localhost" + below},
		{place{host: "localhost"}, "/t/globex" + below},
		{place{host: "localhost"}, "/t/%61cme%2f.." + below},
		{place{host: "localhost"}, "/t/" + below},
		{place{host: "localhost"}, below},
	}
	for _, try := range tries {
		p := t.get(t.ctx, try.at, try.path)
		if err := errors.Join(p.want(http.StatusNotFound), p.lacks(acme.secret)); err != nil {
			return fmt.Errorf("%s%s: %w", try.at, try.path, err)
		}
	}
	return nil
}

func (t *run) untouched(acme belongings) error {
	thread := t.get(t.ctx, bySubdomain("acme"), "/conversations/"+acme.conversation)
	document := t.get(t.ctx, byPath("acme"), "/documents/"+acme.document)
	return errors.Join(
		thread.want(http.StatusOK, "2 messages", acme.secret), thread.lacks("overheard"),
		document.want(http.StatusOK, acme.secret, "Not summarised yet"))
}
