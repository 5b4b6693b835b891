package tenanttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

func createKeeps(ctx context.Context, s tenant.Store) error {
	given := rich("acme")
	given.Status = ""
	given.Version, given.CreatedAt, given.DeletedAt = 7, time.Unix(1, 0), time.Unix(2, 0)
	got, err := s.Create(ctx, given)
	if err != nil {
		return err
	}
	want := rich("acme")
	want.Status, want.Version = tenant.StatusProvisioning, 1
	slices.Sort(want.Domains)
	want.CreatedAt, want.UpdatedAt = got.CreatedAt, got.CreatedAt
	bare, err := s.Create(ctx, withEmptyCollections(active("bare")))
	return steps(
		func() error { return same("create", got, want) },
		func() error { return checkTime("CreatedAt", got.CreatedAt) },
		func() error { return finds(ctx, s, tenant.ByID("acme"), want) },
		func() error { return err },
		func() error {
			if bare.Domains != nil || bare.Settings != nil {
				return errors.New("create: no Domains and no Settings are to be nil")
			}
			return finds(ctx, s, tenant.ByID("bare"), bare)
		})
}

func withEmptyCollections(t tenant.Tenant) tenant.Tenant {
	t.Domains, t.Settings = []string{}, map[string]string{}
	return t
}

func checkTime(field string, t time.Time) error {
	switch {
	case t.IsZero():
		return fmt.Errorf("%s is not set", field)
	case t.Location() != time.UTC:
		return fmt.Errorf("%s is in %s, want UTC", field, t.Location())
	case t != t.Truncate(time.Microsecond):
		return fmt.Errorf("%s is %s, want whole microseconds", field, t)
	}
	return nil
}

func createRefuses(ctx context.Context, s tenant.Store) error {
	for field, change := range invalidChanges() {
		t := rich("acme")
		change(&t)
		_, err := s.Create(ctx, t)
		if err := wantField("create with a bad "+field, err, field, tenant.ErrInvalid); err != nil {
			return err
		}
	}
	deleted := active("acme")
	deleted.Status = tenant.StatusDeleted
	_, err := s.Create(ctx, deleted)
	if err := wantField("create as deleted", err, "Status", tenant.ErrInvalid); err != nil {
		return err
	}
	for _, id := range malformedIDs() {
		t := active("acme")
		t.ID = id
		_, err := s.Create(ctx, t)
		if err := wantErr(fmt.Sprintf("create %q", id), err, tenant.ErrInvalidID); err != nil {
			return err
		}
	}
	return findsNone(ctx, s, tenant.ByID("acme"), tenant.BySlug("acme"))
}

// invalidChanges spoil one field each of a valid tenant.
func invalidChanges() map[string]func(*tenant.Tenant) {
	return map[string]func(*tenant.Tenant){
		"Slug":     func(t *tenant.Tenant) { t.Slug = "Not A Label" },
		"Name":     func(t *tenant.Tenant) { t.Name = "" },
		"Status":   func(t *tenant.Tenant) { t.Status = "asleep" },
		"Plan":     func(t *tenant.Tenant) { t.Plan = "nul\x00" },
		"Region":   func(t *tenant.Tenant) { t.Region = "not UTF-8 \xff" },
		"Parent":   func(t *tenant.Tenant) { t.Parent = t.ID },
		"Domains":  func(t *tenant.Tenant) { t.Domains = []string{"UPPER.example.org"} },
		"Settings": func(t *tenant.Tenant) { t.Settings = map[string]string{"": "no key"} },
	}
}

func malformedIDs() []tenant.ID {
	return []tenant.ID{"", " ", "-a", "A", "a/b", "a'b", "a%", "a_b", "a\x00", "\xff",
		"0123456789012345678901234567890123456789012345678901234567890123"}
}

func createTaken(ctx context.Context, s tenant.Store) error {
	if _, err := create(ctx, s, rich("acme")); err != nil {
		return err
	}
	for field, change := range takenChanges() {
		t := rich("other")
		change(&t)
		_, err := s.Create(ctx, t)
		if err := wantField("create with acme's "+field, err, field, tenant.ErrExists); err != nil {
			return err
		}
	}
	_, err := create(ctx, s, rich("other"))
	return err
}

