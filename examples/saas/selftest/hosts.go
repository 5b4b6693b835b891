package selftest

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/tenancy-go/tenancy/tenant"
)

// hosts checks names that nobody has, and other spellings of those that somebody has.
func (t *run) hosts() {
	t.section("Hosts")
	unknown := t.get(t.ctx, bySubdomain("nobody"), "/")
	t.check("an unknown workspace is 404", unknown.want(http.StatusNotFound, "There is no workspace at this address"))
	t.check("for programs as problem details", t.isProblem())
	nobody := []place{
		{host: "www.localhost"}, {host: "admin.localhost"}, {host: "a.acme.localhost"}, {host: "-acme.localhost"},
		{host: "xn--acme.localhost"}, {host: "evil.example"}, {host: "acme.evil.example"}, {host: "acme.localhost.evil.example"},
		{host: "evil.example", base: "/t/acme"}, {host: "www.localhost", base: "/t/acme"},
		byPath("nobody"), byPath("admin"), byPath("-acme"), byPath("acme.globex"), byPath("acme%2fx"),
	}
	for _, at := range nobody {
		t.check(at.String()+"/ looks the same, to the byte", t.get(t.ctx, at, "/").same(unknown))
	}
	for _, host := range []string{"ACME.localhost", "acme.localhost."} {
		t.check(host+" is acme", t.get(t.ctx, place{host: host}, "/").want(http.StatusOK, "Acme Robotics"))
	}
}

func (t *run) isProblem() error {
	p := t.get(t.ctx, bySubdomain("nobody"), "/", asProgram)
	if kind := p.header.Get("Content-Type"); kind != "application/problem+json" {
		return fmt.Errorf("want problem details, got %s", kind)
	}
	return p.want(http.StatusNotFound, "tenant-not-found")
}

// statuses checks that a tenant's status counts from the moment it is set.
func (t *run) statuses() {
	t.section("Status")
	const slug = "by-path"
	id, err := t.converse(bySubdomain(slug), "echo", "kept")
	t.check("a workspace with a conversation", err)
	conversation := "/conversations/" + id

	t.check("suspended: 403 for reads and writes, at both addresses", errors.Join(
		t.setStatus(slug, tenant.StatusSuspended),
		t.get(t.ctx, bySubdomain(slug), conversation).want(http.StatusForbidden, "suspended"),
		t.get(t.ctx, byPath(slug), "/", asProgram).want(http.StatusForbidden, "tenant-suspended"),
		t.say(slug, conversation).want(http.StatusForbidden)))
	t.check("the others go on", t.get(t.ctx, bySubdomain("acme"), "/").want(http.StatusOK))
	t.check("read-only: pages say so and offer no form", errors.Join(
		t.setStatus(slug, tenant.StatusReadOnly),
		t.get(t.ctx, bySubdomain(slug), conversation).want(http.StatusOK, "read-only", "kept"),
		t.get(t.ctx, bySubdomain(slug), conversation).lacks("<form")))
	t.check("read-only: writes are 403", errors.Join(
		t.say(slug, conversation).want(http.StatusForbidden, "read-only"),
		t.post(t.ctx, byPath(slug), conversation+"/delete", nil, asProgram).want(http.StatusForbidden, "tenant-read-only")))
	t.check("active again: nothing was changed meanwhile, and writes work", errors.Join(
		t.setStatus(slug, tenant.StatusActive),
		t.get(t.ctx, bySubdomain(slug), conversation).want(http.StatusOK, "2 messages"),
		t.say(slug, conversation).want(http.StatusSeeOther)))
	t.check("removed: 410, and its address is not given to others", errors.Join(
		t.remove(slug),
		t.get(t.ctx, bySubdomain(slug), conversation).want(http.StatusGone, "was closed"),
		t.get(t.ctx, byPath(slug), "/").want(http.StatusGone),
		t.refused(application(slug), "This address is taken")))
}

func (t *run) say(slug, conversation string) page {
	return t.post(t.ctx, bySubdomain(slug), conversation+"/messages", map[string][]string{"model": {"echo"}, "text": {"more"}})
}

func (t *run) setStatus(slug string, status tenant.Status) error {
	record, err := t.find(t.ctx, slug)
	if err != nil {
		return err
	}
	record.Status = status
	_, err = t.instance.Store.Update(t.ctx, record)
	return err
}

func (t *run) remove(slug string) error {
	record, err := t.find(t.ctx, slug)
	if err != nil {
		return err
	}
	return t.instance.Remove(t.ctx, record)
}
