package quotatest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"testing"
	"time"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// Source is a source under test, with what changes it.
type Source interface {
	quota.Source
	SetCatalog(ctx context.Context, document quota.Document) error
	SetOverride(ctx context.Context, o quota.Override) error
	RemoveOverride(ctx context.Context, id tenant.ID, override string) error
}

// TestSource checks the sources that fresh returns, each time without a catalog and
// without overrides.
func TestSource(t *testing.T, fresh func(t *testing.T) Source) {
	for _, c := range sourceClauses {
		t.Run(c.name, func(t *testing.T) {
			if err := c.check(t.Context(), fresh(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// CheckSource returns what fails, by the name of the clause.
func CheckSource(ctx context.Context, fresh func() Source) map[string]error {
	failed := make(map[string]error)
	for _, c := range sourceClauses {
		if err := c.check(ctx, fresh()); err != nil {
			failed[c.name] = err
		}
	}
	return failed
}

// sourceClause is one promise of quota.Source.
type sourceClause struct {
	name  string
	check func(ctx context.Context, s Source) error
}

var sourceClauses = []sourceClause{
	{"the catalog is the newest that was set", newestCatalog},
	{"the catalog may be shared", sharedCatalog},
	{"overrides are ordered by ID", overridesOrdered},
	{"overrides are as they were set", overridesWhole},
	{"an override's version grows with each change", overridesGrow},
	{"overrides are apart", overridesApart},
	{"a context that ended is heeded, or the answer is right", sourceContext},
}

// catalogOf returns the written form of a catalog with one plan, at a version.
func catalogOf(version int64) quota.Document {
	return quota.Document{
		"version": version, "default": "free",
		"plans": map[string]any{"free": map[string]any{"title": fmt.Sprintf("Free %d", version)}},
	}
}

func isCatalog(ctx context.Context, s Source, version int64) error {
	c, err := s.Catalog(ctx)
	if err != nil {
		return err
	}
	plan, err := c.Plan("free")
	if err != nil {
		return err
	}
	if c.Version() != version || plan.Title != fmt.Sprintf("Free %d", version) {
		return fmt.Errorf("the catalog is that of version %d with %q, want version %d", c.Version(), plan.Title, version)
	}
	return nil
}

func newestCatalog(ctx context.Context, s Source) error {
	_, none := s.Catalog(ctx)
	set := func(version int64) func() error {
		return func() error { return s.SetCatalog(ctx, catalogOf(version)) }
	}
	is := func(version int64) func() error { return func() error { return isCatalog(ctx, s, version) } }
	return first(
		func() error { return fails(none, quota.ErrUnavailable) },
		set(3), is(3), is(3),
		set(7), is(7),
		func() error { return fails(s.SetCatalog(ctx, catalogOf(7)), quota.ErrInvalid) },
		func() error { return fails(s.SetCatalog(ctx, catalogOf(5)), quota.ErrInvalid) },
		func() error { return fails(s.SetCatalog(ctx, quota.Document{"version": 9}), quota.ErrInvalid) },
		is(7),
		set(8), is(8),
	)
}

func sharedCatalog(ctx context.Context, s Source) error {
	if err := s.SetCatalog(ctx, catalogOf(1)); err != nil {
		return err
	}
	one, err := s.Catalog(ctx)
	if err != nil {
		return err
	}
	maps.DeleteFunc(one.Plans(), func(string, quota.Plan) bool { return true }) // a copy
	return isCatalog(ctx, s, 1)
}

// override returns one of acme's.
func override(id string) quota.Override {
	return quota.Override{
		Tenant: "acme", ID: id, Reason: "as " + id + " said",
		Patch: quota.Document{"title": id},
	}
}

func ids(overrides []quota.Override) string {
	text := ""
	for _, o := range overrides {
		text += o.ID + " "
	}
	return text
}

func overridesOrdered(ctx context.Context, s Source) error {
	for _, id := range []string{"b", "B", "a-1", "a", "ä", "a'--", "_", "10", "9"} {
		if err := s.SetOverride(ctx, override(id)); err != nil {
			return err
		}
	}
	got, err := s.Overrides(ctx, "acme")
	if err != nil {
		return err
	}
	if want := "10 9 B _ a a'-- a-1 b ä "; ids(got) != want {
		return fmt.Errorf("the overrides are %q, want them in the order of bytes, %q", ids(got), want)
	}
	if err := errors.Join(s.RemoveOverride(ctx, "acme", "a"), s.RemoveOverride(ctx, "acme", "none")); err != nil {
		return err
	}
	if got, err = s.Overrides(ctx, "acme"); err != nil || len(got) != 8 {
		return fmt.Errorf("%q, %w; want all but a", ids(got), err)
	}
	return nil
}

// overridesWhole reads an override back, numbers to the last digit. Whether one that has
// expired is there is the source's choice.
func overridesWhole(ctx context.Context, s Source) error {
	patch, err := quota.ParseDocument([]byte(`{"rank": 9007199254740991, "limits": {"requests":
		{"windows": {"minute": 9007199254740992, "hour": null}, "warn": 0.85}}, "features": {"a<b": {"on": true}}}`))
	if err != nil {
		return err
	}
	want := override("whole")
	want.Patch, want.Children, want.Version = patch, true, 1
	want.Reason, want.Expires = "it's \"so\" \\ <b>", start.AddDate(200, 0, 0)
	old := override("old")
	old.Expires = start.AddDate(-20, 0, 0)
	if err := errors.Join(s.SetOverride(ctx, want), s.SetOverride(ctx, old)); err != nil {
		return err
	}
	got, err := s.Overrides(ctx, "acme")
	if err != nil || len(got) == 0 {
		return fmt.Errorf("%q, %w; want the override that has not expired", ids(got), err)
	}
	if last := got[len(got)-1]; !reflect.DeepEqual(last, want) {
		return fmt.Errorf("the override is %+v, want %+v", last, want)
	}
	return nil
}

func overridesGrow(ctx context.Context, s Source) error {
	for version := range int64(3) {
		o := override("one")
		o.Version, o.Expires = 17, start.Add(time.Duration(version)*time.Hour).AddDate(100, 0, 0)
		if err := s.SetOverride(ctx, o); err != nil {
			return err
		}
		got, err := s.Overrides(ctx, "acme")
		if err != nil || len(got) != 1 || got[0].Version != version+1 || !got[0].Expires.Equal(o.Expires) {
			return fmt.Errorf("%+v, %w; want version %d", got, err, version+1)
		}
	}
	return nil
}

func overridesApart(ctx context.Context, s Source) error {
	mine, theirs := override("same"), override("same")
	theirs.Tenant, theirs.Patch = globex, quota.Document{"title": "theirs"}
	broken := override("broken")
	broken.Reason = ""
	return first(
		func() error { return errors.Join(s.SetOverride(ctx, mine), s.SetOverride(ctx, theirs)) },
		func() error { return fails(s.SetOverride(ctx, broken), quota.ErrInvalid) },
		func() error { return s.RemoveOverride(ctx, "acme", "same") },
		func() error {
			for id, want := range map[tenant.ID]int{"acme": 0, globex: 1, "nobody": 0} {
				if got, err := s.Overrides(ctx, id); err != nil || len(got) != want {
					return fmt.Errorf("%s has %q, %w; want %d", id, ids(got), err, want)
				}
			}
			return nil
		},
	)
}

func sourceContext(ctx context.Context, s Source) error {
	if err := errors.Join(s.SetCatalog(ctx, catalogOf(1)), s.SetOverride(ctx, override("a"))); err != nil {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if c, err := s.Catalog(ended); !errors.Is(err, context.Canceled) && (err != nil || c.Version() != 1) {
		return fmt.Errorf("a catalog after the context's end: %+v, %w", c, err)
	}
	if got, err := s.Overrides(ended, "acme"); !errors.Is(err, context.Canceled) && (err != nil || len(got) != 1) {
		return fmt.Errorf("overrides after the context's end: %q, %w", ids(got), err)
	}
	return isCatalog(ctx, s, 1)
}