// takenChanges give a tenant a name of rich("acme").
func takenChanges() map[string]func(*tenant.Tenant) {
	return map[string]func(*tenant.Tenant){
		"ID":      func(t *tenant.Tenant) { t.ID = "acme" },
		"Slug":    func(t *tenant.Tenant) { t.Slug = "acme" },
		"Domains": func(t *tenant.Tenant) { t.Domains = append(t.Domains, "acme.example.org") },
	}
}

func findNames(ctx context.Context, s tenant.Store) error {
	t := rich("id-1")
	t.Slug = "slug-1"
	t, err := create(ctx, s, t, rich("other"))
	if err != nil {
		return err
	}
	t, err = s.Find(ctx, tenant.ByID("id-1"))
	return steps(
		func() error { return err },
		func() error { return finds(ctx, s, tenant.BySlug("slug-1"), t) },
		func() error { return finds(ctx, s, tenant.ByDomain("id-1.example.org"), t) },
		func() error { return finds(ctx, s, tenant.ByDomain("a.id-1.example.net"), t) },
		func() error {
			return findsNone(ctx, s, // names of another kind, and parts of names
				tenant.ByID("slug-1"), tenant.BySlug("id-1"), tenant.BySlug("slug"), tenant.ByID("id"),
				tenant.ByDomain("example.org"), tenant.ByDomain("slug-1"), tenant.ByID("unknown"))
		})
}

func findMalformed(ctx context.Context, s tenant.Store) error {
	if _, err := create(ctx, s, rich("acme"), rich("abc")); err != nil {
		return err
	}
	refs := []tenant.Ref{{}}
	for _, id := range malformedIDs() {
		refs = append(refs, tenant.ByID(id), tenant.BySlug(string(id)), tenant.ByDomain(string(id)))
	}
	for _, name := range []string{"ACME", "acme ", "%", "a%", "ac__", "acme' OR '1'='1", "acme\x00", "Acme.Example.org", "acme.example.org."} {
		refs = append(refs, tenant.ByID(tenant.ID(name)), tenant.BySlug(name), tenant.ByDomain(name))
	}
	return findsNone(ctx, s, refs...)
}

func updateReplaces(ctx context.Context, s tenant.Store) error {
	kept, err := create(ctx, s, rich("parent"), rich("acme"))
	if err != nil {
		return err
	}
	change := tenant.Tenant{
		ID: "acme", Slug: "acme-2", Name: "Acme Two", Status: tenant.StatusReadOnly, Plan: "free", Parent: "parent",
		Domains: []string{"z.example.com", "acme.example.org"}, Settings: map[string]string{"new": "1"}, Version: 1,
		CreatedAt: time.Unix(1, 0), DeletedAt: time.Unix(2, 0),
	}
	got, err := s.Update(ctx, change)
	if err != nil {
		return err
	}
	want := change.Clone()
	slices.Sort(want.Domains)
	want.Version, want.CreatedAt, want.UpdatedAt, want.DeletedAt = 2, kept.CreatedAt, got.UpdatedAt, time.Time{}
	return steps(
		func() error { return same("update", got, want) },
		func() error { return checkTime("UpdatedAt", got.UpdatedAt) },
		func() error {
			if got.UpdatedAt.Before(kept.UpdatedAt) {
				return errors.New("update: UpdatedAt is not set")
			}
			return finds(ctx, s, tenant.ByID("acme"), want)
		},
		func() error { return finds(ctx, s, tenant.BySlug("acme-2"), want) },
		func() error { return finds(ctx, s, tenant.ByDomain("z.example.com"), want) },
		func() error { return finds(ctx, s, tenant.ByDomain("acme.example.org"), want) },
		func() error { return findsNone(ctx, s, tenant.BySlug("acme"), tenant.ByDomain("a.acme.example.net")) })
}

