package tenanttest

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/tenancy-go/tenancy/tenant"
)

// wantErr returns nil if err is want.
func wantErr(what string, err, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("%s: error is %w, want %w", what, err, want)
	}
	return nil
}

// wantField returns nil if err is a FieldError about field that wraps class.
func wantField(what string, err error, field string, class error) error {
	var fieldErr *tenant.FieldError
	if !errors.As(err, &fieldErr) || fieldErr.Field != field || !errors.Is(err, class) {
		return fmt.Errorf("%s: error is %w, want a FieldError about %s that wraps %w", what, err, field, class)
	}
	return nil
}

// same returns nil if the tenants are equal, whole as they are.
func same(what string, got, want tenant.Tenant) error {
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
	return nil
}

func sameIDs(what string, got []tenant.Tenant, want ...tenant.ID) error {
	ids := make([]tenant.ID, 0, len(got))
	for _, t := range got {
		ids = append(ids, t.ID)
	}
	if len(ids) != len(want) || len(want) > 0 && !reflect.DeepEqual(ids, want) {
		return fmt.Errorf("%s: got %v, want %v", what, ids, want)
	}
	return nil
}

// create adds tenants, which must succeed, and returns the last.
func create(ctx context.Context, s tenant.Store, tenants ...tenant.Tenant) (last tenant.Tenant, err error) {
	for _, t := range tenants {
		if last, err = s.Create(ctx, t); err != nil {
			return last, fmt.Errorf("create %s: %w", t.ID, err)
		}
	}
	return last, nil
}

// finds returns nil if s finds want by ref.
func finds(ctx context.Context, s tenant.Store, ref tenant.Ref, want tenant.Tenant) error {
	got, err := s.Find(ctx, ref)
	if err != nil {
		return fmt.Errorf("find %q: %w", ref.Name(), err)
	}
	return same(fmt.Sprintf("find %q", ref.Name()), got, want)
}

// findsNone returns nil if s is sure that no tenant has those names.
func findsNone(ctx context.Context, s tenant.Store, refs ...tenant.Ref) error {
	for _, ref := range refs {
		_, err := s.Find(ctx, ref)
		if err := wantErr(fmt.Sprintf("find %q", ref.Name()), err, tenant.ErrNotFound); err != nil {
			return err
		}
	}
	return nil
}

// steps returns the first error of several checks; each runs only if those
// before it passed.
func steps(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// rich returns a tenant with every field filled that a host may set.
func rich(id tenant.ID) tenant.Tenant {
	t := active(id)
	t.Name = "Tenant " + string(id)
	t.Contact = tenant.Contact{Name: "Ada", Email: "ada@example.com", Phone: "+44 20 7946 0000"}
	t.Plan, t.Region = "pro", "eu"
	t.Domains = []string{string(id) + ".example.org", "a." + string(id) + ".example.net"}
	t.Settings = map[string]string{"locale": "en-GB", "empty": ""}
	return t
}