func updateVersion(ctx context.Context, s tenant.Store) error {
	t, err := create(ctx, s, active("acme"))
	if err != nil {
		return err
	}
	for _, version := range []int64{-1, 0, 2, 1 << 40} {
		stale := t
		stale.Version = version
		_, err := s.Update(ctx, stale)
		if err := wantErr(fmt.Sprintf("update of version %d, with 1 kept", version), err, tenant.ErrConflict); err != nil {
			return err
		}
	}
	if _, err := s.Update(ctx, t); err != nil {
		return err
	}
	_, err = s.Update(ctx, t)
	if err := wantErr("second update of version 1", err, tenant.ErrConflict); err != nil {
		return err
	}
	_, err = s.Update(ctx, active("unknown"))
	return wantErr("update of an unknown tenant", err, tenant.ErrNotFound)
}

func updateStatus(ctx context.Context, s tenant.Store) error {
	all := []tenant.Status{tenant.StatusProvisioning, tenant.StatusActive, tenant.StatusReadOnly, tenant.StatusSuspended, tenant.StatusDeleted}
	for i, from := range all[:4] {
		for j, to := range all {
			t := active(tenant.ID(fmt.Sprintf("t-%d-%d", i, j)))
			t.Status = from
			t, err := create(ctx, s, t)
			if err != nil {
				return err
			}
			t.Status = to
			_, err = s.Update(ctx, t)
			what := fmt.Sprintf("update from %s to %s", from, to)
			var transition *tenant.TransitionError
			switch allowed := from.To(to) == nil && to != tenant.StatusDeleted; {
			case allowed && err != nil:
				return fmt.Errorf("%s: %w", what, err)
			case !allowed && !errors.As(err, &transition):
				return fmt.Errorf("%s: error is %w, want a TransitionError", what, err)
			}
		}
	}
	t, err := s.Find(ctx, tenant.ByID("t-1-1"))
	if err != nil {
		return err
	}
	t.Status = ""
	_, err = s.Update(ctx, t)
	return wantField("update to no status", err, "Status", tenant.ErrInvalid)
}

func updateTaken(ctx context.Context, s tenant.Store) error {
	t, err := create(ctx, s, rich("acme"), rich("other"))
	if err != nil {
		return err
	}
	changes := takenChanges()
	delete(changes, "ID")
	for field, change := range changes {
		changed := t.Clone()
		change(&changed)
		_, err := s.Update(ctx, changed)
		if err := wantField("update to acme's "+field, err, field, tenant.ErrExists); err != nil {
			return err
		}
	}
	for field, change := range invalidChanges() {
		changed := t.Clone()
		change(&changed)
		_, err := s.Update(ctx, changed)
		if err := wantField("update to a bad "+field, err, field, tenant.ErrInvalid); err != nil {
			return err
		}
	}
	return finds(ctx, s, tenant.ByID("other"), t)
}

func updateFrees(ctx context.Context, s tenant.Store) error {
	t, err := create(ctx, s, rich("acme"))
	if err != nil {
		return err
	}
	t.Slug, t.Domains = "renamed", nil
	if _, err := s.Update(ctx, t); err != nil {
		return err
	}
	heir := rich("heir")
	heir.Slug, heir.Domains = "acme", []string{"acme.example.org"}
	heir, err = create(ctx, s, heir)
	return steps(
		func() error { return err },
		func() error { return finds(ctx, s, tenant.BySlug("acme"), heir) },
		func() error { return finds(ctx, s, tenant.ByDomain("acme.example.org"), heir) })
}

func errorsLeaveNothing(ctx context.Context, s tenant.Store) error {
	if _, err := create(ctx, s, rich("acme")); err != nil {
		return err
	}
	half := rich("half")
	half.Domains = []string{"a.half.example.net", "acme.example.org", "z.half.example.net"}
	_, err := s.Create(ctx, half)
	if err := wantField("create", err, "Domains", tenant.ErrExists); err != nil {
		return err
	}
	other, err := create(ctx, s, rich("other"))
	if err != nil {
		return err
	}
	changed := other.Clone()
	changed.Slug, changed.Domains = "other-2", half.Domains
	_, err = s.Update(ctx, changed)
	return steps(
		func() error { return wantField("update", err, "Domains", tenant.ErrExists) },
		func() error {
			return findsNone(ctx, s, tenant.ByID("half"), tenant.BySlug("half"), tenant.BySlug("other-2"),
				tenant.ByDomain("a.half.example.net"), tenant.ByDomain("z.half.example.net"))
		},
		func() error { return finds(ctx, s, tenant.BySlug("other"), other) },
		func() error { return finds(ctx, s, tenant.ByDomain("other.example.org"), other) },
		func() error { _, err := create(ctx, s, rich("half")); return err })
}

func nothingShared(ctx context.Context, s tenant.Store) error {
	given := rich("acme")
	kept, err := s.Create(ctx, given)
	if err != nil {
		return err
	}
	want := kept.Clone()
	if given.Domains[0] != rich("acme").Domains[0] {
		return errors.New("create sorted the caller's own Domains")
	}
	unchanged := func(what string, spoil ...tenant.Tenant) error {
		for _, t := range spoil {
			t.Domains[0], t.Settings["locale"] = "spoilt.example.org", "spoilt"
		}
		if err := finds(ctx, s, tenant.ByID("acme"), want); err != nil {
			return fmt.Errorf("after a change to what %s: %w", what, err)
		}
		return nil
	}
	if err := unchanged("Create was given and returned", given, kept); err != nil {
		return err
	}
	found, err := s.Find(ctx, tenant.BySlug("acme"))
	if err != nil {
		return err
	}
	page, err := s.List(ctx, tenant.Query{})
	if err != nil || len(page.Tenants) != 1 {
		return fmt.Errorf("list: %d tenants, error %w", len(page.Tenants), err)
	}
	if err := unchanged("Find and List returned", found, page.Tenants[0]); err != nil {
		return err
	}
	given = want.Clone()
	updated, err := s.Update(ctx, given)
	if err != nil {
		return err
	}
	want = updated.Clone()
	return unchanged("Update was given and returned", given, updated)
}

func textSurvives(ctx context.Context, s tenant.Store) error {
	texts := []string{`'; DROP TABLE tenants; --`, `"double" \back\ %per_cent%`, "$1 ? :name @p {0}", "日本語 Ελληνικά 🏢 e\u0301", " spaces ", "null", "\u2028<b>&amp;"}
	for i, text := range texts {
		t := rich(tenant.ID(fmt.Sprintf("t-%d", i)))
		t.Name, t.Contact.Name, t.Contact.Email, t.Contact.Phone, t.Plan, t.Region = text, text, text, text, text, text
		t.Settings = map[string]string{text: text, "lines": "a\n\tb\r\x01", "quote": `{"a":["\\"]}`}
		t, err := create(ctx, s, t)
		if err != nil {
			return err
		}
		if t.Name != text || t.Settings[text] != text {
			return fmt.Errorf("create changed %q to %q", text, t.Name)
		}
		if err := finds(ctx, s, tenant.ByID(t.ID), t); err != nil {
			return err
		}
	}
	return nil
}

func cancelled(ctx context.Context, s tenant.Store) error {
	t, err := create(ctx, s, active("acme"))
	if err != nil {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, findErr := s.Find(ended, tenant.ByID("acme"))
	_, createErr := s.Create(ended, active("late"))
	_, updateErr := s.Update(ended, t)
	_, deleteErr := s.Delete(ended, "acme", 1)
	_, listErr := s.List(ended, tenant.Query{})
	for what, err := range map[string]error{"find": findErr, "create": createErr, "update": updateErr, "delete": deleteErr, "list": listErr} {
		if err := wantErr(what+" with a cancelled context", err, context.Canceled); err != nil {
			return err
		}
	}
	if err := findsNone(ctx, s, tenant.ByID("late")); err != nil {
		return err
	}
	return finds(ctx, s, tenant.ByID("acme"), t)
}
